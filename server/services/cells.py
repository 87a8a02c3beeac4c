"""Cells of a result, whichever door they leave by: those of a window and region, as points or counted in squares.

Memory is flat in their number for points, and in the number of squares for squares.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inference.analyzers.analyzer import Analyzer
from inference.cells.values import Cells, IntArray
from inference.criteria import Criteria
from inference.geometry import Region
from inference.measures import ALL
from server.domain.errors import Refused, ServiceReason

PART = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which cells of an analyzer's: `window` in px of the largest level (None: all), `region` by name (empty: all)."""

    analyzer: Analyzer
    criteria: Criteria
    window: Region | None = None
    region: str = ""

    def __post_init__(self) -> None:
        """Raises Refused ARGUMENT_INVALID for a region that no cell of this analyzer can be of."""
        known = {ALL, *(group.region for group in self.analyzer.groups)}
        if self.region and self.region not in known:
            message = f"region is none of this assay: {', '.join(sorted(known))}"
            raise Refused(ServiceReason.ARGUMENT_INVALID, message)

    def of(self, cells: Cells) -> Cells:
        """The cells whose centre lies inside."""
        kept = np.ones(len(cells), bool)
        if self.window is not None:
            w, x, y = self.window, cells.x, cells.y
            kept &= (x >= w.x - 0.5) & (x < w.right - 0.5) & (y >= w.y - 0.5) & (y < w.bottom - 0.5)
        if self.region not in ("", ALL):
            inside = np.array([group.region == self.region for group in self.analyzer.groups])
            kept &= inside[self.groups(cells)]
        return cells.taken(kept)

    def groups(self, cells: Cells) -> IntArray:
        """The group of each, (n,)."""
        return self.analyzer.group_of(cells, self.criteria).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """The square's corner in µm from the slide's, and its cells by the analyzer's groups."""

    x_um: float
    y_um: float
    counts: tuple[int, ...]


def points(batches: Iterator[Cells], selection: Selection) -> Iterator[Cells]:
    """Parts of at most PART, in the file's order."""
    for batch in batches:
        chosen = selection.of(batch)
        for begin in range(0, len(chosen), PART):
            yield chosen.taken(slice(begin, begin + PART))


def squares(batches: Iterator[Cells], selection: Selection, *, mpp: float, square_um: float) -> Iterator[list[Square]]:
    """Squares of `square_um` with cells, row by row, in parts of at most PART."""
    table: dict[tuple[int, int], IntArray] = {}
    for batch in batches:
        _count(table, selection, selection.of(batch), mpp, square_um)
    places = sorted(table)
    for begin in range(0, len(places), PART):
        yield [
            Square(x_um=column * square_um, y_um=row * square_um, counts=tuple(table[row, column].tolist()))
            for row, column in places[begin : begin + PART]
        ]


def _count(
    table: dict[tuple[int, int], IntArray], selection: Selection, cells: Cells, mpp: float, square_um: float
) -> None:
    """Add the cells to the counts by group of each square (row, column)."""
    column, row = (np.floor((v + 0.5) * mpp / square_um).astype(np.int64) for v in (cells.x, cells.y))
    found, numbers = np.unique(np.stack([row, column, selection.groups(cells)], axis=1), axis=0, return_counts=True)
    for (r, c, group), n in zip(found.tolist(), numbers.tolist(), strict=True):
        table.setdefault((r, c), np.zeros(len(selection.analyzer.groups), np.int64))[group] += n
