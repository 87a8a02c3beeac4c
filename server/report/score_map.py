"""A result's first measure over the slide as a parametric map: where a score comes from, at low power.

A pixel is a square of the slide of about 128 µm a side, of the cells whose centre it holds. Only a measure that is a
mean over cells can be told of each square; the H-score and percentages are.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom import Dataset

from inference.analyzers.analyzer import Analyzer
from inference.assay import Assay
from inference.cells.file import read_cells
from inference.measures import ALL, Measure, find
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


def build_map(result: Result, source: Sequence[Dataset]) -> Dataset | None:
    """The map; None where the result has no cells, or its first measure isn't a mean over them.

    Raises Refused as `source.main_image`, and CELLS_INVALID where the file holds cells of another kind of assay.
    """
    image, assay = main_image(result, source), result.assay
    weights = mean_weights(assay)
    if weights is None:
        return None
    slide = geometry(image, mpp=result.analysis.slide.mpp)
    side = square_pixels(slide, SQUARE_UM)
    values = mean_map(result, slide, side, weights)
    if (values == NO_CELLS).all():
        return None
    measure, most = assay.measures[0], float(weights.max())
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


def mean_weights(assay: Assay) -> Floats | None:
    """What a cell of each group counts in the assay's first measure, (groups,); None where that is no mean over cells.

    Asked of the analyzer itself: of each group alone, then whether a mixture is the mean of its parts.
    """
    groups = len(assay.analyzer.groups)
    alone = [_value(assay, _MANY * (np.arange(groups) == place)) for place in range(groups)]
    mixture = _MANY * np.arange(1, groups + 1)
    mixed = _value(assay, mixture)
    if mixed is None or any(value is None for value in alone):
        return None
    weights = np.array(alone, np.float32)
    expected = float((weights * mixture).sum() / mixture.sum())
    return weights if abs(mixed - expected) <= 1e-3 * max(1.0, abs(expected)) and weights.max() > 0 else None


def _value(assay: Assay, counts: npt.NDArray[np.int64]) -> float | None:
    row = find(assay.analyzer.scores(assay.measures, counts, None), assay.measures[0], ALL)
    return None if row is None else row.value


def mean_map(result: Result, slide: SlideGeometry, side: int, weights: Floats) -> Floats:
    """(rows, columns): the mean weight of each square's cells, NO_CELLS where it has none."""
    analyzer: Analyzer = result.assay.analyzer
    shape = (-(-slide.rows // side), -(-slide.columns // side))
    total, count = np.zeros(shape), np.zeros(shape)
    for cells in read_cells(result.cells_file, analyzer.schema):
        where = squares_of(cells.y, side, shape[0]), squares_of(cells.x, side, shape[1])
        np.add.at(total, where, weights[analyzer.group_of(cells, result.profile.criteria)])
        np.add.at(count, where, 1)
    return np.where(count > 0, total / np.maximum(count, 1), NO_CELLS).astype(np.float32)


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
