"""The nuclei of a result as Microscopy Bulk Simple Annotations: a group of points for each compartment and grade.

Points are columns and rows of the largest image's total pixel matrix, its top-left corner being (0, 0) and the centre
of its first pixel (0.5, 0.5) (PS3.3 C.37.1.2.1), or millimetres in the slide's frame of reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from highdicom.ann import AnnotationGroup, Measurements, MicroscopyBulkSimpleAnnotations
from inference.nuclei import COMPARTMENTS, Nuclei, read_nuclei
from pydicom import Dataset

from inference.grade import grades
from server.domain.result import Result
from server.report import codes, identity
from server.report.identity import concept, derived_uid
from server.report.source import SlideGeometry, geometry, main_image

SERIES_NUMBER = 9102
GRADES = ("unstained", "weak", "moderate", "strong")
_COMPARTMENT_CODES = (codes.STROMA, codes.EPITHELIUM)

Points = npt.NDArray[np.float32]
"""(n, 2) columns and rows in pixels, or (n, 3) x, y, z in mm."""


class Coordinates(StrEnum):
    """DICOM's Annotation Coordinate Type; many viewers draw only 2D."""

    PIXELS = "2D"
    SLIDE = "3D"


@dataclass(slots=True, kw_only=True)
class _Columns:
    """What is gathered of one group, a batch of the file at a time."""

    points: list[Points] = field(default_factory=list)
    confidence: list[npt.NDArray[np.float32]] = field(default_factory=list)


def build_ann(
    result: Result, source: Sequence[Dataset], *, coordinates: Coordinates = Coordinates.PIXELS, confidence: bool = True
) -> Dataset | None:
    """The annotations of a result's nuclei file, 12 bytes a nucleus (8 without `confidence`); None where it has no
    nucleus.

    Raises Refused as `source.main_image`.
    """
    image = main_image(result, source)
    gathered = _gathered(result, geometry(image, mpp=result.analysis.slide.mpp), coordinates)
    filled = [(key, columns) for key, columns in sorted(gathered.items()) if columns.points]
    if not filled:
        return None
    report = MicroscopyBulkSimpleAnnotations(
        source_images=[image],
        annotation_coordinate_type=coordinates.value,
        annotation_groups=[
            _group(result, number, key, columns, confidence) for number, (key, columns) in enumerate(filled, start=1)
        ],
        content_label="NUCLEI",
        content_description=identity.RESEARCH_USE_ONLY,
        **identity.identity(result, "ANN", series_number=SERIES_NUMBER, description="Nuclei by compartment and grade"),
    )
    identity.settle(report, result, image)
    return report


def _gathered(result: Result, slide: SlideGeometry, coordinates: Coordinates) -> dict[tuple[int, int], _Columns]:
    """By (compartment, grade)."""
    gathered = {(c, g): _Columns() for c in range(len(COMPARTMENTS)) for g in range(len(GRADES))}
    for nuclei in read_nuclei(result.nuclei_file):
        points = _points(nuclei, slide, coordinates)
        group = nuclei.compartment * len(GRADES) + grades(nuclei, result.profile.thresholds)
        for (compartment, grade), columns in gathered.items():
            chosen = group == compartment * len(GRADES) + grade
            if chosen.any():
                columns.points.append(points[chosen])
                columns.confidence.append(nuclei.confidence[chosen])
    return gathered


def _points(nuclei: Nuclei, slide: SlideGeometry, coordinates: Coordinates) -> Points:
    if coordinates is Coordinates.SLIDE:
        return slide.to_slide(nuclei.x, nuclei.y).astype(np.float32)
    return (np.stack([nuclei.x, nuclei.y], axis=1) + 0.5).astype(np.float32)


def _group(result: Result, number: int, key: tuple[int, int], columns: _Columns, confidence: bool) -> AnnotationGroup:
    compartment, grade = key
    name = f"{COMPARTMENTS[compartment]} {grade}"
    points = np.concatenate(columns.points)
    group = AnnotationGroup(
        number=number,
        uid=derived_uid(result.id, f"ANN/{name}"),
        label=name,
        description=f"Nuclei of the {COMPARTMENTS[compartment]}, grade {grade} ({GRADES[grade]})",
        annotated_property_category=concept(codes.ANATOMICAL_STRUCTURE),
        annotated_property_type=concept(codes.NUCLEUS),
        primary_anatomic_structures=[concept(_COMPARTMENT_CODES[compartment])],
        graphic_type="POINT",
        graphic_data=[points[:1]],
        algorithm_type="AUTOMATIC",
        algorithm_identification=identity.algorithm_sequence(result),
    )
    return _filled(group, points, np.concatenate(columns.confidence) if confidence else None)


def _filled(group: AnnotationGroup, points: Points, confidence: npt.NDArray[np.float32] | None) -> AnnotationGroup:
    """Put all points where the first stands: highdicom's constructor visits each in Python, seconds and gigabytes a
    million.
    """
    group.NumberOfAnnotations = len(points)
    if points.shape[1] == 3:
        group.CommonZCoordinateValue = float(points[0, 2])  # a slide is flat: every nucleus has the plane's z
    group.PointCoordinatesData = points[:, :2].tobytes()
    if confidence is not None:
        values = Measurements(name=concept(codes.DETECTION_CONFIDENCE), values=confidence, unit=concept(codes.ONE))
        group.MeasurementsSequence = [values]
    return AnnotationGroup.from_dataset(group, copy=False)
