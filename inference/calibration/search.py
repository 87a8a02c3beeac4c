"""The cut-offs of the least H-score error, exactly: boxes of them are halved, and those that can't hold the best left
out.

A box's bounds follow from its two corners, since every unit's score rises from one to the other. The set of all that
are nearly as good comes as boxes too: what lies in it wholly isn't divided any further.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inference.calibration.surface import Cuts, Space, Surface
from inference.keypoints import FloatArray

FIRST_SIDE = 16
ROUNDING = 1e-9
CHUNK = 2_000_000
"""Numbers held at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Boxes:
    """Cut-offs from `low` to `high` inclusive, (b, 3) each; boxes don't overlap and hold ordered cut-offs only."""

    low: Cuts
    high: Cuts

    def __len__(self) -> int:
        return int((self.high - self.low + 1).prod(axis=1).sum())

    def holds(self, cuts: tuple[int, int, int]) -> bool:
        place = np.array(cuts)
        return bool(((self.low <= place) & (place <= self.high)).all(axis=1).any())

    def middle(self) -> tuple[int, int, int]:
        """The cut-offs nearest to the mean of all, the lowest of several."""
        volume = (self.high - self.low + 1).prod(axis=1)
        mean = np.average((self.low + self.high) / 2, axis=0, weights=volume)
        nearest = np.clip(np.rint(mean).astype(np.int64), self.low, self.high)
        away = ((nearest - mean) ** 2).sum(axis=1)
        of_these = nearest[away <= away.min() + ROUNDING]
        first = of_these[np.lexsort(of_these.T[::-1])[0]]
        return int(first[0]), int(first[1]), int(first[2])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Found:
    """The best cut-offs and their `loss`; `near` are all whose loss is within the slack asked for."""

    best: tuple[int, int, int]
    loss: float
    near: Boxes


def search(surface: Surface, space: Space, *, slack: float = 0.0) -> Found:
    """The least mean absolute error, and all cut-offs at most `slack` above it.

    Of equally good cut-offs the one in their middle is taken: nothing was seen that tells them apart.
    """
    loss = _least_loss(surface, space)
    ties = _within(surface, space, loss + ROUNDING)
    near = _within(surface, space, loss + slack + ROUNDING) if slack else ties
    return Found(best=ties.middle(), loss=loss, near=near)


def _least_loss(surface: Surface, space: Space) -> float:
    low, high = _grid(space, FIRST_SIDE)
    side, best = FIRST_SIDE, np.inf
    while True:
        least = _by_corners(surface, space, low, high, surface.least)
        middles = (low + high) // 2
        tried = middles[space.ordered(middles, middles)]
        best = min(best, float(_chunked(surface, tried, surface.losses).min(initial=np.inf)))
        keep = least < best - ROUNDING
        if side == 1 or not keep.any():
            return best
        side //= 2
        low, high = _halved(low[keep], high[keep], side, space)


def _within(surface: Surface, space: Space, limit: float) -> Boxes:
    """All cut-offs whose loss is at most `limit`."""
    low, high = _grid(space, FIRST_SIDE)
    side, kept = FIRST_SIDE, []
    while len(low):
        some = _by_corners(surface, space, low, high, surface.least) <= limit
        low, high = low[some], high[some]
        whole = (_by_corners(surface, space, low, high, surface.most) <= limit) & space.ordered(high, low)
        kept.append((low[whole], high[whole]))
        side //= 2
        if side == 0:
            break
        low, high = _halved(low[~whole], high[~whole], side, space)
    lows, highs = (np.concatenate([part[i] for part in kept]) for i in range(2))
    return Boxes(low=lows, high=highs)


def _grid(space: Space, side: int) -> tuple[Cuts, Cuts]:
    axes = [np.arange(a, b + 1, side) for a, b in zip(space.lows, space.highs, strict=True)]
    low = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return _in_space(low, side, space)


def _in_space(low: Cuts, side: int, space: Space) -> tuple[Cuts, Cuts]:
    """Boxes of a side, as far as they lie in the space and hold cut-offs in their order."""
    high = np.minimum(low + side - 1, np.array(space.highs))
    fits = (low <= high).all(axis=1) & space.ordered(low, high)
    return low[fits], high[fits]


def _halved(low: Cuts, high: Cuts, side: int, space: Space) -> tuple[Cuts, Cuts]:
    steps = np.array(np.meshgrid([0, side], [0, side], [0, side], indexing="ij")).reshape(3, 8).T
    return _in_space((low[:, None] + steps).reshape(-1, 3), side, space)


def _by_corners(
    surface: Surface, space: Space, low: Cuts, high: Cuts, bound: Callable[[Cuts, Cuts], FloatArray]
) -> FloatArray:
    """A bound on each box's losses, the corner of the lowest scores coming first."""
    corners = np.stack((low, high) if space.rising else (high, low), axis=1)
    return _chunked(surface, corners, lambda part: bound(part[:, 0], part[:, 1]))


def _chunked(surface: Surface, cuts: Cuts, of: Callable[[Cuts], FloatArray]) -> FloatArray:
    step = max(CHUNK // len(surface.targets), 1)
    parts = [of(cuts[first : first + step]) for first in range(0, len(cuts), step)]
    return np.concatenate(parts) if parts else np.zeros(0)
