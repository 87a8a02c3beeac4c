"""Fields: squares of the slide, the unit over which a score varies.

Read from the cells' file, in memory flat in their number.
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

FIELD_UM = 500.0
LEAST_CELLS = 50
"""Fields with fewer are not compared with others: their score is noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """k fields with cells, row by row: `place` (k, 2) column and row, `counts` (k, G) by the analyzer's groups."""

    place: IntArray
    counts: IntArray


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
    table: dict[tuple[int, int], IntArray] = {}
    for batch in read_cells(cells_file, analyzer.schema):
        cells = batch if where is None else batch.taken(where(batch))
        column, row = (((v + 0.5) * mpp // FIELD_UM).astype(np.int64) for v in (cells.x, cells.y))
        key = (row << 32 | column) * groups + analyzer.group_of(cells, criteria)
        for k, n in zip(*(a.tolist() for a in np.unique(key, return_counts=True)), strict=True):
            field, group = divmod(k, groups)
            table.setdefault((field & 0xFFFFFFFF, field >> 32), np.zeros(groups, np.int64))[group] += n
    places = sorted(table, key=lambda p: (p[1], p[0]))
    counts = np.array([table[p] for p in places], np.int64).reshape(-1, groups)
    return Fields(np.array(places, np.int64).reshape(-1, 2), counts)


def heterogeneity(fields: Fields, assay: Assay) -> Heterogeneity:
    """Spread of the score between fields, and where it is highest and lowest."""
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
