"""Cells as a person changed them: regions left out or scored apart, single cells left out or put in another group.

From the cells' file to another one and its histograms, without inference; memory flat in their number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.analyzers.analyzer import Analyzer
from inference.cells.by_hand import BY_HAND, NOT_BY_HAND, is_by_hand, with_by_hand
from inference.cells.file import CellWriter, columns_of, read_cells
from inference.cells.histograms import Histograms
from inference.cells.values import Cells, Mask
from inference.errors import Reason, Refused

Polygon = npt.NDArray[np.float64]
"""(k, 2) x, y in pixels of the largest level, pixel 0 covering 0 to 1; closed from the last to the first."""
LEFT_OUT = 254
"""In a table of overruled cells: not counted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edits:
    """`exclude` is left out; `drawn` names regions that are scored apart, each of some polygons; `cells` gives a row of
    the file its group (its place in the analyzer's), None: it is left out. A cell that is named is never left out for
    where it lies.
    """

    exclude: Sequence[Polygon] = ()
    drawn: Mapping[str, Sequence[Polygon]] = field(default_factory=dict)
    cells: Mapping[int, int | None] = field(default_factory=dict)


def inside(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], polygons: Iterable[Polygon]) -> Mask:
    """(n,): does the centre at pixel x, y (first centre 0) lie in one of them, by the even-odd rule?"""
    found = np.zeros(len(x), bool)
    for polygon in polygons:
        (left, top), (right, bottom) = polygon.min(axis=0) - 0.5, polygon.max(axis=0) - 0.5
        near = np.flatnonzero(~found & (x >= left) & (x <= right) & (y >= top) & (y <= bottom))
        found[near] = _crossings_odd(x[near] + 0.5, y[near] + 0.5, polygon)
    return found


def _crossings_odd(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], polygon: Polygon) -> Mask:
    """Of a ray to the right; an edge holds its upper end and not its lower."""
    odd = np.zeros(len(x), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        spans = (y0 > y) != (y1 > y)
        odd ^= spans & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return odd


def changed(cells_file: Path, out: Path, analyzer: Analyzer, edits: Edits, *, mpp: float) -> Histograms:
    """Write the cells that are left to `out`, and count them. `mpp` of the largest level.

    Raises Refused REGION_INVALID where a row or group isn't there, CELLS_INVALID.
    """
    made = Histograms.empty(analyzer.histograms)
    schema = with_by_hand(analyzer.schema.having(columns_of(cells_file)))
    with CellWriter(out, schema, mpp=mpp) as writer:
        for kept in edited(cells_file, analyzer, edits):
            count(made, kept, analyzer)
            for name, polygons in edits.drawn.items():
                count(made, kept.taken(inside(kept.x, kept.y, polygons)), analyzer, region=name)
            writer.add(kept)
    return made


def edited(cells_file: Path, analyzer: Analyzer, edits: Edits) -> Iterable[Cells]:
    """The cells that are left, in batches, with the column by_hand. Raises as `changed`."""
    rows, groups = _table(edits, len(analyzer.groups))
    begin = 0
    for batch in read_cells(cells_file, analyzer.schema):
        first, last = np.searchsorted(rows, [begin, begin + len(batch)])
        hand = np.full(len(batch), NOT_BY_HAND, np.uint8)
        hand[rows[first:last] - begin] = groups[first:last]
        named = hand != NOT_BY_HAND
        kept = (named | ~inside(batch.x, batch.y, edits.exclude)) & (hand != LEFT_OUT)
        schema = with_by_hand(batch.schema)
        yield Cells(schema, batch.x, batch.y, {**batch.columns, BY_HAND: hand}).taken(kept)
        begin += len(batch)
    if len(rows) and rows[-1] >= begin:
        raise Refused(Reason.REGION_INVALID, f"there is no cell {rows[-1]}: the file has {begin}")


def count(into: Histograms, cells: Cells, analyzer: Analyzer, *, region: str = "") -> None:
    """Add them: those that a person put in a group apart from the others, which criteria grade."""
    hand = is_by_hand(cells)
    into.add(cells.taken(~hand), analyzer.histograms, region=region)
    groups = np.bincount(cells.taken(hand)[BY_HAND], minlength=len(analyzer.groups))
    into.add_by_hand(groups.astype(np.int64), region=region)


def _table(edits: Edits, groups: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Rows in ascending order, and the group of each."""
    rows = sorted(edits.cells)
    wanted = [edits.cells[row] for row in rows]
    if any(row < 0 for row in rows) or any(group is not None and not 0 <= group < groups for group in wanted):
        raise Refused(Reason.REGION_INVALID, f"a cell is named by a row from 0 and a group from 0 to {groups - 1}")
    return np.array(rows, np.int64), np.array([LEFT_OUT if g is None else g for g in wanted], np.uint8)
