"""A small map of a result for viewers that can't draw every cell: a binary segmentation at low power.

One pixel is a square of the slide of about 32 µm a side; it belongs to a segment when a cell of that kind has its
centre in it. One frame a segment, each the whole map, in the frame of reference of the slide.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom import CoordinateSystemNames, PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset

from inference.analyzers.analyzer import Analyzer, MapSegment
from inference.cells.file import read_cells
from server.domain.result import Result
from server.report import codes, identity
from server.report.identity import concept, derived_uid
from server.report.source import SlideGeometry, geometry, main_image

SERIES_NUMBER = 9103
CELL_UM = 32.0
SECTION_MM = 0.004
"""Thickness given where the slide names none: a usual section."""

Map = npt.NDArray[np.uint8]
"""(rows, columns, segments), 0 or 1."""


def build_seg(result: Result, source: Sequence[Dataset]) -> Dataset | None:
    """The map of a result's cells, a few hundred kilobytes whatever their number; None where it has none.

    Raises Refused as `source.main_image`, and CELLS_INVALID where the file holds cells of another kind of assay.
    """
    image, analyzer = main_image(result, source), result.assay.analyzer
    slide = geometry(image, mpp=result.analysis.slide.mpp)
    side = cell_pixels(slide)
    found = density_map(result, slide, side)
    if not found.any():
        return None
    report = Segmentation(
        source_images=[image],
        pixel_array=found[None],
        segmentation_type="BINARY",
        segment_descriptions=[
            _description(result, number, segment) for number, segment in enumerate(analyzer.segments, start=1)
        ],
        pixel_measures=_measures(image, slide, side),
        plane_orientation=_orientation(slide),
        plane_positions=[_position(slide, side)],
        omit_empty_frames=False,
        content_label=f"{analyzer.file_stem.upper()}_MAP",
        content_description=identity.RESEARCH_USE_ONLY,
        **identity.identity(result, "SEG", series_number=SERIES_NUMBER, description=f"Map of {analyzer.file_stem}"),
    )
    report.PatientOrientation = None  # type 2C: a slide has none, and older readers ask for the empty element
    identity.settle(report, result, image)
    return report


def cell_pixels(slide: SlideGeometry) -> int:
    """Pixels of the largest image along the side of one pixel of the map, so that it is as near 32 µm as whole pixels
    give.
    """
    return max(round(CELL_UM / 1000 / slide.spacing[1]), 1)


def density_map(result: Result, slide: SlideGeometry, side: int) -> Map:
    """Which squares of the map hold a cell of each segment. Square (0, 0) lies at the matrix's corner."""
    analyzer: Analyzer = result.assay.analyzer
    found = np.zeros((-(-slide.rows // side), -(-slide.columns // side), len(analyzer.segments)), np.uint8)
    for cells in read_cells(result.cells_file, analyzer.schema):
        row, column = _square(cells.y, side, found.shape[0]), _square(cells.x, side, found.shape[1])
        group_of = analyzer.group_of(cells, result.profile.criteria)
        for place, segment in enumerate(analyzer.segments):
            chosen = np.isin(group_of, list(segment.groups))
            found[row[chosen], column[chosen], place] = 1
    return found


def _square(v: npt.NDArray[np.float64], side: int, count: int) -> npt.NDArray[np.int64]:
    """Squares of coordinates that count from the first pixel's centre; one beyond the edge is put in the last."""
    return np.clip(np.floor((v + 0.5) / side), 0, count - 1).astype(np.int64)


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


def _measures(image: Dataset, slide: SlideGeometry, side: int) -> PixelMeasuresSequence:
    shared = (image.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    measures = (shared.get("PixelMeasuresSequence") or [Dataset()])[0]
    return PixelMeasuresSequence(
        pixel_spacing=[slide.spacing[0] * side, slide.spacing[1] * side],
        slice_thickness=float(measures.get("SliceThickness") or SECTION_MM),
    )


def _orientation(slide: SlideGeometry) -> PlaneOrientationSequence:
    cosines = [*slide.along_row.tolist(), *slide.along_column.tolist()]
    return PlaneOrientationSequence(CoordinateSystemNames.SLIDE, image_orientation=cosines)


def _position(slide: SlideGeometry, side: int) -> PlanePositionSequence:
    """The centre of the map's first pixel: (side - 1) / 2 pixels of the large image from the centre of its first."""
    centre = np.array([(side - 1) / 2])
    return PlanePositionSequence(
        CoordinateSystemNames.SLIDE,
        image_position=slide.to_slide(centre, centre)[0].round(6).tolist(),
        pixel_matrix_position=(1, 1),
    )
