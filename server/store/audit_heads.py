"""The ends of the audit's chains, written down outside of the database: in the log of `serve`, at its start and daily.

Whoever owns the database can compute every chain anew, or cut its end off, and leave it whole. What a log that is kept
elsewhere says then no longer fits (`chromogen audit verify --direct --heads FILE`).
"""

import json
import threading
from collections.abc import Iterable, Iterator

import structlog
from sqlalchemy import Engine, func, select

from inference.json_text import read_json
from server.domain.errors import Failed
from server.store.audit import Head
from server.store.database import transaction
from server.store.tables import audit

EVENT = "audit_head"
EVERY_S = 24 * 3600.0
AGAIN_S = 60.0
"""After a database that didn't answer."""

log = structlog.get_logger()


class HeadLog:
    """Writes every chain's end into the log until `stop`."""

    def __init__(self, engine: Engine, *, every_s: float = EVERY_S) -> None:
        self._engine, self._every_s = engine, every_s

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            stop.wait(self._every_s if self._logged() else AGAIN_S)

    def _logged(self) -> bool:
        try:
            found = heads(self._engine)
        except Failed as error:
            log.warning("audit_heads_not_logged", reason=str(error.reason))
            return False
        for head in found:
            log.info(EVENT, lab=head.lab, chain=head.chain, number=head.number, hash=head.hash)
        return True


def heads(engine: Engine) -> list[Head]:
    """Of all chains, from their index: the audit may hold years."""
    c = audit.c
    last = select(c.lab, c.chain, func.max(c.number).label("number")).group_by(c.lab, c.chain).subquery()
    same = (c.lab == last.c.lab) & (c.chain == last.c.chain) & (c.number == last.c.number)
    statement = select(c.lab, c.chain, c.number, c.hash).join(last, same).order_by(c.lab, c.chain)
    with transaction(engine) as connection:
        rows = connection.execute(statement).all()
    return [Head(lab=row.lab, chain=row.chain, number=row.number, hash=row.hash) for row in rows]


def line_of(head: Head) -> str:
    """As `serve` logs it, and `written` reads it."""
    return json.dumps(
        {"event": EVENT, "lab": head.lab, "chain": head.chain, "number": head.number, "hash": head.hash},
        ensure_ascii=False,
    )


def written(lines: Iterable[str]) -> frozenset[Head]:
    """The heads among the lines of a log; whatever else stands there is passed over."""
    return frozenset(head for line in lines for head in _head(line))


def _head(line: str) -> Iterator[Head]:
    try:
        found = read_json(line)
        if found["event"] == EVENT:
            yield Head(lab=found["lab"], chain=found["chain"], number=found["number"], hash=found["hash"])
    except (ValueError, KeyError, TypeError):
        return
