"""Cells for the page: by squares and as a sample, and what drawn regions and corrections make of their histograms."""

import threading
from pathlib import Path

import numpy as np
import structlog

from inference.cells.histograms import Histograms
from inference.cells.values import IntArray
from inference.change import Edits, inside
from server.domain.access import Caller
from server.domain.change import CellChange, Change, DrawnRegion, check_limits
from server.domain.result import Result, ResultId
from server.services.cell_index import CellIndex, Records, index_of, named
from server.services.edits import edits_of
from server.services.opened import Kept, Opened, OpenedResults, cells_of

MOST_INDEXES = 64

log = structlog.get_logger()


def folder_of(results: Path) -> Path:
    """Where the indexes of a results' folder lie, beside it; made where it isn't there."""
    page = results.with_name("page")
    page.mkdir(mode=0o700, parents=True, exist_ok=True)
    return page / "cells"


def prepare(result: Result, folder: Path) -> None:
    """Make a result's index before anybody opens it. Raises nothing: without it the first who does waits for it."""
    try:
        index_of(result.cells_file, result.assay.analyzer, result.profile.criteria, folder)
    except Exception as error:
        log.warning("page_not_prepared", result=result.id, error=type(error).__name__)


class PageCells:
    """`folder` is where indexes are kept: it may be emptied at any time."""

    def __init__(self, opened: OpenedResults, folder: Path) -> None:
        self._opened, self._folder = opened, folder
        self._indexes: Kept[CellIndex] = Kept(MOST_INDEXES)
        self._making = threading.Lock()

    def index(self, actor: Caller, result_id: ResultId) -> CellIndex:
        """Raises Refused RESULT_UNKNOWN, CELLS_INVALID; Failed NUCLEI_MISSING."""
        return self._index(self._opened.get(actor, result_id, "result"))

    def histograms(
        self,
        actor: Caller,
        result_id: ResultId,
        regions: tuple[DrawnRegion, ...],
        cells: tuple[CellChange, ...],
    ) -> Histograms:
        """As `ChangeService.change` would keep them. Raises Refused REGION_INVALID, and as `index`."""
        check_limits(regions, cells)
        opened = self._opened.get(actor, result_id, "result")
        edits = edits_of(Change(by="", why="", regions=regions, cells=cells))
        made = Histograms.empty(opened.assay.analyzer.histograms)
        for part in self._index(opened).parts():
            _count(made, part, opened, edits)
        return made

    def _index(self, opened: Opened) -> CellIndex:
        key = (opened.root, named(opened.criteria))
        known = self._indexes.get(key)
        if known is not None:
            return known
        with self._making:
            made = index_of(cells_of(opened), opened.assay.analyzer, opened.criteria, self._folder)
        return self._indexes.put(key, made)


def _count(made: Histograms, part: Records, opened: Opened, edits: Edits) -> None:
    """Those of a square, in place; x and y are float32 as in the file."""
    x, y = part["x"].astype(np.float64), part["y"].astype(np.float64)
    named = np.array([row in edits.cells for row in part["row"].tolist()], bool) if edits.cells else None
    kept = ~inside(x, y, edits.exclude)
    groups = np.full(len(part), -1, np.int64)
    if named is not None and named.any():
        for at in np.flatnonzero(named):
            group = edits.cells[int(part["row"][at])]
            kept[at], groups[at] = group is not None, -1 if group is None else group
    _add(made, part[kept], groups[kept], opened, "")
    for region, polygons in edits.drawn.items():
        within = kept & inside(x, y, polygons)
        _add(made, part[within], groups[within], opened, region)


def _add(made: Histograms, part: Records, groups: IntArray, opened: Opened, region: str) -> None:
    hand = groups >= 0
    measured = part[~hand]
    for spec in opened.assay.analyzer.histograms:
        made.count(spec, measured.__getitem__, region=region)
    made.add_by_hand(np.bincount(groups[hand], minlength=len(opened.assay.analyzer.groups)), region=region)
