"""The pages of a TIFF: levels, what lies beside them, and who wrote the file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tifffile import TiffFile, TiffPage

from inference.errors import Refused
from inference.geometry import Size
from server.slides.colour import icc_digest
from server.slides.found_image import FoundImage
from server.slides.frames import FrameFile
from server.slides.quiet import quiet
from server.slides.tiff_frames import PagesByPixels
from server.slides.tiff_pages import all_pages, kind_beside, slide_pages
from server.slides.tiff_spacing import Spacing, spacing_um

_FORMATS = {
    "is_svs": "Aperio SVS",
    "is_philips": "Philips TIFF",
    "is_bif": "Ventana BIF",
    "is_scn": "Leica SCN",
    "is_ndpi": "Hamamatsu NDPI",
    "is_qpi": "PerkinElmer QPTIFF",
    "is_ome": "OME-TIFF",
    "is_imagej": "ImageJ TIFF",
}


def format_of_tiff(path: Path) -> str:
    """The writer's format, as far as the file shows it."""
    try:
        with quiet(), TiffFile(path) as tiff:
            return next((name for flag, name in _FORMATS.items() if getattr(tiff, flag)), "TIFF")
    except Exception:  # tifffile raises whatever a damaged directory makes it stumble over
        return "TIFF"


def images_in_tiff(path: Path) -> Iterator[FoundImage]:
    """Each page, in the order of the file. Raises whatever tifffile does."""
    with quiet(), TiffFile(path) as tiff:
        levels = _levels(path, tiff)
        base = levels[0] if levels else None
        spacing = None if base is None else spacing_um(tiff, base)
        for page in all_pages(tiff):
            is_level = page.offset in [level.offset for level in levels]
            kind = "level" if is_level else kind_beside(tiff, page) or "picture"
            yield _image(page, kind, _of_level(spacing, base, page) if kind == "level" else None)


def _levels(path: Path, tiff: TiffFile) -> Sequence[TiffPage]:
    file = FrameFile(path)
    try:
        return slide_pages(path, tiff, PagesByPixels(path, file))[0]
    except Refused:
        return ()
    finally:
        file.close()


def _of_level(spacing: Spacing | None, base: TiffPage | None, page: TiffPage) -> Spacing | None:
    if spacing is None or base is None:
        return None
    return spacing[0] * base.imagewidth / page.imagewidth, spacing[1] * base.imagelength / page.imagelength


def _image(page: TiffPage, kind: str, spacing: Spacing | None) -> FoundImage:
    tile = Size(width=page.tilewidth, height=page.tilelength) if page.is_tiled else None
    return FoundImage(
        name=f"page {page.index}",
        kind=kind,
        size=Size(width=page.imagewidth, height=page.imagelength),
        frame=tile,
        spacing_um=spacing,
        compression=_name(page.compression),
        colour=f"{page.samplesperpixel} x {page.bitspersample} bit {_name(page.photometric)}",
        icc_sha256=icc_digest(page.iccprofile),
        reader="tifffile",
    )


def _name(value: object) -> str:
    return str(getattr(value, "name", value))
