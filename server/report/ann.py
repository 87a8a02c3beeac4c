"""The cells of a result as Microscopy Bulk Simple Annotations: a group of points for each of the analyzer's groups.

Points are columns and rows of the largest image's total pixel matrix, its top-left corner being (0, 0) and the centre
of its first pixel (0.5, 0.5) (PS3.3 C.37.1.2.1), or millimetres in the slide's frame of reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from highdicom.ann import AnnotationGroup, Measurements, MicroscopyBulkSimpleAnnotations
from highdicom.color import CIELabColor
from pydicom import Dataset

from inference.analyzers.analyzer import Analyzer, Group
from inference.cells.file import read_cells
from inference.cells.values import Cells
from server.domain.result import Result
from server.report import codes, identity
from server.report.identity import concept, derived_uid
from server.report.source import SlideGeometry, geometry, main_image

SERIES_NUMBER = 9102

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
    """The annotations of a result's cells, 12 bytes a cell (8 without `confidence`); None where it has none.

    Raises Refused as `source.main_image`, and CELLS_INVALID where the file holds cells of another kind of assay.
    """
    image, analyzer = main_image(result, source), result.assay.analyzer
    gathered = _gathered(result, geometry(image, mpp=result.analysis.slide.mpp), coordinates)
    filled = [(group, columns) for group, columns in zip(analyzer.groups, gathered, strict=True) if columns.points]
    if not filled:
        return None
    cells = analyzer.file_stem
    description = f"{cells.capitalize()} by {analyzer.legend.by}"
    report = MicroscopyBulkSimpleAnnotations(
        source_images=[image],
        annotation_coordinate_type=coordinates.value,
        annotation_groups=[
            _group(result, number, group, columns, confidence)
            for number, (group, columns) in enumerate(filled, start=1)
        ],
        content_label=cells.upper(),
        content_description=identity.RESEARCH_USE_ONLY,
        **identity.identity(result, "ANN", series_number=SERIES_NUMBER, description=description),
    )
    identity.settle(report, result, image)
    return report


def _gathered(result: Result, slide: SlideGeometry, coordinates: Coordinates) -> list[_Columns]:
    """One for each of the analyzer's groups."""
    analyzer: Analyzer = result.assay.analyzer
    gathered = [_Columns() for _ in analyzer.groups]
    for cells in read_cells(result.cells_file, analyzer.schema):
        points = _points(cells, slide, coordinates)
        group_of = analyzer.group_of(cells, result.profile.criteria)
        for place, columns in enumerate(gathered):
            chosen = group_of == place
            if chosen.any():
                columns.points.append(points[chosen])
                columns.confidence.append(cells["confidence"][chosen])
    return gathered


def _points(cells: Cells, slide: SlideGeometry, coordinates: Coordinates) -> Points:
    if coordinates is Coordinates.SLIDE:
        return slide.to_slide(cells.x, cells.y).astype(np.float32)
    return (np.stack([cells.x, cells.y], axis=1) + 0.5).astype(np.float32)


def _group(result: Result, number: int, of: Group, columns: _Columns, confidence: bool) -> AnnotationGroup:
    analyzer, points = result.assay.analyzer, np.concatenate(columns.points)
    group = AnnotationGroup(
        number=number,
        uid=derived_uid(result.id, f"ANN/{of.name}"),
        label=of.name,
        description=of.description,
        annotated_property_category=concept(codes.ANATOMICAL_STRUCTURE),
        annotated_property_type=concept(codes.structure_of(analyzer)),
        primary_anatomic_structures=[concept(codes.region_of(analyzer, of.region))],
        graphic_type="POINT",
        graphic_data=[points[:1]],
        algorithm_type="AUTOMATIC",
        algorithm_identification=identity.algorithm_sequence(result),
        display_color=CIELabColor.from_rgb(*of.colour),
    )
    return _filled(group, points, np.concatenate(columns.confidence) if confidence else None)


def _filled(group: AnnotationGroup, points: Points, confidence: npt.NDArray[np.float32] | None) -> AnnotationGroup:
    """Put all points where the first stands: highdicom's constructor visits each in Python, seconds and gigabytes a
    million.
    """
    group.NumberOfAnnotations = len(points)
    if points.shape[1] == 3:
        group.CommonZCoordinateValue = float(points[0, 2])  # a slide is flat: every cell has the plane's z
    group.PointCoordinatesData = points[:, :2].tobytes()
    if confidence is not None:
        values = Measurements(name=concept(codes.DETECTION_CONFIDENCE), values=confidence, unit=concept(codes.ONE))
        group.MeasurementsSequence = [values]
    return AnnotationGroup.from_dataset(group, copy=False)
