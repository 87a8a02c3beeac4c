"""What a slide's file holds, as far as it can be understood: also of one that is refused, which is when one asks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from inference.errors import ChromogenError, Failed, Reason, Refused
from inference.geometry import Grid, Size
from inference.model import Resolution
from inference.slide import Rgb, SlideFacts
from server.slides.dicom_stream import BEGINNING, begins_like_dicom
from server.slides.found_image import FoundImage
from server.slides.image_slide import JPEG_MAGIC, PNG_MAGIC
from server.slides.inspect_dicom import images_in_dicom
from server.slides.inspect_tiff import format_of_tiff, images_in_tiff
from server.slides.opening import open_framed
from server.slides.openslide_slide import TRIED, UNTRIED, format_by_openslide
from server.slides.scanner import scanner_of
from server.slides.tiff_slide import MAGICS
from server.slides.view import View

THUMBNAIL_PX = 1024
_ANY_UM = 1.0  # a pixel size for a picture of a slide that says none: nothing is scored by it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What would be read for a model: `level` of those of the slide's facts, decoded at 1/`shrink`, giving `working`.

    `resampled` where the pixels are then interpolated to the working resolution.
    """

    level: int
    shrink: int
    working: Grid
    resampled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """`facts` and `reading` are None, and `refused` says why, where the slide would be refused."""

    format: str
    scanner: str
    images: tuple[FoundImage, ...]
    facts: SlideFacts | None = None
    reading: Reading | None = None
    refused: ChromogenError | None = None


def inspect(
    path: Path,
    resolution: Resolution,
    *,
    mpp: float | None = None,
    view: View | None = None,
    untried: frozenset[str] = frozenset(),
) -> Inspection:
    """As `open_slide` would open it. Raises Refused NOT_A_SLIDE where there is no such file or folder."""
    if not path.exists():
        raise Refused(
            Reason.NOT_A_SLIDE, f"{path.name} isn't there: name a slide, or the folder of its DICOM instances"
        )
    kind, images = _understood(path)
    found = Inspection(format=kind, scanner=scanner_of(path), images=tuple(images))
    try:
        slide = open_framed(path, resolution, mpp=mpp, view=view, untried=untried)
    except ChromogenError as error:
        return replace(found, refused=error)
    try:
        source = slide.source
        resampled = source.grid != slide.working
        reading = Reading(level=source.level, shrink=source.shrink, working=slide.working, resampled=resampled)
        return replace(found, facts=slide.facts, reading=reading)
    finally:
        slide.close()


def thumbnail(
    path: Path,
    resolution: Resolution,
    *,
    mpp: float | None = None,
    view: View | None = None,
    untried: frozenset[str] = frozenset(),
) -> Rgb:
    """At most THUMBNAIL_PX a side; also of a slide that is too coarse or says no pixel size.

    Raises Refused where nothing can be read.
    """
    anything = replace(resolution, coarsest=inf, kept_within=inf)
    for side in (mpp, mpp or _ANY_UM):
        try:
            slide = open_framed(path, anything, mpp=side, view=view, untried=untried)
        except Refused as error:
            if error.reason is Reason.NO_PIXEL_SIZE and side is None:
                continue
            raise
        try:
            size = slide.facts.size
            return _at_most(slide.overview(slide.facts.mpp * max(1.0, max(size.width, size.height) / THUMBNAIL_PX))[0])
        finally:
            slide.close()
    raise Failed(Reason.SLIDE_DAMAGED, f"{path.name} can't be shown")


def _at_most(picture: Rgb) -> Rgb:
    step = -(-max(picture.shape[:2]) // THUMBNAIL_PX)
    return picture[::step, ::step]


def _understood(path: Path) -> tuple[str, Sequence[FoundImage]]:
    """By what the file holds, as `opening` does."""
    if path.is_dir():
        return "DICOM folder", list(_without_errors(images_in_dicom(path)))
    with path.open("rb") as file:
        head = file.read(BEGINNING)
    if begins_like_dicom(head):
        return "DICOM", list(_without_errors(images_in_dicom(path)))
    tiff, picture = head.startswith(MAGICS), head.startswith((PNG_MAGIC, JPEG_MAGIC))
    vendor = format_by_openslide(path, head, tiff=tiff, picture=picture)
    if vendor:
        return f"{(TRIED | UNTRIED)[vendor]}, read by OpenSlide", ()
    if tiff:
        return format_of_tiff(path), list(_without_errors(images_in_tiff(path)))
    if picture:
        return "PNG" if head.startswith(PNG_MAGIC) else "JPEG", ()
    return "unknown", ()


def _without_errors(found: Iterator[FoundImage]) -> Iterator[FoundImage]:
    """As far as they come: a damaged directory ends them."""
    try:
        yield from found
    except Exception:  # what parsers raise on damage; the refusal says it in words
        return


def size_text(size: Size) -> str:
    return f"{size.width} x {size.height} px"
