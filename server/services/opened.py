"""Results that pages have open: which laboratory's they are, their facts and files, without asking the database for
each tile.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from inference.assay import Assay
from inference.criteria import Criteria
from inference.slide import SlideFacts
from server.domain.access import ALL_LABS, Caller
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.repositories import WorkRepository
from server.domain.result import Result, ResultId
from server.services.changes import ChangeService

MOST_OPEN = 256
T = TypeVar("T")


class Kept(Generic[T]):
    """At most `most` values by key, the one used longest ago goes first. Safe for threads."""

    def __init__(self, most: int, drop: Callable[[T], None] = lambda _: None) -> None:
        self._most, self._drop = most, drop
        self._values: OrderedDict[object, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> T | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: object, value: T) -> T:
        """The value that is kept: an earlier one of the key."""
        gone: list[T] = []
        with self._lock:
            value = self._values.setdefault(key, value)
            while len(self._values) > self._most:
                gone.append(self._values.popitem(last=False)[1])
        for old in gone:
            self._drop(old)
        return value

    def forget(self, key: object) -> None:
        """Without dropping it."""
        with self._lock:
            self._values.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            gone, self._values = list(self._values.values()), OrderedDict()
        for old in gone:
            self._drop(old)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Of the result that no person changed, but for the `criteria`, which are the opened one's; `cells_file` None where
    it has none.
    """

    lab: str
    root: ResultId
    assay: Assay
    criteria: Criteria
    slide: SlideFacts
    cells_file: Path | None


class OpenedResults:
    """What never changes of a result, for its laboratory alone; each first look of a caller is in the audit."""

    def __init__(self, changes: ChangeService, work: WorkRepository) -> None:
        self._changes, self._work = changes, work
        self._known: Kept[Opened] = Kept(MOST_OPEN)
        self._noted: Kept[bool] = Kept(16 * MOST_OPEN)

    def get(self, actor: Caller, result_id: ResultId, seen: str) -> Opened:
        """`seen` is what the caller is going to see of it. Raises Refused RESULT_UNKNOWN."""
        known = self._known.get(result_id)
        if known is None:
            root, criteria = self._changes.original(actor, result_id), self._changes.criteria(actor, result_id)
            known = self._known.put(result_id, _opened(root.result, root.lab, criteria))
        if actor.lab not in (known.lab, ALL_LABS):
            raise Refused(ServiceReason.RESULT_UNKNOWN, "no such result in this laboratory: check the identifier")
        if self._noted.get((actor, result_id, seen)) is None:
            self._work.note_read(actor, result_id, seen)
            self._noted.put((actor, result_id, seen), True)
        return known


def _opened(root: Result, lab: str, criteria: Criteria) -> Opened:
    try:
        cells: Path | None = root.cells_file
    except KeyError:
        cells = None
    return Opened(
        lab=lab,
        root=root.id,
        assay=root.assay,
        criteria=criteria,
        slide=root.analysis.slide,
        cells_file=cells,
    )


def cells_of(opened: Opened) -> Path:
    """Raises Failed NUCLEI_MISSING."""
    if opened.cells_file is None or not opened.cells_file.is_file():
        message = f"the cells of result {opened.root} are no longer in the results' folder"
        raise Failed(ServiceReason.NUCLEI_MISSING, message)
    return opened.cells_file
