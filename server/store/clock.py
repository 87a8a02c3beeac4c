"""The database's time: what several machines decide by. A machine whose own clock differs says so, and nothing more."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import structlog
from sqlalchemy import Engine, text

from server import metrics
from server.domain.clock import Clock, utc_now
from server.domain.errors import Failed
from server.store.database import transaction

TOLERANCE_S = 5.0
EVERY_S = 60.0
_NOW = text("SELECT clock_timestamp()")

log = structlog.get_logger()


class DatabaseClock:
    """By this machine's clock, corrected by how far it is from the database's, as last asked. Safe for threads.

    Until the database has answered once, this machine's is all there is.
    """

    def __init__(
        self, engine: Engine, *, own: Clock = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._own, self._monotonic = engine, own, monotonic
        self._ahead, self._asked_at = timedelta(), -EVERY_S
        self._differs = False
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """UTC. Asks the database where that was a minute ago, and waits for it no longer than for anything of it."""
        with self._lock:
            if self._monotonic() >= self._asked_at + EVERY_S:
                self._ask()
            return self._own() - self._ahead

    def now_in_seconds(self) -> datetime:
        return self.now().replace(microsecond=0)

    def today(self) -> date:
        """In this machine's zone: profiles are valid by the laboratory's days."""
        return self.now().astimezone().date()

    def run(self, stop: threading.Event) -> None:
        """Look now and then, so that a clock that goes wrong is said before anybody asks."""
        while not stop.is_set():
            self.now()
            stop.wait(EVERY_S)

    def _ask(self) -> None:
        self._asked_at = self._monotonic()
        try:
            self._ahead = ahead(self._engine, self._own)
        except Failed:
            return
        seconds = self._ahead.total_seconds()
        metrics.CLOCK_AHEAD.set(seconds)
        differs = abs(seconds) > TOLERANCE_S
        if differs and not self._differs:
            advice = "set this machine's clock (NTP); nothing is decided by it meanwhile"
            log.warning("clock_differs", ahead_s=round(seconds, 1), advice=advice)
        self._differs = differs


def ahead(engine: Engine, own: Clock = utc_now) -> timedelta:
    """How far this machine's clock is before the database's, but for half of what the question took. Raises Failed."""
    with transaction(engine) as connection:
        before = own()
        theirs: datetime = connection.execute(_NOW).scalar_one()
        after = own()
    return before + (after - before) / 2 - theirs.astimezone(UTC)
