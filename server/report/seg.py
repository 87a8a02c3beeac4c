"""A small map of a result for viewers that can't draw every cell: a binary segmentation at low power.

A square of the slide of about 32 µm a side belongs to a segment when a cell of that kind has its centre in it. Viewers
lay a segmentation over the level of the same geometry, so the squares are painted in the pixels of the coarsest level
that shows them, in tiles; where there is no such level a square is a pixel, and one frame a segment the whole map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset

from inference.analyzers.analyzer import Analyzer, MapSegment
from inference.cells.file import read_cells
from inference.geometry import Size
from inference.slide import SlideFacts
from server.domain.result import Result
from server.report import codes, identity
from server.report.concatenation import name_all_parts
from server.report.identity import concept, derived_uid
from server.report.low_power import pixel_measures, plane_orientation, plane_position, square_pixels, squares_of
from server.report.source import SlideGeometry, geometry, main_image

SERIES_NUMBER = 9103
CELL_UM = 32.0
LARGEST_LEVEL_PX = 16_000_000
"""Pixels of a level that is painted, a byte each and segment."""
TILE = 512

Map = npt.NDArray[np.uint8]
"""(rows, columns, segments), 0 or 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Canvas:
    """What is painted: `size` px, each `scale` pixels of the largest image a side."""

    size: Size
    scale: float


def build_seg(result: Result, source: Sequence[Dataset]) -> Dataset | None:
    """The map of a result's cells, some hundred kilobytes whatever their number; None where it has none.

    Raises Refused as `source.main_image`, and CELLS_INVALID where the file holds cells of another kind of assay.
    """
    image, analyzer = main_image(result, source), result.assay.analyzer
    slide = geometry(image, mpp=result.analysis.slide.mpp)
    side = cell_pixels(slide)
    found = density_map(result, slide, side)
    if not found.any():
        return None
    level = _level(result.analysis.slide, side)
    canvas = level or _Canvas(size=Size(width=found.shape[1], height=found.shape[0]), scale=side)
    report = Segmentation(
        source_images=[image],
        pixel_array=(found if level is None else _painted(found, side, level))[None],
        segmentation_type="BINARY",
        segment_descriptions=[
            _description(result, number, segment) for number, segment in enumerate(analyzer.segments, start=1)
        ],
        pixel_measures=pixel_measures(image, slide, canvas.scale),
        plane_orientation=plane_orientation(slide),
        plane_positions=[plane_position(slide, canvas.scale)],
        **_tiling(level),
        content_label=f"{analyzer.file_stem.upper()}_MAP",
        content_description=identity.use_of(result),
        **identity.identity(result, "SEG", series_number=SERIES_NUMBER, description=f"Map of {analyzer.file_stem}"),
    )
    report.PatientOrientation = None  # type 2C: a slide has none, and older readers ask for the empty element
    name_all_parts(report, result, image)
    identity.settle(report, result, image)
    return report


def _tiling(level: _Canvas | None) -> dict[str, Any]:
    """A level's empty tiles are left out; of a map without a level each segment is there, be it empty."""
    if level is None:
        return {"omit_empty_frames": False}
    return {"tile_pixel_array": True, "tile_size": (TILE, TILE), "omit_empty_frames": True}


def _level(facts: SlideFacts, side: int) -> _Canvas | None:
    """The coarsest level that shows squares of `side` pixels of the largest one; None where there is no small one."""
    canvases = [_Canvas(size=level.size, scale=level.mpp / facts.mpp) for level in facts.levels]
    fit = [c for c in canvases if c.scale <= side and c.size.area <= LARGEST_LEVEL_PX]
    return max(fit, key=lambda c: c.scale, default=None)


def _painted(found: Map, side: int, level: _Canvas) -> Map:
    """Each pixel of a level as the square is that its centre lies in: (rows, columns, segments)."""
    rows, columns = (
        squares_of((np.arange(count) + 0.5) * level.scale - 0.5, side, squares)
        for count, squares in zip((level.size.height, level.size.width), found.shape[:2], strict=True)
    )
    return found[rows][:, columns]


def cell_pixels(slide: SlideGeometry) -> int:
    """Pixels of the largest image along the side of one pixel of the map, so that it is as near 32 µm as whole pixels
    give.
    """
    return square_pixels(slide, CELL_UM)


def density_map(result: Result, slide: SlideGeometry, side: int) -> Map:
    """Which squares of the map hold a cell of each segment. Square (0, 0) lies at the matrix's corner."""
    analyzer: Analyzer = result.assay.analyzer
    found = np.zeros((-(-slide.rows // side), -(-slide.columns // side), len(analyzer.segments)), np.uint8)
    for cells in read_cells(result.cells_file, analyzer.schema):
        row, column = squares_of(cells.y, side, found.shape[0]), squares_of(cells.x, side, found.shape[1])
        group_of = analyzer.group_of(cells, result.profile.criteria)
        for place, segment in enumerate(analyzer.segments):
            chosen = np.isin(group_of, list(segment.groups))
            found[row[chosen], column[chosen], place] = 1
    return found


def _description(result: Result, number: int, segment: MapSegment) -> SegmentDescription:
    analyzer = result.assay.analyzer
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=concept(codes.ANATOMICAL_STRUCTURE),
        segmented_property_type=concept(codes.structure_of(analyzer)),
        primary_anatomic_structures=[concept(codes.region_of(analyzer, segment.region))],
        algorithm_type="AUTOMATIC",
        algorithm_identification=identity.algorithm_sequence(result),
        tracking_uid=derived_uid(result.id, f"SEG/{segment.name}"),
        tracking_id=f"{identity.MANUFACTURER} {result.id} {segment.name}",
    )
    described.SegmentDescription = segment.description
    return described
