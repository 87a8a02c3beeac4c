"""An image of any format at its own resolution: what the slide readers read, and else whatever Pillow does.

Pillow decodes a picture whole (4 bytes a pixel, for as long as that takes); its pixels then lie in a file and are
mapped. The size in its header is looked at before anything is decoded.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from inference.errors import Reason, Refused
from inference.geometry import Grid, Region, Size
from inference.model import Resolution
from inference.slide import Level, Rgb, Slide, SlideFacts
from server.slides.dicom_stream import BEGINNING, begins_like_dicom
from server.slides.opening import open_slide
from server.slides.quiet import quiet
from server.slides.tiff_slide import MAGICS

LARGEST_PX = 1 << 29
"""Of an image; 23,000 x 23,000 are as many."""
LARGEST_SIDE = 100_000
STRIP = 512
MODES = frozenset({"RGB", "RGBA", "RGBX", "P", "L", "LA", "CMYK", "YCbCr", "1"})
"""Of Pillow: those with at most 8 bits a channel."""
Image.MAX_IMAGE_PIXELS = None  # LARGEST_PX is looked at before a picture is decoded, here and in image_slide


class MappedPicture:
    """`inference.slide.Slide` over pixels (h, w, 3) of `mpp`, which may lie in a mapped file."""

    def __init__(self, pixels: Rgb, mpp: float) -> None:
        self._pixels = pixels
        size = Size(width=pixels.shape[1], height=pixels.shape[0])
        self.facts = SlideFacts(mpp=mpp, size=size, levels=(Level(size=size, mpp=mpp),))
        self.working = Grid(size=size, mpp=mpp, scale=1.0)

    def read(self, region: Region) -> Rgb:
        if region.empty or not region.inside(self.working.size):
            raise ValueError(f"{region} is outside of {self.working.size}")
        return np.array(self._pixels[region.y : region.bottom, region.x : region.right])

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        size, scale = self.working.size, max(mpp / self.working.mpp, 1.0)
        small = Size(width=max(int(size.width / scale), 1), height=max(int(size.height / scale), 1))
        shown = cv2.resize(self._pixels, (small.width, small.height), interpolation=cv2.INTER_AREA)
        return np.asarray(shown, np.uint8), Grid(size=small, mpp=mpp, scale=size.width / small.width)

    def close(self) -> None:
        """The file goes with its folder."""


def open_whole(path: Path, mpp: float, folder: Path) -> Slide:
    """The image in `path` as one of `mpp`, its working grid the largest level; pixels may be laid in `folder`.

    Raises Refused: NOT_A_SLIDE, SLIDE_DAMAGED, WRONG_COLOUR_SPACE, and as `open_slide` of DICOM and TIFF.
    """
    with path.open("rb") as file:
        head = file.read(BEGINNING)
    if begins_like_dicom(head):
        return _native(path, mpp)
    if not head.startswith(MAGICS):
        return MappedPicture(_decoded(path, folder / "pixels"), mpp)
    try:
        return _native(path, mpp)
    except Refused as refused:
        if refused.reason not in (Reason.NOT_A_SLIDE, Reason.WRONG_COLOUR_SPACE, Reason.UNSUPPORTED_SYNTAX):
            raise
        return MappedPicture(_decoded(path, folder / "pixels"), mpp)


def _native(path: Path, mpp: float) -> Slide:
    slide = open_slide(path, Resolution(working=mpp, finest=mpp * 0.999, coarsest=mpp * 1.001), mpp=mpp)
    try:
        check_size(slide.facts.size)
    except BaseException:
        slide.close()
        raise
    return slide


def check_size(size: Size) -> None:
    """Raises Refused NOT_A_SLIDE."""
    if size.area > LARGEST_PX or max(size.width, size.height) > LARGEST_SIDE:
        message = (
            f"the image has {size.width} x {size.height} px; at most {LARGEST_PX} are taken in one: cut it, or order it"
            " as a slide"
        )
        raise Refused(Reason.NOT_A_SLIDE, message)


def _decoded(path: Path, pixels: Path) -> Rgb:
    """Mapped from the file `pixels`."""
    try:
        with quiet(), Image.open(path) as image:
            check_size(Size(width=image.width, height=image.height))
            if image.mode not in MODES:
                message = "the image has more than 8 bits a channel: convert it to RGB of 3 x 8 bit"
                raise Refused(Reason.WRONG_COLOUR_SPACE, message)
            return _laid(image, pixels)
    except UnidentifiedImageError:
        raise Refused(Reason.NOT_A_SLIDE, "what was sent is no image of a kind that is read here") from None
    except Refused:
        raise
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        raise Refused(Reason.SLIDE_DAMAGED, "the image is cut off or damaged: export it again") from None


def _laid(image: Image.Image, pixels: Path) -> Rgb:
    """As RGB, strip by strip; what shows through is white."""
    image.load()
    laid = np.lib.format.open_memmap(pixels, mode="w+", dtype=np.uint8, shape=(image.height, image.width, 3))
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(top + STRIP, image.height)))
        if strip.mode in ("RGBA", "LA", "P"):
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        laid[top : top + strip.height] = np.asarray(strip.convert("RGB"))
    laid.flush()
    return laid
