"""The side of a TIFF's pixels, from wherever its writer says it: in words, XML or the resolution tags."""

import re
from collections.abc import Iterator

from tifffile import RESUNIT, TiffFile, TiffPage

COARSEST_TAG_UM = 10.0
"""Resolution tags of coarser pixels are a printer's (72 to 600 dots an inch), not a microscope's."""

Spacing = tuple[float, float]
"""Width and height of a pixel, µm."""

_NUMBER = r"([0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?)"
_APERIO = re.compile(rf"\bMPP\s*=\s*{_NUMBER}")
_VENTANA = re.compile(rf"\bScanRes\s*=\s*[\"']{_NUMBER}[\"']")
_PHILIPS = re.compile(rf"DICOM_PIXEL_SPACING\"[^>]*>\s*(?:\"|&quot;)?{_NUMBER}(?:\"|&quot;)?\s+(?:\"|&quot;)?{_NUMBER}")
_OME_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_SCN_IMAGE = re.compile(r"<image\b.*?</image>", re.DOTALL)
_SCN_SIZE = re.compile(r"<(view|pixels)\b[^>]*?\bsizeX=\"(\d+)\"[^>]*?\bsizeY=\"(\d+)\"")
_IMAGEJ_UNIT = re.compile(r"^unit=(.+?)\s*$", re.MULTILINE)
_XMP = 700

_UM_PER = {
    **dict.fromkeys(("µm", "μm", "&#181;m", "&#956;m", "um", "micron", "microns", "micrometer", "\\u00b5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("pm",), 1e-6),
    **dict.fromkeys(("å", "angstrom", "&#197;"), 1e-4),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("in", "inch"), 25_400.0),
}


def spacing_um(tiff: TiffFile, page: TiffPage) -> Spacing | None:
    """Of the page that is the slide; None where nothing valid is said."""
    first = tiff.pages.first.description or ""
    said = (_aperio(page.description or first), _ome(first, page), _philips(first), _scn(first, page), _ventana(tiff))
    return next((spacing for spacing in said if spacing is not None), None) or _imagej(first, page) or _tagged(page)


def _aperio(text: str) -> Spacing | None:
    return _square(_APERIO.search(text)) if text.startswith("Aperio") else None


def _ventana(tiff: TiffFile) -> Spacing | None:
    return next((_square(found) for found in map(_VENTANA.search, xmp_texts(tiff)) if found), None)


def xmp_texts(tiff: TiffFile) -> Iterator[str]:
    """What XMP says, on any page."""
    for index in range(len(tiff.pages)):
        tag = tiff.pages[index].aspage().tags.get(_XMP)
        if tag is not None:
            yield tag.value.decode("utf-8", "replace") if isinstance(tag.value, bytes) else str(tag.value)


def _square(found: re.Match[str] | None) -> Spacing | None:
    side = _number(found[1]) if found else 0.0
    return (side, side) if side > 0 else None


def _number(text: str) -> float:
    """With a decimal point or comma."""
    return float(text.replace(",", "."))


def _ome(text: str, page: TiffPage) -> Spacing | None:
    """Of the image of this size; of the first where none has it."""
    tags = _OME_PIXELS.findall(text) if "<" in text else []
    of_size = [t for t in tags if _attribute(t, "SizeX") == str(page.imagewidth)]
    of_size = [t for t in of_size if _attribute(t, "SizeY") == str(page.imagelength)]
    for tag in (*of_size, *tags)[:1]:
        sides = [_ome_side(tag, axis) for axis in "XY"]
        return (sides[0], sides[1]) if min(sides) > 0 else None
    return None


def _ome_side(pixels: str, axis: str) -> float:
    """µm; 0 where it isn't said or in a unit that is no length (pixel, reference frame)."""
    try:
        side = _number(_attribute(pixels, f"PhysicalSize{axis}"))
    except ValueError:
        return 0.0
    return side * _UM_PER.get((_attribute(pixels, f"PhysicalSize{axis}Unit") or "µm").strip().lower(), 0.0)


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf"\b{name}\s*=\s*[\"']([^\"']*)[\"']", tag)
    return found[1] if found else ""


def _philips(text: str) -> Spacing | None:
    """In mm, rows first; the finest is the slide's own."""
    found = [(1000 * _number(x), 1000 * _number(y)) for y, x in _PHILIPS.findall(text)]
    return min((spacing for spacing in found if min(spacing) > 0), default=None)


def _scn(text: str, page: TiffPage) -> Spacing | None:
    """The part of the slide that an image shows, in nm, over its pixels."""
    for image in _SCN_IMAGE.findall(text) if "<scn" in text else []:
        sizes = {kind: (int(width), int(height)) for kind, width, height in _SCN_SIZE.findall(image)}
        view, pixels = sizes.get("view"), sizes.get("pixels")
        if view and pixels == (page.imagewidth, page.imagelength) and min(view) > 0:
            return view[0] / 1000 / pixels[0], view[1] / 1000 / pixels[1]
    return None


def _imagej(text: str, page: TiffPage) -> Spacing | None:
    """ImageJ gives pixels a unit that its text names."""
    unit = _IMAGEJ_UNIT.search(text) if text.startswith("ImageJ") else None
    um = _UM_PER.get(unit[1].strip().lower(), 0.0) if unit else 0.0
    if um == 0 or "XResolution" not in page.tags:
        return None
    x, y = page.resolution
    return (um / x, um / y) if min(x, y) > 0 else None


def _tagged(page: TiffPage) -> Spacing | None:
    if "XResolution" not in page.tags or page.resolutionunit not in (RESUNIT.INCH, RESUNIT.CENTIMETER):
        return None
    x, y = page.get_resolution(RESUNIT.MICROMETER)
    if min(x, y) <= 0 or max(1 / x, 1 / y) > COARSEST_TAG_UM:
        return None
    return 1 / x, 1 / y
