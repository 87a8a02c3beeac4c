"""The cells of a result as Microscopy Bulk Simple Annotations: a group for each of the analyzer's groups, of points, or
of polygons where the cells have outlines.

Points are columns and rows of the largest image's total pixel matrix, its top-left corner being (0, 0) and the centre
of its first pixel (0.5, 0.5) (PS3.3 C.37.1.2.1), or millimetres in the slide's frame of reference.

What would be larger than MOST_BYTES is split into objects of one series, each with cells of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from highdicom.ann import AnnotationGroup, Measurements, MicroscopyBulkSimpleAnnotations
from highdicom.color import CIELabColor
from pydicom import Dataset

from inference.analyzers.analyzer import Analyzer, Group
from inference.cells.file import columns_of, read_cells, row_groups
from inference.cells.values import Cells
from inference.contour import CONTOUR, rings_of
from inference.outline import OUTLINE, RAYS, polygons
from server.domain.artifact import Coordinates as Coordinates
from server.domain.result import Result
from server.report import codes, identity
from server.report.codes import Code
from server.report.concatenation import name_all_parts
from server.report.identity import concept, derived_uid, part_of
from server.report.source import SlideGeometry, geometry, main_image

SERIES_NUMBER = 9102
MOST_BYTES = 64 << 20
"""Of an object's shapes and measurements: what archives and the way to them take, and memory holds, without trouble."""

