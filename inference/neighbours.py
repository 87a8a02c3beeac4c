"""Who lies near whom: of each cell, how many of each group have their centre within a radius of its own."""

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int32]
AT_ONCE = 200_000
"""Cells whose neighbours are looked for together: memory is by this and how densely they lie."""


def neighbours(x: Places, y: Places, group: npt.NDArray[np.uint8], *, radius: float, groups: int) -> Counts:
    """(n, groups): others whose centre is at most `radius` away, in the units of `x` and `y`, both (n,)."""
    found = np.zeros((len(x), groups), np.int32)
    if len(x) == 0:
        return found
    column, row = (np.floor((v - v.min()) / radius).astype(np.int64) for v in (x, y))
    wide = int(column.max()) + 3
    square = (row + 1) * wide + column + 1
    order = np.argsort(square, kind="stable")
    x, y, group, square = x[order], y[order], group[order], square[order]
    for begin in range(0, len(x), AT_ONCE):
        mine = np.arange(begin, min(begin + AT_ONCE, len(x)))
        for step in (-wide, 0, wide):  # three squares of a row lie one after another
            first, last = (np.searchsorted(square, square[mine] + step + side) for side in (-1, 2))
            who = np.repeat(mine, last - first)
            of = np.arange(len(who)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
            other = of + np.repeat(first, last - first)
            near = (x[who] - x[other]) ** 2 + (y[who] - y[other]) ** 2 <= radius**2
            near &= who != other
            np.add.at(found, (order[who[near]], group[other[near]]), 1)
    return found
