"""A measure of a result over the slide as a parametric map: where a score comes from, at low power.

A pixel is a square of the slide of about 128 µm a side, of the cells whose centre it holds. A measure that is a mean
over cells can be told of each square, the H-score and percentages are; and a count by area.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom import Dataset

from inference.analyzers.analyzer import Analyzer
from inference.assay import Assay
from inference.cells.file import read_cells
from inference.measures import ALL, Measure
from server.domain.result import Result
from server.report import codes, identity
from server.report.concatenation import name_all_parts
from server.report.identity import concept
from server.report.low_power import pixel_measures, plane_orientation, plane_position, square_pixels, squares_of
from server.report.source import SlideGeometry, geometry, main_image

SERIES_NUMBER = 9104
SQUARE_UM = 128.0
NO_CELLS = -1.0
"""Of a square without cells."""
_MANY = 1000
"""Cells of a group in the try whether a measure is a mean: as many as no rule about few cells asks for."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mapped:
    """`weights` (groups,): what a cell of each group counts in the measure, a mean over cells or their sum by mm²."""

    measure: Measure
    weights: Floats

    @property
    def by_area(self) -> bool:
        return bool(self.measure.by_area)


def build_map(result: Result, source: Sequence[Dataset]) -> Dataset | None:
    """The map; None where the result has no cells, or no measure that can be told of each square.

    Raises Refused as `source.main_image`, and CELLS_INVALID where the file holds cells of another kind of assay.
    """
    image, assay = main_image(result, source), result.assay
    mapped = mapped_of(assay)
    if mapped is None:
        return None
    slide = geometry(image, mpp=result.analysis.slide.mpp)
    side = square_pixels(slide, SQUARE_UM)
    values = value_map(result, slide, side, mapped)
    if (values == NO_CELLS).all():
        return None
    measure, most = mapped.measure, float((values if mapped.by_area else mapped.weights).max())
    report = ParametricMap(
        source_images=[image],
        pixel_array=values[None],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_meaning(measure, most)],
        pixel_measures=pixel_measures(image, slide, side),
        plane_orientation=plane_orientation(slide),
        plane_positions=[plane_position(slide, side)],
        voi_lut_transformations=[VOILUTTransformation(window_center=most / 2, window_width=most)],
        content_label=f"{measure.code}_MAP"[:16],
        content_description=identity.use_of(result),
        **identity.identity(result, "MAP", series_number=SERIES_NUMBER, description=f"Map of {measure.display}"),
    )
    report.FloatPixelPaddingValue = report.FloatPixelPaddingRangeLimit = NO_CELLS
    report.PatientOrientation = None  # as of the segmentation
    name_all_parts(report, result, image)
    identity.settle(report, result, image)
    return report


def mapped_of(assay: Assay) -> Mapped | None:
    """What the map is of: the analyzer's choice, else the first measure; None where that can't be told of squares."""
    measure = assay.analyzer.mapped or assay.measures[0]
    weights = sum_weights(assay, measure.by_area) if measure.by_area else mean_weights(assay, measure)
    return None if weights is None else Mapped(measure=measure, weights=weights)


def mean_weights(assay: Assay, measure: Measure) -> Floats | None:
    """What a cell of each group counts in a measure, (groups,); None where that is no mean over cells."""
    alone, mixture, mixed = _asked(assay, measure.code)
    if alone is None or mixed is None:
        return None
    expected = float((alone * mixture).sum() / mixture.sum())
    return alone if abs(mixed - expected) <= 1e-3 * max(1.0, abs(expected)) and alone.max() > 0 else None


def sum_weights(assay: Assay, count: str) -> Floats | None:
    """What a cell of each group counts in the count of that code, (groups,); None where that is no sum over cells."""
    alone, mixture, mixed = _asked(assay, count)
    if alone is None or mixed is None:
        return None
    weights = np.asarray(alone / _MANY, np.float32)
    return weights if mixed == float((weights * mixture).sum()) and weights.max() > 0 else None


def _asked(assay: Assay, code: str) -> tuple[Floats | None, npt.NDArray[np.int64], float | None]:
    """The analyzer itself is asked: of each group alone, then of a mixture, to see what that is of its parts."""
    groups = len(assay.analyzer.groups)
    alone = [_value(assay, code, _MANY * (np.arange(groups) == place)) for place in range(groups)]
    mixture = _MANY * np.arange(1, groups + 1)
    known = None if any(value is None for value in alone) else np.array(alone, np.float32)
    return known, mixture, _value(assay, code, mixture)


def _value(assay: Assay, code: str, counts: npt.NDArray[np.int64]) -> float | None:
    rows = assay.analyzer.scores(assay.measures, counts, None)
    return next((row.value for row in rows if (row.measure, row.region) == (code, ALL)), None)


def value_map(result: Result, slide: SlideGeometry, side: int, mapped: Mapped) -> Floats:
    """(rows, columns): the measure in each square of so many pixels a side, NO_CELLS where it has none."""
    analyzer: Analyzer = result.assay.analyzer
    shape = (-(-slide.rows // side), -(-slide.columns // side))
    total, count = np.zeros(shape), np.zeros(shape)
    for cells in read_cells(result.cells_file, analyzer.schema):
        where = squares_of(cells.y, side, shape[0]), squares_of(cells.x, side, shape[1])
        np.add.at(total, where, mapped.weights[analyzer.group_of(cells, result.profile.criteria)])
        np.add.at(count, where, 1)
    by = _areas_mm2(slide, side, shape) if mapped.by_area else np.maximum(count, 1)
    return np.where(count > 0, total / by, NO_CELLS).astype(np.float32)


def _areas_mm2(slide: SlideGeometry, side: int, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Of each square what lies on the slide."""
    heights, widths = (
        np.minimum(side, size - side * np.arange(n)) * spacing
        for size, n, spacing in zip((slide.rows, slide.columns), shape, slide.spacing, strict=True)
    )
    return np.asarray(np.outer(heights, widths), np.float64)


def _meaning(measure: Measure, most: float) -> RealWorldValueMapping:
    """Pixels are the measure's own values."""
    return RealWorldValueMapping(
        lut_label=measure.code[:16],
        lut_explanation=measure.display,
        unit=concept(codes.unit_of(measure.unit) or codes.ONE),
        value_range=(0.0, most),
        slope=1,
        intercept=0,
        quantity_definition=concept(codes.of_measure(measure)),
    )
