"""Where tissue is, from a low-power picture: anything that absorbs more than clear glass, in patches of some size.

Fixed optical-density limits, not a threshold found on each slide: a slide that is all tissue has no second peak to
find. The mask errs towards tissue (it is dilated): an empty tile costs a moment, a lost nucleus changes a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.area import Area
from inference.geometry import Region
from inference.slide import Rgb, Slide

MASK_MPP = 8.0
LEAST_DENSITY = 0.045  # mean optical density over the three channels above the glass
GLASS_PERCENTILE = 99  # of each channel; clear glass is no darker than FAINTEST_GLASS
FAINTEST_GLASS = 230
SMALLEST_PATCH_UM2 = 500.0
MARGIN_UM = 24.0
BAND = 256  # rows of the picture looked at together: as floats all of a large slide's would take hundreds of MB

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """A mask (rows, columns) with a margin; `area_mm2` is without it; `overview` the low-power picture it came from.

    `cells_per_px` is cells of the mask per pixel of the working grid.
    """

    mask: Mask
    cells_per_px: float
    area_mm2: float
    overview: Rgb

    def touches(self, region: Region) -> bool:
        """Does the region (working px) hold any tissue?"""
        rows, columns = self.mask.shape
        x, right = (self._cell(v, columns) for v in (region.x, region.right - 1))
        y, bottom = (self._cell(v, rows) for v in (region.y, region.bottom - 1))
        return bool(self.mask[y : bottom + 1, x : right + 1].any())

    def holds(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Mask:
        """For each point (working px): is it in tissue? Depends on the point alone, so never on the tiles."""
        rows = np.clip(((y + 0.5) * self.cells_per_px).astype(int), 0, self.mask.shape[0] - 1)
        columns = np.clip(((x + 0.5) * self.cells_per_px).astype(int), 0, self.mask.shape[1] - 1)
        found: Mask = self.mask[rows, columns]
        return found

    def _cell(self, v: int, cells: int) -> int:
        """The mask's cell of a working pixel; the last one also holds what a rounded-down mask leaves over."""
        return min(max(int((v + 0.5) * self.cells_per_px), 0), cells - 1)


def find_tissue(
    slide: Slide,
    region: Region,
    *,
    within: Area | None = None,
    without: Sequence[Area] = (),
    among: Sequence[Area] = (),
) -> Tissue:
    """The tissue of a slide inside a region of its working grid, within an area, among those named, without others."""
    overview, grid = slide.overview(MASK_MPP)
    mask = tissue_mask(overview, grid.mpp)
    per_px = slide.working.scale / grid.scale
    mask &= _box(mask.shape, region, per_px)
    if within is not None:
        mask &= within.drawn(mask.shape, 1 / grid.scale)
    if among:
        mask &= np.any([area.drawn(mask.shape, 1 / grid.scale) for area in among], axis=0)
    for left_out in without:
        mask &= ~_core(left_out.drawn(mask.shape, 1 / grid.scale))
    margin = max(round(MARGIN_UM / grid.mpp), 1)
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)).astype(bool)
    area = float(mask.sum()) * (grid.mpp / 1000) ** 2
    return Tissue(mask=wide, cells_per_px=per_px, area_mm2=area, overview=overview)


def tissue_mask(overview: Rgb, mpp: float) -> Mask:
    """Tissue or not, (rows, columns), of a low-power picture."""
    glass = np.maximum(np.percentile(overview.reshape(-1, 3), GLASS_PERCENTILE, axis=0), FAINTEST_GLASS)
    smooth = np.asarray(cv2.GaussianBlur(overview, (0, 0), max(8.0 / mpp, 0.5)), np.uint8)
    scanned = (overview[..., 0] | overview[..., 1] | overview[..., 2]) > 0  # pure black was never scanned
    found = np.zeros(overview.shape[:2], bool)
    for top in range(0, len(found), BAND):
        found[top : top + BAND] = mean_density(smooth[top : top + BAND], glass) > LEAST_DENSITY
    found &= scanned
    return _without_specks(found, min(SMALLEST_PATCH_UM2 / mpp**2, found.size / 10))


def tissue_area_mm2(overview: Rgb, mpp: float) -> float:
    """How much of a low-power picture is tissue."""
    return float(tissue_mask(overview, mpp).sum()) * (mpp / 1000) ** 2


def mean_density(picture: Rgb, glass: npt.ArrayLike = (255, 255, 255)) -> npt.NDArray[np.float32]:
    """Mean optical density of the three channels above that of clear `glass` (3,), (h, w).

    What is brighter counts as glass.
    """
    white = np.asarray(glass, np.float32)
    of_value = -np.log10((np.minimum(np.arange(256)[:, None], white) + 1) / (white + 1)).astype(np.float32)
    by_channel = cv2.LUT(picture, of_value[:, None, :])
    return np.asarray(cv2.transform(by_channel, np.full((1, 3), 1 / 3, np.float32)), np.float32)


def _without_specks(mask: Mask, smallest: float) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False
    assert count == len(keep)
    kept: Mask = keep[labels]
    return kept


def _core(mask: Mask) -> Mask:
    """Without its rim, one pixel wide: what an outline only touches."""
    wide = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.erode(wide, np.ones((3, 3), np.uint8))[1:-1, 1:-1], bool)


def _box(shape: tuple[int, ...], region: Region, per_px: float) -> Mask:
    inside = np.zeros(shape, bool)
    x, y = int(region.x * per_px), int(region.y * per_px)
    inside[y : int(np.ceil(region.bottom * per_px)), x : int(np.ceil(region.right * per_px))] = True
    return inside
