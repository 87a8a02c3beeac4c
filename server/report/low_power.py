"""What reports at low power share: squares of the slide, and where a picture made of them lies."""

import numpy as np
import numpy.typing as npt
from highdicom import CoordinateSystemNames, PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from pydicom import Dataset

from server.report.source import SlideGeometry

SECTION_MM = 0.004
"""Thickness given where the slide names none: a usual section."""


def square_pixels(slide: SlideGeometry, side_um: float) -> int:
    """Pixels of the largest image along the side of a square, as near `side_um` as whole pixels give."""
    return max(round(side_um / 1000 / slide.spacing[1]), 1)


def squares_of(v: npt.NDArray[np.floating], side: int, count: int) -> npt.NDArray[np.int64]:
    """Squares of coordinates that count from the first pixel's centre; one beyond the edge is put in the last."""
    return np.clip(np.floor((v + 0.5) / side), 0, count - 1).astype(np.int64)


def pixel_measures(image: Dataset, slide: SlideGeometry, scale: float) -> PixelMeasuresSequence:
    shared = (image.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    measures = (shared.get("PixelMeasuresSequence") or [Dataset()])[0]
    return PixelMeasuresSequence(
        pixel_spacing=[round(spacing * scale, 12) for spacing in slide.spacing],
        slice_thickness=float(measures.get("SliceThickness") or SECTION_MM),
    )


def plane_orientation(slide: SlideGeometry) -> PlaneOrientationSequence:
    cosines = [*slide.along_row.tolist(), *slide.along_column.tolist()]
    return PlaneOrientationSequence(CoordinateSystemNames.SLIDE, image_orientation=cosines)


def plane_position(slide: SlideGeometry, scale: float) -> PlanePositionSequence:
    """The centre of the first pixel painted: (scale - 1) / 2 pixels of the large image from the centre of its first."""
    centre = np.array([(scale - 1) / 2])
    return PlanePositionSequence(
        CoordinateSystemNames.SLIDE,
        image_position=slide.to_slide(centre, centre)[0].round(6).tolist(),
        pixel_matrix_position=(1, 1),
    )
