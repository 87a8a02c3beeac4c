"""Slides of formats that OpenSlide alone reads: NDPI, and, where a setting names them, those that were never tried.

OpenSlide hands out regions, not frames: a frame here is a square of a level. It is the slower way (`tiff_slide` has the
figure), so what tifffile can hand out is read there.
"""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.errors import ChromogenError, Reason, Refused
from inference.geometry import Size
from inference.model import Resolution
from inference.slide import Level, Rgb, SlideFacts
from server.slides.codec import Undecodable, box_average
from server.slides.colour import icc_digest, to_srgb
from server.slides.digest import sha256_of
from server.slides.framed_slide import FramedSlide
from server.slides.frames import Layout
from server.slides.pixel_size import square

if TYPE_CHECKING:
    from openslide import OpenSlide

TRIED = {"hamamatsu": "Hamamatsu NDPI"}
UNTRIED = {"mirax": "3DHISTECH MRXS", "zeiss": "Zeiss CZI", "sakura": "Sakura SVSLIDE"}
"""By OpenSlide's names."""
FRAME = 512
CZI_MAGIC = b"ZISRAWFILE"
_VMS_MAGICS = (b"[Virtual Microscope Specimen]", b"[Uncompressed Virtual Microscope Specimen]")
_ENTRY, _NDPI_TAG = 12, 65420
_SQLITE_MAGIC = b"SQLite format 3\0"


def format_by_openslide(path: Path, head: bytes, *, tiff: bool, picture: bool) -> str:
    """OpenSlide's name of the format where it alone reads it, empty for others; `head` is the file's beginning."""
    if tiff:
        return "hamamatsu" if _is_ndpi(path) else ""
    if picture:
        beside = (path.with_suffix("") / "Slidedat.ini").is_file()  # the picture itself is only a thumbnail
        return "mirax" if beside or path.suffix.lower() == ".mrxs" else ""
    if head.startswith(_VMS_MAGICS):
        return "hamamatsu"
    return "zeiss" if head.startswith(CZI_MAGIC) else "sakura" if head.startswith(_SQLITE_MAGIC) else ""


def _is_ndpi(path: Path) -> bool:
    """Whether the first directory has Hamamatsu's tag. It may lie beyond 4 GB: the file's offsets have 8 bytes, though
    TIFF's have 4.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"II*\0":
            return False
        for width in (8, 4):
            file.seek(min(int.from_bytes(head[4 : 4 + width], "little"), path.stat().st_size))
            entries = int.from_bytes(file.read(2), "little")
            directory = file.read(_ENTRY * entries)
            tags = (directory[at : at + 2] for at in range(0, len(directory), _ENTRY))
            if _NDPI_TAG.to_bytes(2, "little") in tags:
                return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSlideFrames:
    """One level; `factor` is base pixels per pixel."""

    slide: "OpenSlide" = field(repr=False)
    level: int
    factor: float
    layout: Layout

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        """What the scanner didn't photograph is white. Raises Undecodable."""
        x, y = column * FRAME, row * FRAME
        width, height = min(FRAME, self.layout.size.width - x), min(FRAME, self.layout.size.height - y)
        at = round(x * self.factor), round(y * self.factor)
        try:
            region = np.asarray(self.slide.read_region(at, self.level, (width, height)))
        except Exception as error:  # OpenSlide's own; its text may name the file
            raise Undecodable("region") from error
        white = 255 - region[..., 3:]  # OpenSlide multiplies colours by alpha
        rgb: Rgb = np.full((FRAME, FRAME, 3), 255, np.uint8)
        rgb[:height, :width] = region[..., :3] + white
        return box_average(rgb, shrink)


def open_by_openslide(
    path: Path, vendor: str, resolution: Resolution, *, mpp: float | None, icc: bool, untried: frozenset[str]
) -> FramedSlide:
    """Raises Refused: UNSUPPORTED_SYNTAX for a format that isn't named in `untried` or without OpenSlide, no pixel
    size, too coarse, damaged.
    """
    _check_named(path, vendor, untried)
    import openslide

    try:
        slide = openslide.OpenSlide(str(path))
    except openslide.OpenSlideError:
        message = f"{path.name} is cut off or damaged, or not all of its files are here: copy it again from its source"
        raise Refused(Reason.SLIDE_DAMAGED, message) from None
    try:
        return _assemble(path, slide, resolution, mpp=mpp, icc=icc)
    except ChromogenError:
        slide.close()
        raise


def _check_named(path: Path, vendor: str, untried: frozenset[str]) -> None:
    name = TRIED.get(vendor) or UNTRIED[vendor]
    if vendor in UNTRIED and vendor not in untried:
        message = f"is {name}, which was never tried here: convert it to DICOM, or name {vendor} in"
        message += " CHROMOGEN_SLIDES_UNTRIED and compare its scores with those of a converted slide first"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} {message}")
    if find_spec("openslide") is None:
        message = f"is {name}, read by OpenSlide, which isn't installed: pip install 'chromogen[formats]'"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} {message}")


def _assemble(path: Path, slide: "OpenSlide", resolution: Resolution, *, mpp: float | None, icc: bool) -> FramedSlide:
    sizes = [Size(width=width, height=height) for width, height in slide.level_dimensions]
    frame = Size(width=FRAME, height=FRAME)
    frames = [
        OpenSlideFrames(slide=slide, level=k, factor=factor, layout=Layout(size=size, frame=frame))
        for k, (size, factor) in enumerate(zip(sizes, slide.level_downsamples, strict=True))
    ]
    base_mpp = square(path.name, _spacing_um(slide), mpp)
    profile = _profile(slide)
    facts = SlideFacts(
        mpp=base_mpp,
        size=sizes[0],
        levels=tuple(Level(size=f.layout.size, mpp=base_mpp * f.factor) for f in frames),
        sha256=sha256_of(path),
        icc_sha256=icc_digest(profile),
        notes=("NO_ICC_PROFILE",) if icc and not profile else (),
    )
    transform = to_srgb(profile) if icc and profile else None
    return FramedSlide(frames, facts, resolution, close=slide.close, transform=transform, profile=profile)


def _spacing_um(slide: "OpenSlide") -> tuple[float, float] | None:
    try:
        found = [float(slide.properties[f"openslide.mpp-{axis}"]) for axis in "xy"]
    except (KeyError, ValueError):
        return None
    return (found[0], found[1]) if min(found) > 0 else None


def _profile(slide: "OpenSlide") -> bytes | None:
    profile = slide.color_profile
    return None if profile is None else bytes(profile.tobytes())
