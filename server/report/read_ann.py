"""Annotated nuclei from Microscopy Bulk Simple Annotations: each group's label is its class."""

from pathlib import Path

import pydicom
from highdicom.ann import MicroscopyBulkSimpleAnnotations

from inference.annotations import Mark, Names, kind_of
from inference.errors import ChromogenError, Reason, Refused
from server.report.ann import Coordinates
from server.slides.quiet import quiet


def read_ann(path: Path, names: Names) -> list[Mark]:
    """Points, and other shapes by the mean of their corners, in pixels of the largest level.

    Raises Refused ANNOTATION_INVALID where the file isn't such an object, or is in millimetres of the slide.
    """
    try:
        with quiet():
            return _marks(path, names)
    except ChromogenError:
        raise
    except Exception:  # pydicom and highdicom raise whatever a damaged file makes them stumble over
        message = f"{path.name} isn't a DICOM annotation object that can be read: export it again"
        raise Refused(Reason.ANNOTATION_INVALID, message) from None


def _marks(path: Path, names: Names) -> list[Mark]:
    found = MicroscopyBulkSimpleAnnotations.from_dataset(pydicom.dcmread(path, force=True), copy=False)
    if found.AnnotationCoordinateType != Coordinates.PIXELS.value:
        message = f"{path.name} is in millimetres of the slide: export it in pixels of the image (2D)"
        raise Refused(Reason.ANNOTATION_INVALID, message)
    marks = []
    for group in found.get_annotation_groups():
        kind = kind_of(group.label, names, path.name)
        if kind is not None:
            shapes = group.get_graphic_data(coordinate_type=Coordinates.PIXELS.value)
            centres = [shape[:, :2].mean(axis=0) - 0.5 for shape in shapes]
            marks += [Mark(x=float(x), y=float(y), kind=kind) for x, y in centres]
    return marks
