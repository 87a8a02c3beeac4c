"""What the audit must hold beside changes, which the database notes itself: who was refused, and who saw a patient."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection, Engine, text

from server.domain.access import Caller
from server.domain.errors import Failed
from server.store.database import transaction

NOTE = text("SELECT chromogen_note(:action, :object, :outcome)")

NOTED_EVERY_S = 3600.0
MOST_COUNTED = 10_000
"""Of caller and method; beyond, those that were refused longest ago are forgotten."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    """Of refusals `since` the last was noted."""

    noted_at: float
    since: int = 0


def note(connection: Connection, action: str, thing: str, outcome: str = "") -> None:
    """One line of the audit, in the caller's transaction and in its name. `thing` such as orders/UUID.

    The database takes only actions that its own triggers don't tell of (migrations/sql/audit_note.sql).
    """
    connection.execute(NOTE, {"action": action, "object": thing, "outcome": outcome})


class RefusedCallLog:
    """Notes calls that a caller may not make: the first, then each hour how many there were, as no line is ever
    deleted.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._counts: OrderedDict[tuple[str, ...], _Count] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, actor: Caller, method: str) -> None:
        """Raises nothing: the call is refused whether or not that can be written down."""
        name = method.rsplit("/", 1)[-1]
        times = self._due(actor.lab, actor.subject, name)
        if not times:
            return
        outcome = "PERMISSION_DENIED" if times == 1 else f"PERMISSION_DENIED {times} TIMES"
        try:
            with transaction(self._engine, lab=actor.lab, subject=actor.subject) as connection:
                note(connection, "call.refuse", f"methods/{name}", outcome)
        except Failed as error:
            log.error("refusal_not_noted", reason=str(error.reason))

    def _due(self, *who_and_what: str) -> int:
        """How many refusals are to be noted now; 0: it is counted."""
        with self._lock:
            now = self._clock()
            known = self._counts.pop(who_and_what, _Count(noted_at=now - NOTED_EVERY_S))
            due = now - known.noted_at >= NOTED_EVERY_S
            self._counts[who_and_what] = _Count(noted_at=now) if due else replace(known, since=known.since + 1)
            if len(self._counts) > MOST_COUNTED:
                self._counts.popitem(last=False)
            return known.since + 1 if due else 0
