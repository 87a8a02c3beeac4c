"""How large what a person drew is: polygons together, parts that overlap once, without what is left out."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt

from inference.change import Polygon
from inference.geometry import Size

LINES = 2000
"""Across the height, and two at least between the heights of corners, where sides are straight; along a line lengths
are exact."""

Floats = npt.NDArray[np.float64]


def area_px(polygons: Sequence[Polygon], size: Size, without: Sequence[Polygon] = ()) -> float:
    """In px², inside of a slide of `size`: each polygon by the even-odd rule, as `inference.change.inside` has it."""
    corners = np.unique(np.clip(np.concatenate([*polygons, *without])[:, 1], 0, size.height))
    least = 1 if len(corners) > LINES else 2
    area, per_line = 0.0, np.ptp(corners) / LINES
    for top, bottom in pairwise(corners.tolist()):
        lines = max(ceil((bottom - top) / per_line), least)
        step = (bottom - top) / lines
        area += step * sum(_length(top + step * (i + 0.5), polygons, without, size.width) for i in range(lines))
    return area


def _length(y: float, polygons: Sequence[Polygon], without: Sequence[Polygon], width: int) -> float:
    """What a line across the slide has inside."""
    inside, outside = _steps(y, polygons, width), _steps(y, without, width)
    x = np.concatenate([inside[0], outside[0]])
    order = np.argsort(x, kind="stable")
    kept = np.cumsum(np.concatenate([inside[1], np.zeros(len(outside[0]))])[order])
    left_out = np.cumsum(np.concatenate([np.zeros(len(inside[0])), outside[1]])[order])
    counts = (kept > 0) & (left_out == 0)
    return float(np.diff(x[order])[counts[:-1]].sum())


def _steps(y: float, polygons: Sequence[Polygon], width: int) -> tuple[Floats, Floats]:
    """Where the line enters (1) and leaves (-1) a polygon, of all of them; at the slide's edge what lies beyond it."""
    crossings = [np.sort(_crossings(y, polygon)).clip(0, width) for polygon in polygons]
    steps = [np.where(np.arange(len(x)) % 2 == 0, 1.0, -1.0) for x in crossings]
    return np.concatenate([*crossings, np.empty(0)]), np.concatenate([*steps, np.empty(0)])


def _crossings(y: float, polygon: Polygon) -> Floats:
    (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
    over = (y0 > y) != (y1 > y)
    x: Floats = x0[over] + (x1[over] - x0[over]) * (y - y0[over]) / (y1[over] - y0[over])
    return x
