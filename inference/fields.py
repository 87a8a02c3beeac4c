"""Fields: squares of the slide, the unit over which a score varies.

Read from the cells' file, in memory flat in their number. Where scores of fields are compared they are of FIELD_UM.
Intervals are drawn from `Fields.blocks`: smaller ones where the tissue is small, and none that hold next to nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.analyzers.analyzer import Analyzer
from inference.assay import Assay
from inference.cells.file import read_cells
from inference.cells.values import Cells, IntArray, Mask
from inference.criteria import Criteria
from inference.interval import LEAST_FIELDS

FIELD_UM = 500.0
COUNTED_UM = 62.5
"""Cells are counted by squares of this side."""
SIDES_UM = (FIELD_UM, 250.0, 125.0, COUNTED_UM, 1000.0, 2000.0, 4000.0)
"""Of blocks that intervals are drawn from: smaller than fields where tissue is small, larger where it is sparse."""
LEAST_CELLS = 50
"""Fields with fewer are not compared with others: their score is noise."""
LEAST_IN_BLOCK, LEAST_OF_USUAL = 10, 0.25
"""Squares with fewer cells, or a smaller part of those in the square where a cell usually lies, are slivers: of the
tissue's edge, or of a compartment that hardly reaches into it.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """k fields with cells, row by row: `place` (k, 2) column and row, `counts` (k, G) by the analyzer's groups."""

    place: IntArray
    counts: IntArray
    side_um: float = FIELD_UM

    def of_side(self, side_um: float) -> "Fields":
        """The same cells by squares of a side that is a whole multiple of this one."""
        place = self.place // round(side_um / self.side_um)
        squares, index = np.unique(place[:, ::-1], axis=0, return_inverse=True)
        counts = np.zeros((len(squares), self.counts.shape[1]), np.int64)
        np.add.at(counts, index.reshape(-1), self.counts)
        return Fields(squares[:, ::-1], counts, side_um)

    def blocks(self, groups: Mask | None = None) -> IntArray:
        """Cells of some groups (all for None) by block, (m, G), of other groups none: what an interval is drawn from.

        Squares of the first of SIDES_UM of which LEAST_FIELDS at least are no slivers; each sliver is joined to the
        nearest of these. None, m = 0, where no side has so many.
        """
        counts = self.counts if groups is None else self.counts * groups
        of_groups = Fields(self.place, counts, self.side_um)
        for side in (side for side in SIDES_UM if side >= self.side_um):
            squares = of_groups.of_side(side)
            if squares.whole.sum() >= LEAST_FIELDS:
                return squares.without_slivers()
        return np.zeros((0, counts.shape[1]), np.int64)

    @property
    def whole(self) -> Mask:
        """Which are no slivers, (k,)."""
        n = self.counts.sum(axis=1)
        usual = (n * n).sum() / max(n.sum(), 1)
        least: Mask = n >= max(LEAST_IN_BLOCK, LEAST_OF_USUAL * usual)
        return least

    def without_slivers(self) -> IntArray:
        """Counts (m, G) of the squares that are whole, each with the cells of the slivers nearest to it."""
        whole = self.whole
        place: IntArray = self.place[whole]
        counts: IntArray = self.counts[whole]
        for sliver, cells in zip(self.place[~whole], self.counts[~whole], strict=True):
            counts[((place - sliver) ** 2).sum(axis=1).argmin()] += cells
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A field: its top-left corner in µm from the slide's, its side in µm, cells and their score."""

    x_um: float
    y_um: float
    side_um: float
    n: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """How the score of all cells varies between fields of at least LEAST_CELLS cells; None where fewer than two."""

    fields: int
    standard_deviation: float | None
    hot_spot: Spot | None
    cold_spot: Spot | None


Where = Callable[[Cells], Mask]


def fields_of(
    cells_file: Path, analyzer: Analyzer, criteria: Criteria, *, mpp: float, where: Where | None = None
) -> Fields:
    """Count every cell of a file, or those that `where` names, by field and group.

    `mpp` of the largest level, whose pixels the file is in.
    """
    groups = len(analyzer.groups)
    keys, numbers = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for batch in read_cells(cells_file, analyzer.schema):
        cells = batch if where is None else batch.taken(where(batch))
        column, row = (((v + 0.5) * mpp // COUNTED_UM).astype(np.int64) for v in (cells.x, cells.y))
        key = (row << 24 | column) * groups + analyzer.group_of(cells, criteria)
        keys, numbers = _summed(np.concatenate([keys, key]), np.concatenate([numbers, np.ones_like(key)]))
    squares, index = np.unique(keys // groups, return_inverse=True)
    counts = np.zeros((len(squares), groups), np.int64)
    counts[index, keys % groups] = numbers
    return Fields(np.stack([squares & 0xFFFFFF, squares >> 24], axis=1), counts, COUNTED_UM)


def _summed(keys: IntArray, numbers: IntArray) -> tuple[IntArray, IntArray]:
    """Each key once, with the sum of its numbers."""
    each, index = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(each), np.int64)
    np.add.at(sums, index, numbers)
    return each, sums


def heterogeneity(fields: Fields, assay: Assay) -> Heterogeneity:
    """Spread of the score between fields of FIELD_UM, and where it is highest and lowest."""
    fields = fields.of_side(FIELD_UM)
    n = fields.counts.sum(axis=1)
    enough = np.flatnonzero(n >= LEAST_CELLS)
    if len(enough) < 2:
        return Heterogeneity(fields=len(enough), standard_deviation=None, hot_spot=None, cold_spot=None)
    scores = assay.analyzer.field_score(assay.measures, fields.counts[enough])

    def spot(i: int) -> Spot:
        x, y = fields.place[enough[i]] * FIELD_UM
        return Spot(x_um=float(x), y_um=float(y), side_um=FIELD_UM, n=int(n[enough[i]]), score=float(scores[i]))

    return Heterogeneity(
        fields=len(enough),
        standard_deviation=float(scores.std(ddof=1)),
        hot_spot=spot(int(scores.argmax())),
        cold_spot=spot(int(scores.argmin())),
    )
