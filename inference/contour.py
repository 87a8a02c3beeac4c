"""Outlines of labelled pixels as the corners of those pixels: a polygon of them holds exactly the pixels that it is of.

All labels are followed at once, a side of a pixel a step, clockwise from the top left corner of the first pixel. Holes
aren't followed.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.instance_table import Runs

CONTOUR = "contour"
"""The column of cells that holds them: bytes, of each cell a `_HEAD`, then moves in px of the picture it was found in,
alternately along x and y. A move of 0 goes on with the one before it."""
_HEAD = np.dtype([("um", "<f4"), ("x", "<i4"), ("y", "<i4")])
"""µm a px; the first corner from the cell's place, in 1/PARTS px."""
PARTS = 32
"""Of a px: places rounded to these are exact in float32 up to 500,000 px."""
_FARTHEST = 127

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """n polygons: `corners` (m, 2) x and y, one polygon after another, not closed; `first` (n,) of each."""

    corners: npt.NDArray[np.float64]
    first: Ints

    @property
    def lengths(self) -> Ints:
        return np.diff(np.append(self.first, len(self.corners)))


def rounded(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Places of cells in px as contours need them."""
    return np.rint(places * PARTS) / PARTS


def contours_of(labels: npt.NDArray[np.int32], runs: Runs, x: Any, y: Any, *, mpp: float) -> npt.NDArray[np.object_]:
    """(n,) bytes of labels 1 to n (h, w), whose places `x`, `y` are `rounded`; `mpp` of the labels' picture."""
    _, first_run = np.unique(runs.label[runs.label > 0], return_index=True)
    of = np.flatnonzero(runs.label > 0)[first_run]
    column, row = runs.first[of], runs.row[of]
    head = np.zeros(runs.n, _HEAD)
    head["um"], head["x"], head["y"] = mpp, (column - 0.5 - x) * PARTS, (row - 0.5 - y) * PARTS
    who, moves = _followed(labels, column, row)
    order = np.argsort(who, kind="stable")
    ends = np.cumsum(np.bincount(who, minlength=runs.n)).tolist()
    text, heads = moves[order].astype(np.int8).tobytes(), head.tobytes()
    found = np.empty(runs.n, object)
    size = _HEAD.itemsize
    found[:] = [heads[i * size : (i + 1) * size] + text[a:b] for i, (a, b) in enumerate(pairwise([0, *ends]))]
    return found


def rings_of(contours: npt.NDArray[np.object_], x: npt.ArrayLike, y: npt.ArrayLike, *, mpp: float) -> Rings:
    """Round the places (x, y), in px of `mpp` µm and in the places' own coordinates."""
    if len(contours) == 0:
        return Rings(np.zeros((0, 2)), np.zeros(0, np.int64))
    joined = np.frombuffer(b"".join(contours), np.int8)
    length = np.fromiter(map(len, contours), np.int64, len(contours))
    begin = np.cumsum(length) - length
    head = joined[begin[:, None] + np.arange(_HEAD.itemsize)].view(_HEAD)[:, 0]
    is_move = np.ones(len(joined), bool)
    is_move[(begin[:, None] + np.arange(_HEAD.itemsize)).ravel()] = False
    count = length - _HEAD.itemsize
    corners = _walked(joined[is_move])
    px = head["um"].astype(np.float64) / mpp
    uniform = np.ptp(px) == 0
    for axis, (place, name) in enumerate(((x, "x"), (y, "y"))):
        corners[:, axis] *= px[0] if uniform else np.repeat(px, count)
        corners[:, axis] += np.repeat(np.asarray(place) + head[name] / PARTS * px, count)
    return Rings(corners, np.cumsum(count) - count)


def _walked(moves: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """(m, 2) px from its ring's first corner, before each move. Moves of a ring are even in number and add up to 0."""
    across, down = moves[0::2], moves[1::2]
    right, below = np.cumsum(across, dtype=np.int32), np.cumsum(down, dtype=np.int32)
    at = np.empty((len(moves), 2))
    at[0::2, 0], at[1::2, 0] = right - across, right
    at[0::2, 1] = at[1::2, 1] = below - down
    return at


def _followed(labels: npt.NDArray[np.int32], column: Ints, row: Ints) -> tuple[Ints, Ints]:
    """Which label (from 0), and its next move, in the order in which moves of a label follow."""
    padded = np.pad(labels, 1)
    flat, width = padded.ravel(), padded.shape[1]
    ahead = np.array([1, width, -1, -width])
    right, left = np.array([0, -1, -width - 1, -width]), np.array([-width, 0, -1, -width - 1])
    who = np.arange(len(column))
    home = (row + 1) * width + column + 1  # the pixel below and right of a corner stands for it
    at, turn, run = home.copy(), np.zeros(len(who), np.intp), np.zeros(len(who), np.int64)
    found: list[tuple[Ints, Ints]] = [(who[:0], run[:0])]
    while len(who):
        at, run = at + ahead[turn], run + 1
        on_right, on_left = flat[at + right[turn]] == who + 1, flat[at + left[turn]] == who + 1
        bends = ~on_right | on_left
        signed = np.where(turn < 2, run, -run)
        found.append((who[bends], signed[bends]))
        far = ~bends & (run == _FARTHEST)
        if far.any():
            found += [(who[far], signed[far]), (who[far], 0 * signed[far])]
        turn = np.where(~on_right, turn + 1, np.where(on_left, turn - 1, turn)) % 4
        run[bends | far] = 0
        away = ~((at == home) & (turn == 0) & bends)
        if not away.all():
            who, home, at, turn, run = who[away], home[away], at[away], turn[away], run[away]
    return np.concatenate([w for w, _ in found]), np.concatenate([moves for _, moves in found])
