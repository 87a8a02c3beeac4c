"""Where a DICOM level lies on its slide, as far as the file says so in valid numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydicom.dataset import Dataset

from server.slides.optical_path import items


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """None and empty text where the file doesn't say.

    `origin_um` is x, y of the first pixel in the slide's coordinates, `directions` (6,) are the cosines of growing
    column and growing row; `depth_um` is 0 where frames have depths of their own.
    """

    pyramid_uid: str
    frame_of_reference: str
    origin_um: tuple[float, float] | None
    directions: tuple[float, ...] | None
    depth_um: float


def read_place(dataset: Dataset) -> Place:
    matrix = (items(dataset, "TotalPixelMatrixOriginSequence") or [Dataset()])[0]
    x, y = (numbers(matrix.get(f"{axis}OffsetInSlideCoordinateSystem"), 1) for axis in "XY")
    return Place(
        pyramid_uid=str(dataset.get("PyramidUID") or ""),
        frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
        origin_um=(1000 * x[0], 1000 * y[0]) if x and y else None,
        directions=numbers(dataset.get("ImageOrientationSlide"), 6),
        depth_um=_depth_um(dataset, matrix),
    )


def spacing_um(dataset: Dataset, first: Sequence[Dataset] = ()) -> tuple[float, float] | None:
    """Width and height of a pixel, µm: from Pixel Spacing (rows first, mm), else from the volume that is imaged (mm).

    `first` may hold it too. None where neither is given.
    """
    for group in (*items(dataset, "SharedFunctionalGroupsSequence")[:1], *first):
        for measures in items(group, "PixelMeasuresSequence")[:1]:
            spacing = numbers(measures.get("PixelSpacing"), 2)
            if spacing and min(spacing) > 0:
                return 1000 * spacing[1], 1000 * spacing[0]
    return imaged_um(dataset)


def imaged_um(dataset: Dataset) -> tuple[float, float] | None:
    """Width and height of a pixel, µm, by the volume that is imaged (mm) and the matrix; None where one isn't given."""
    width, height = (numbers(dataset.get(k), 1) for k in ("ImagedVolumeWidth", "ImagedVolumeHeight"))
    if not width or not height or min(*width, *height) <= 0:
        return None
    columns, rows = (numbers(dataset.get(f"TotalPixelMatrix{side}"), 1) for side in ("Columns", "Rows"))
    if not columns or not rows or min(*columns, *rows) < 1:
        return None
    return 1000 * width[0] / columns[0], 1000 * height[0] / rows[0]


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers; None where the value holds others or something else."""
    several = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    try:
        found = tuple(float(v) for v in several)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(map(isfinite, found)) else None


def _depth_um(dataset: Dataset, matrix: Dataset) -> float:
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    positions = [place for group in shared for place in items(group, "PlanePositionSlideSequence")]
    found = [numbers(p.get("ZOffsetInSlideCoordinateSystem"), 1) for p in (matrix, *positions)]
    return next((z[0] for z in found if z), 0.0)