Floats = npt.NDArray[np.float32]
CONTOUR_CORNERS = 60
"""Of a contour, a few more than there are on average."""


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """n points or polygons: `corners` (m, 2) columns and rows in pixels, or (m, 3) x, y, z in mm, one shape's after
    another's; `lengths` (n,), 1 of points.
    """

    corners: Floats
    lengths: npt.NDArray[np.int64]

    def taken(self, chosen: npt.NDArray[np.bool_]) -> "Shapes":
        return Shapes(self.corners[np.repeat(chosen, self.lengths)], self.lengths[chosen])

    @staticmethod
    def joined(parts: "Sequence[Shapes]") -> "Shapes":
        return Shapes(np.concatenate([p.corners for p in parts]), np.concatenate([p.lengths for p in parts]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One object of several: its number from 1, and the row groups of the file of cells that it is of."""

    number: int
    groups: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class _Columns:
    """What is gathered of one group, a batch of the file at a time."""

    shapes: list[Shapes] = field(default_factory=list)
    measured: dict[Code, list[npt.NDArray[np.float32]]] = field(default_factory=dict)

    def add(self, shapes: Shapes, measured: Mapping[Code, npt.NDArray[np.float32]]) -> None:
        self.shapes.append(shapes)
        for what, values in measured.items():
            self.measured.setdefault(what, []).append(values)


def ann_parts(
    result: Result,
    source: Sequence[Dataset],
    *,
    coordinates: Coordinates = Coordinates.PIXELS,
    most_bytes: int = MOST_BYTES,
) -> Iterator[Dataset]:
    """The annotations of a result's cells, in as many objects as it takes. Raises as `build_ann`."""
    for part in parts_of(result, most_bytes):
        report = build_ann(result, source, coordinates=coordinates, part=part)
        if report is not None:
            yield report


def parts_of(result: Result, most_bytes: int) -> list[Part]:
    """Row groups that fit together; one that doesn't alone stays whole. Raises Refused CELLS_INVALID."""
    of_one, parts, filled = _bytes_of_one(result), list[list[int]]([[]]), 0
    for number, rows in enumerate(row_groups(result.cells_file)):
        if parts[-1] and filled + rows * of_one > most_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(number)
        filled += rows * of_one
    return [Part(number=number, groups=tuple(groups)) for number, groups in enumerate(parts, start=1)]


def _bytes_of_one(result: Result) -> int:
    """Of a cell, as it is written: its place or its corners, and three measurements at most."""
    columns = columns_of(result.cells_file)
    corners = RAYS if OUTLINE in columns else CONTOUR_CORNERS if CONTOUR in columns else 1
    return 4 * (2 * corners + (1 if corners == 1 else 4))


def build_ann(
    result: Result,
    source: Sequence[Dataset],
    *,
    coordinates: Coordinates = Coordinates.PIXELS,
    confidence: bool = True,
    part: Part | None = None,
) -> Dataset | None:
    """The annotations of a result's cells, or of a part of them; None where it has none.

    12 bytes a point (8 without `confidence`), 216 a polygon, which has its area and density too.

    Raises Refused as `source.main_image`, and CELLS_INVALID where the file holds cells of another kind of assay.
    """
    image, analyzer = main_image(result, source), result.assay.analyzer
    slide, groups = geometry(image, mpp=result.analysis.slide.mpp), None if part is None else part.groups
    gathered = _gathered(result, slide, coordinates, confidence, groups)
    part = part or Part(number=1, groups=())
    filled = [(group, columns) for group, columns in zip(analyzer.groups, gathered, strict=True) if columns.shapes]
    if not filled:
        return None
    cells = analyzer.file_stem
    description = f"{cells.capitalize()} by {analyzer.legend.by}"
    report = MicroscopyBulkSimpleAnnotations(
        source_images=[image],
        annotation_coordinate_type=coordinates.value,
        annotation_groups=[
            _group(result, number, group, columns, part) for number, (group, columns) in enumerate(filled, start=1)
        ],
        content_label=cells.upper(),
        content_description=identity.use_of(result),
        **identity.identity(
            result, "ANN", series_number=SERIES_NUMBER, description=description, instance_number=part.number
        ),
    )
    name_all_parts(report, result, image, annotates=True)
    identity.settle(report, result, image)
    return report


def _gathered(
    result: Result,
    slide: SlideGeometry,
    coordinates: Coordinates,
    confidence: bool,
    groups: Sequence[int] | None,
) -> list[_Columns]:
    """One for each of the analyzer's groups."""
    analyzer: Analyzer = result.assay.analyzer
    gathered = [_Columns() for _ in analyzer.groups]
    for cells in read_cells(result.cells_file, analyzer.schema, groups=groups):
        shapes, measured = _shapes(cells, slide, coordinates), _measured(cells, confidence)
        group_of = analyzer.group_of(cells, result.profile.criteria)
        for place, columns in enumerate(gathered):
            chosen = group_of == place
            if chosen.any():
                columns.add(shapes.taken(chosen), {what: values[chosen] for what, values in measured.items()})
    return gathered


def _shapes(cells: Cells, slide: SlideGeometry, coordinates: Coordinates) -> Shapes:
    corners, lengths = _corners(cells, mpp=slide.spacing[1] * 1000)
    if coordinates is Coordinates.PIXELS:
        return Shapes((corners + 0.5).astype(np.float32), lengths)
    x, y = corners.T
    return Shapes(slide.to_slide(x, y).astype(np.float32), lengths)


def _corners(cells: Cells, *, mpp: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(m, 2) in px, the first pixel's centre being 0, and how many of them each cell has."""
    if CONTOUR in cells.columns:
        rings = rings_of(cells[CONTOUR], cells.x, cells.y, mpp=mpp)
        return rings.corners, rings.lengths
    if OUTLINE in cells.columns:
        found = polygons(cells[OUTLINE], cells.x, cells.y, mpp=mpp)
        return found.reshape(-1, 2), np.full(len(cells), found.shape[1])
    return np.stack([cells.x, cells.y], axis=1), np.ones(len(cells), np.int64)


def _measured(cells: Cells, confidence: bool) -> dict[Code, npt.NDArray[np.float32]]:
    """In the order in which they are written."""
    measured: dict[Code, npt.NDArray[np.float32]] = {}
    if confidence:
        measured[codes.DETECTION_CONFIDENCE] = cells["confidence"]
    if {OUTLINE, CONTOUR} & set(cells.columns):
        measured[codes.AREA] = cells["area_um2"]
    if OUTLINE in cells.columns:
        measured[codes.OUTLINED_DENSITY] = (cells["nucleus_od_centi"] / 100).astype(np.float32)
    return measured


def _group(result: Result, number: int, of: Group, columns: _Columns, part: Part) -> AnnotationGroup:
    analyzer, shapes = result.assay.analyzer, Shapes.joined(columns.shapes)
    group = AnnotationGroup(
        number=number,
        uid=derived_uid(result.id, part_of(f"ANN/{of.name}", part.number)),
        label=of.name,
        description=of.description,
        annotated_property_category=concept(codes.ANATOMICAL_STRUCTURE),
        annotated_property_type=concept(codes.structure_of(analyzer)),
        primary_anatomic_structures=[concept(codes.region_of(analyzer, of.region))],
        graphic_type="POINT" if shapes.lengths.max() == 1 else "POLYGON",
        graphic_data=[shapes.corners[: shapes.lengths[0]]],
        algorithm_type="AUTOMATIC",
        algorithm_identification=identity.algorithm_sequence(result),
        display_color=CIELabColor.from_rgb(*of.colour),
    )
    return _filled(group, shapes, {what: np.concatenate(values) for what, values in columns.measured.items()})


def _filled(
    group: AnnotationGroup, shapes: Shapes, measured: Mapping[Code, npt.NDArray[np.float32]]
) -> AnnotationGroup:
    """Put all shapes where the first stands: highdicom's constructor visits each in Python, seconds and gigabytes a
    million.
    """
    group.NumberOfAnnotations = len(shapes.lengths)
    if shapes.corners.shape[1] == 3:
        group.CommonZCoordinateValue = float(shapes.corners[0, 2])  # a slide is flat: every cell has the plane's z
    group.PointCoordinatesData = shapes.corners[:, :2].tobytes()
    if shapes.lengths.max() > 1:
        first = np.cumsum(shapes.lengths) - shapes.lengths
        group.LongPrimitivePointIndexList = (first * 2 + 1).astype(np.uint32).tobytes()
    if measured:
        group.MeasurementsSequence = [
            Measurements(name=concept(what), values=values, unit=concept(what.unit or codes.ONE))
            for what, values in measured.items()
        ]
    return AnnotationGroup.from_dataset(group, copy=False)
