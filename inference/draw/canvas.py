"""A part of a drawing at a fine pixel size, on which membranes, cells and nuclei are drawn, all in µm of the slide."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from inference.draw.tessellation import Floats, Tessellation
from inference.draw.texture import Plane

SHIFT = 4
"""Bits of a pixel's fraction, as OpenCV takes coordinates."""
CELLS_MPP = 0.5
"""Areas of cells are drawn at this, and enlarged."""

Mask = npt.NDArray[np.bool_]


class Canvas:
    """`width` x `height` px of `mpp` µm, its corner at `origin` µm."""

    def __init__(self, origin: Floats, mpp: float, width: int, height: int) -> None:
        self.origin, self.mpp, self.width, self.height = origin, mpp, width, height
        self.x, self.y = (round(v / mpp) for v in origin)

    def plane(self) -> Plane:
        return np.zeros((self.height, self.width), np.float32)

    def near(self, xy: Floats, reach_um: float) -> Mask:
        """Which points lie on it, or not farther than `reach_um` beyond."""
        low, high = self.origin - reach_um, self.origin + np.array([self.width, self.height]) * self.mpp + reach_um
        return np.asarray(((xy > low) & (xy < high)).all(axis=1))

    def _fixed(self, xy: Floats, mpp: float) -> npt.NDArray[np.int64]:
        """Pixels from the corner's centre, in 2 ** SHIFT parts."""
        placed: npt.NDArray[np.int64] = np.rint(((xy - self.origin) / mpp - 0.5) * 2**SHIFT).astype(np.int64)
        return placed

    def draw_membranes(self, plane: Plane, cells: Tessellation, density: Floats, width_um: Floats) -> None:
        """The denser above the fainter (in place)."""
        shown = np.flatnonzero((density > 0) & self.near(cells.middle, 3.0))
        shown = shown[np.argsort(density[shown], kind="stable")]
        start, end = (self._fixed(p[shown], self.mpp).tolist() for p in (cells.start, cells.end))
        thick = np.maximum(np.rint(width_um[shown] / self.mpp), 1).astype(int).tolist()
        for a, b, value, wide in zip(start, end, density[shown].tolist(), thick, strict=True):
            cv2.line(plane, a, b, value, wide, cv2.LINE_8, SHIFT)

    def fill_ellipses(self, plane: Plane, xy: Floats, axes: Floats, angle: Floats, value: Floats) -> None:
        """The denser above the fainter (in place); axes in µm, angles in degrees."""
        shown = np.flatnonzero((value > 0) & self.near(xy, 12.0))
        shown = shown[np.argsort(value[shown], kind="stable")]
        centre = self._fixed(xy[shown], self.mpp).tolist()
        half = np.rint(axes[shown] / self.mpp * 2**SHIFT).astype(int).tolist()
        for at, reach, turn, dense in zip(centre, half, angle[shown].tolist(), value[shown].tolist(), strict=True):
            cv2.ellipse(plane, at, reach, turn, 0, 360, dense, -1, cv2.LINE_8, SHIFT)

    def fill_cells(self, polygons: Sequence[Floats], which: Mask, centre: Floats, *, blur_um: float = 0.4) -> Plane:
        """1 within the cells of a mask, 0 elsewhere, soft at their borders."""
        columns, rows = (-(-int(v * self.mpp * 16) // int(CELLS_MPP * 16)) + 1 for v in (self.width, self.height))
        coarse = np.zeros((rows, columns), np.float32)
        for i in np.flatnonzero(which & self.near(centre, 25.0)).tolist():
            cv2.fillPoly(coarse, [self._fixed(polygons[i], CELLS_MPP).astype(np.int32)], 1.0, cv2.LINE_8, SHIFT)
        coarse = np.asarray(cv2.GaussianBlur(coarse, (0, 0), blur_um / CELLS_MPP), np.float32)
        by = CELLS_MPP / self.mpp
        big = cv2.resize(coarse, None, fx=by, fy=by, interpolation=cv2.INTER_LINEAR)
        return np.asarray(big[: self.height, : self.width], np.float32)


def polygons_of(cells: Tessellation) -> list[Floats]:
    """The outline of each cell: the ends of the segments round it, by their angle seen from its centre."""
    of = np.concatenate([cells.sides[:, 0], cells.sides[:, 1]] * 2)
    points = np.concatenate([cells.start, cells.start, cells.end, cells.end])
    away = points - cells.centre[of]
    order = np.lexsort((np.arctan2(away[:, 1], away[:, 0]), of))
    cuts = np.searchsorted(of[order], np.arange(1, len(cells.centre)))
    return np.split(points[order], cuts)
