"""PNG and JPEG pictures as slides of one level and one frame; the pixel size must be given."""

from dataclasses import dataclass
from pathlib import Path

import simplejpeg
from PIL import Image

from inference.errors import Reason, Refused
from inference.geometry import Size
from inference.model import Resolution
from inference.slide import Level, Rgb, SlideFacts
from server.slides.codec import Encoding, Undecodable, decode
from server.slides.codestream import Colour
from server.slides.colour import icc_digest, to_srgb
from server.slides.digest import sha256_of
from server.slides.framed_slide import FramedSlide
from server.slides.frames import LARGEST_FRAME, Layout
from server.slides.quiet import quiet

PNG_MAGIC, JPEG_MAGIC = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_PNG_RGB, _PNG_RGBA = 2, 6  # colour types, PNG specification 11.2.1
_PNG_HEADER = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFrames:
    """The one frame of a picture."""

    path: Path
    encoding: Encoding
    layout: Layout

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        assert (column, row) == (0, 0)
        return decode(self.path.read_bytes(), self.encoding, Colour.YCBCR, self.layout.frame, shrink)


def open_picture(path: Path, resolution: Resolution, *, mpp: float | None, icc: bool) -> FramedSlide:
    """Open an 8-bit RGB PNG (opaque) or a colour JPEG. Raises Refused: no mpp, not 3 x 8 bit, too large, damaged."""
    if mpp is None:
        raise Refused(
            Reason.NO_PIXEL_SIZE, f"{path.name} is a picture without a pixel size: give --mpp, in µm per pixel"
        )
    encoding, size = _header(path)
    if size.area > LARGEST_FRAME:
        raise Refused(
            Reason.NOT_A_SLIDE, f"{path.name} has {size.area} pixels in one piece: convert it to a tiled TIFF or DICOM"
        )
    frames = PictureFrames(path=path, encoding=encoding, layout=Layout(size=size, frame=size))
    _check_decodes(frames)
    profile = _icc_profile(path)
    notes = ("NO_ICC_PROFILE",) if icc and profile is None else ()
    facts = SlideFacts(
        mpp=mpp,
        size=size,
        levels=(Level(size=size, mpp=mpp),),
        sha256=sha256_of(path),
        icc_sha256=icc_digest(profile),
        notes=notes,
    )
    transform = to_srgb(profile) if icc and profile else None
    return FramedSlide([frames], facts, resolution, close=lambda: None, transform=transform, profile=profile)


def _header(path: Path) -> tuple[Encoding, Size]:
    with path.open("rb") as file:
        head = file.read(_PNG_HEADER)
    return _png_header(path, head) if head.startswith(PNG_MAGIC) else _jpeg_header(path)


def _png_header(path: Path, head: bytes) -> tuple[Encoding, Size]:
    if len(head) < _PNG_HEADER:
        raise _damaged(path)
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    depth, colour = head[24], head[25]
    if depth != 8 or colour not in (_PNG_RGB, _PNG_RGBA):
        raise Refused(Reason.WRONG_COLOUR_SPACE, f"{path.name} is not a colour picture of 3 x 8 bit: convert it")
    if width == 0 or height == 0:
        raise _damaged(path)
    return Encoding.PNG, Size(width=width, height=height)


def _jpeg_header(path: Path) -> tuple[Encoding, Size]:
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(path.read_bytes(), strict=False)
    except (ValueError, KeyError):  # simplejpeg looks an unknown colour space up by its number
        raise _damaged(path) from None
    if space not in ("RGB", "YCbCr"):
        raise Refused(
            Reason.WRONG_COLOUR_SPACE, f"{path.name} is a {space} JPEG, not a colour one of 3 x 8 bit: convert it"
        )
    return Encoding.JPEG, Size(width=width, height=height)


def _check_decodes(frames: PictureFrames) -> None:
    """A picture is one frame: where it doesn't decode nothing can be read, so it's refused at once (at an eighth if
    JPEG).
    """
    try:
        frames.decode(0, 0, max(frames.layout.shrinks))
    except Undecodable:
        raise _damaged(frames.path) from None


def _damaged(path: Path) -> Refused:
    return Refused(Reason.SLIDE_DAMAGED, f"{path.name} is cut off or damaged: copy it again from its source")


def _icc_profile(path: Path) -> bytes | None:
    try:
        with quiet(), Image.open(path) as image:  # Pillow warns of large pictures; LARGEST_FRAME is the limit here
            profile = image.info.get("icc_profile")
    except (OSError, Image.DecompressionBombError):
        return None
    return profile if isinstance(profile, bytes) and profile else None
