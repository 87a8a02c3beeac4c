"""Leases that are renewed while what they are for goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

Renew = Callable[[], bool]
"""Renews one lease; False when it is no longer held, and need not be renewed again."""

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True, eq=False)
class _Lease:
    renew: Renew
    every_s: float
    due: float


class Leases:
    """Those of one holder, renewed by one thread of its own: to start one for each takes as long as to finish a case.

    The thread is there while leases are held, and some seconds more.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[_Lease] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0
        self._renewing: _Lease | None = None

    @contextmanager
    def held(self, renew: Renew, every_s: float) -> Iterator[None]:
        """`renew` is called every `every_s` until the block ends; then it isn't running any more.

        What it raises is logged.
        """
        lease = _Lease(renew=renew, every_s=every_s, due=time.monotonic() + every_s)
        with self._changed:
            self._see_to(lease)
            self._held.add(lease)
        try:
            yield
        finally:
            with self._changed:
                self._held.discard(lease)
                self._changed.wait_for(lambda: self._renewing is not lease)

    def _see_to(self, lease: _Lease) -> None:
        """Its thread, awake in time. Raises RuntimeError where none can be started; then nothing is changed."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="leases", daemon=True)
            thread.start()
            self._thread = thread
        elif lease.due < self._wakes_at:
            self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while self._held:
                first = min(self._held, key=lambda lease: lease.due)
                self._wakes_at = first.due
                if (wait_s := first.due - time.monotonic()) > 0:
                    self._changed.wait(wait_s)
                else:
                    self._renew(first)
            self._thread = None

    def _renew(self, lease: _Lease) -> None:
        """Without the lock, which is held before and after."""
        self._renewing = lease
        self._changed.release()
        try:
            still_held = lease.renew()
        except Exception as error:  # the other leases must not lapse
            log.error("lease_not_renewed", error=type(error).__name__)
            still_held = True
        finally:
            self._changed.acquire()
        self._renewing = None
        lease.due = time.monotonic() + lease.every_s
        if not still_held:
            self._held.discard(lease)
        self._changed.notify_all()
