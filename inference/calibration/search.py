"""The cut-offs of the least H-score error, exactly: boxes of them are halved, and those that can't hold the best left
out.

A box's bound follows from its two corners, since every unit's score rises from one to the other. What is left at the
end is every single combination within `slack` of the best, not a sample of them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.calibration.surface import Cuts, Space, Surface
from inference.keypoints import FloatArray

FIRST_SIDE = 16
ROUNDING = 1e-9
CHUNK = 2_000_000
"""Numbers held at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Found:
    """The best cut-offs and their `loss`; `near` (m, 3) are all whose loss is within the slack asked for."""

    best: tuple[int, int, int]
    loss: float
    near: Cuts


def search(surface: Surface, space: Space, *, slack: float = 0.0) -> Found:
    """The least mean absolute error, and all cut-offs at most `slack` above it."""
    low, high = _grid(space, FIRST_SIDE)
    side, best = FIRST_SIDE, np.inf
    while True:
        least, reached = _bounds(surface, space, low, high)
        best = min(best, reached)
        keep = least <= best + slack + ROUNDING
        low, high, least = low[keep], high[keep], least[keep]
        if side == 1:
            return found(low, least, slack)
        side //= 2
        low, high = _halved(low, high, side, space)


def found(cuts: Cuts, losses: FloatArray, slack: float) -> Found:
    """Of equally good cut-offs the one in their middle: nothing was seen that tells them apart."""
    loss = float(losses.min())
    near = losses <= loss + slack + ROUNDING
    return Found(best=middle(cuts[losses <= loss + ROUNDING]), loss=loss, near=cuts[near])


def middle(cuts: Cuts) -> tuple[int, int, int]:
    """The one nearest to the mean of (m, 3) cut-offs, the lowest of several."""
    away = ((cuts - cuts.mean(axis=0)) ** 2).sum(axis=1)
    nearest = cuts[away <= away.min() + ROUNDING]
    first = nearest[np.lexsort(nearest.T[::-1])[0]]
    return int(first[0]), int(first[1]), int(first[2])


def _grid(space: Space, side: int) -> tuple[Cuts, Cuts]:
    axes = [np.arange(a, b + 1, side) for a, b in zip(space.lows, space.highs, strict=True)]
    low = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return _within(low, side, space)


def _within(low: Cuts, side: int, space: Space) -> tuple[Cuts, Cuts]:
    """Boxes of a side, as far as they lie in the space."""
    highs = np.array(space.highs)
    low = low[(low <= highs).all(axis=1)]
    high = np.minimum(low + side - 1, highs)
    fits = space.ordered(low, high)
    return low[fits], high[fits]


def _halved(low: Cuts, high: Cuts, side: int, space: Space) -> tuple[Cuts, Cuts]:
    steps = np.array(np.meshgrid([0, side], [0, side], [0, side], indexing="ij")).reshape(3, 8).T
    parts = (low[:, None] + steps).reshape(-1, 3)
    parts = parts[(parts <= np.repeat(high, 8, axis=0)).all(axis=1)]
    return _within(parts, side, space)


def _bounds(surface: Surface, space: Space, low: Cuts, high: Cuts) -> tuple[FloatArray, float]:
    """The least that each box can reach, and what the best of them surely reaches."""
    least, reached = np.empty(len(low)), np.inf
    step = max(CHUNK // len(surface.targets), 1)
    for first in range(0, len(low), step):
        part = slice(first, first + step)
        corners = (low[part], high[part]) if space.rising else (high[part], low[part])
        least[part] = surface.least(*corners)
        tried = _ordered_points(low[part], high[part], space)
        if len(tried):
            reached = min(reached, float(surface.losses(tried).min()))
    return least, reached


def _ordered_points(low: Cuts, high: Cuts, space: Space) -> Cuts:
    """The middles of boxes, where the order of their cut-offs is right."""
    middles = (low + high) // 2
    right: npt.NDArray[np.bool_] = space.ordered(middles, middles)
    return middles[right]
