"""Files of areas drawn on a slide, as commands take them: what is scored, and control tissue."""

from collections.abc import Sequence
from pathlib import Path

from inference.analyze import Options
from inference.area import Area, check_inside, read_areas
from inference.assay import Assay
from inference.control import Core, classes, cores_of
from inference.errors import Reason, Refused
from inference.geometry import Size

TUMOUR, EXCLUDE = "tumour", "exclude"


def drawn_regions(path: Path, size: Size) -> Options:
    """Of a file of `--region-file`. Raises Refused ANNOTATION_INVALID."""
    areas = _areas(path, (TUMOUR, EXCLUDE), size)
    tumour, exclude = (tuple(a for a in areas if a.name == name) for name in (TUMOUR, EXCLUDE))
    return Options(among=tumour, without=exclude)


def control_cores(path: Path, assay: Assay, size: Size) -> list[Core]:
    """Of a file of `--control-file`. Raises Refused ANNOTATION_INVALID."""
    kinds = assay.analyzer.controls
    return cores_of(_areas(path, classes(kinds), size), kinds)


def _areas(path: Path, names: Sequence[str], size: Size) -> list[Area]:
    try:
        areas = read_areas(path.read_text(encoding="utf-8-sig"), names, path.name)
    except (OSError, UnicodeDecodeError):
        raise Refused(Reason.ANNOTATION_INVALID, f"{path.name} can't be read: is it there, and text?") from None
    check_inside(areas, size, path.name)
    return areas
