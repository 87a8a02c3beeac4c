"""A worker: one case at a time, the most urgent first, under a lease that it renews; and the outbox, beside it.

A case ends in one of five ways: `run_case` finished it; it was refused; it failed and is tried again, or is dead; the
claim was lost, and nothing is written; or the worker was told to stop, and gives the order back.
"""

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import NoReturn, Protocol

import structlog

from inference.engines.shared_tiles import unlink_all
from inference.errors import Reason
from server import metrics, traces
from server.disk import AWAY, away
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.ports import Claim, Store
from server.domain.states import OrderState
from server.lasting import lasting
from server.lease import Leases

RunCase = Callable[[Claim], None]
"""Scores a case and calls `Store.finish`. It raises Refused or Failed and leaves `Store.end` to the worker."""

ReadyCheck = Callable[[], None]
"""Raises ChromogenError while no case could be scored."""


class Need(StrEnum):
    """What every case needs beside the database; an archive is one laboratory's, and holds up no other's."""

    ENGINE = "engine"
    DISK = "disk"


SAID = {Need.ENGINE: ("engine_not_usable", "engine_usable"), Need.DISK: ("disk_not_usable", "disk_usable")}
"""Events of the log, of a need that goes away and comes back."""


SIGNAL_POLL_S = 0.2
"""A signal is seen at most so much later."""
DUE_AT_ONCE = 10
"""Orders asked for at a time: as many as other workers may take before us."""

log = structlog.get_logger()


class Hints(Protocol):
    """Whatever says that there may be a case (`server.store.dispatch.Dispatcher`): calls the worker's `wake`."""

    def run(self, stop: threading.Event) -> None: ...


class Background(Protocol):
    """Jobs beside the cases (`server.jobs.JobRunner`)."""

    def step(self) -> bool: ...

    def run(self, stop: threading.Event, poll_s: float) -> None: ...


class Sending(Protocol):
    """The outbox as a worker runs it (`server.store.outbox.PostgresOutbox`)."""

    def send_due(self) -> int: ...

    def run(self, stop: threading.Event, poll_s: float) -> None: ...


class Worker:
    """`run` until told to stop, or `run_until_idle`."""

    def __init__(
        self,
        store: Store,
        outbox: Sending,
        run_case: RunCase,
        *,
        lease_s: float,
        poll_s: float,
        grace_s: float = 25,
        ready_checks: Mapping[Need, ReadyCheck] | None = None,
        background: Background | None = None,
    ) -> None:
        """`ready_checks` are asked before each claim: an order must not be computed for nothing."""
        self._store, self._outbox, self._run_case, self._background = store, outbox, run_case, background
        self._ready_checks = dict(ready_checks or {})
        self._lease_s, self._poll_s, self._grace_s = lease_s, poll_s, grace_s
        self._asked: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._leases = Leases()
        self._claim: Claim | None = None
        self._one_by_one_at = 0.0
        self._missing: dict[Need, str] = {}

    def wake(self) -> "Future[None]":
        """Have the worker's thread look for a case; done when it has looked, and ended the case it found."""
        asked: Future[None] = Future()
        self._asked.put(asked)
        return asked

    def stop(self) -> None:
        """Take no more cases; `run` returns when the present one ends, or has had its grace."""
        self._stop.set()
        self.wake()  # its thread may be waiting for the next poll

    def run(self, hints: Hints | None = None) -> bool:
        """Work until SIGTERM, SIGINT or `stop`; back within `grace_s` and a few seconds.

        False where a case outlived its grace: its threads still run, so the process should end by `leave_at_once`.
        """
        cases = lasting("cases", lambda _: self._work(), self._stop)
        others = [lasting("outbox", lambda stop: self._outbox.run(stop, self._poll_s), self._stop)]
        if self._background is not None:
            jobs = self._background
            others.append(lasting("jobs", lambda stop: jobs.run(stop, self._poll_s), self._stop))
        if hints is not None:
            others.append(lasting("dispatcher", hints.run, self._stop))
        with _signals() as told:
            for thread in (cases, *others):
                thread.start()
            log.info("worker_started")
            while not (told or self._stop.is_set()):
                time.sleep(SIGNAL_POLL_S)
            self.stop()
            cases.join(self._grace_s)
            self._give_back()
            for thread in others:
                thread.join(3)
        log.info("worker_stopped")
        return not cases.is_alive()

    def run_until_idle(self) -> int:
        """Do all due orders and send what is due, then return how many cases were run."""
        done = 0
        while True:
            while self.step():
                done += 1
            while self._background is not None and self._background.step():
                pass
            if self._outbox.send_due() == 0 and not self._store.due(1):
                return done

    def step(self) -> bool:
        """Run the most urgent due case; False when there is none. Raises Failed when the database can't be reached."""
        claim = self._taken()
        if claim is None:
            return False
        self._case(claim)
        return True

    def _taken(self) -> Claim | None:
        """In one statement; where that finds nothing, and every `poll_s`, one by one, which ends abandoned orders.

        That pass may meet nothing but abandoned ones, more urgent than what else is due.
        """
        if time.monotonic() < self._one_by_one_at and (claim := self._store.take(self._lease_s)) is not None:
            return claim
        self._one_by_one_at = time.monotonic() + self._poll_s
        claims = (self._store.claim(order_id, self._lease_s) for order_id in self._store.due(DUE_AT_ONCE))
        return next((claim for claim in claims if claim is not None), None) or self._store.take(self._lease_s)

    def _work(self) -> None:
        """The thread of cases: looks when asked, and every `poll_s` unasked."""
        while not self._stop.is_set():
            asked = self._next_asked()
            try:
                while not self._stop.is_set() and self._ready() and self.step():
                    pass
            except Failed as error:
                log.warning("worker_waits", reason=str(error.reason), detail=error.message)
                self._stop.wait(self._poll_s)
            except Exception as error:  # without this thread the worker would live on and do nothing
                log.error("worker_waits", error=type(error).__name__)
                self._stop.wait(self._poll_s)
            finally:
                if asked is not None and asked.set_running_or_notify_cancel():
                    asked.set_result(None)

    def _ready(self) -> bool:
        """While something is missing orders wait unclaimed, for this worker or for another."""
        missing = [need for need in self._ready_checks if not self._has(need)]
        return not missing

    def _has(self, need: Need) -> bool:
        """Said once when it changes."""
        trouble = self._trouble(need)
        metrics.USABLE[need].set(trouble is None)
        if trouble is None:
            if self._missing.pop(need, None) is not None:
                log.info(SAID[need][1])
            return True
        if need not in self._missing:
            log.error(SAID[need][0], reason=str(trouble.reason), detail=trouble.message)
        self._missing[need] = trouble.message
        return False

    def _trouble(self, need: Need) -> ChromogenError | None:
        try:
            self._ready_checks[need]()
        except ChromogenError as error:
            return error
        return None

    def _next_asked(self) -> "Future[None] | None":
        try:
            return self._asked.get(timeout=self._poll_s)
        except queue.Empty:
            return None

    def _case(self, claim: Claim) -> None:
        self._claim = claim
        order, attempt, priority = claim.order.id, claim.attempt, str(claim.order.request.priority)
        with (
            structlog.contextvars.bound_contextvars(order=order, attempt=attempt),
            traces.order_span("case", order, attempt=attempt, priority=priority),
        ):
            log.info("case_started", priority=priority)
            try:
                with self._leases.held(partial(self._renewed, claim), self._lease_s / 3):
                    self._run_case(claim)
                log.info("case_done")
                metrics.CASES.labels(OrderState.DONE.value, "").inc()
            except ChromogenError as error:
                self._ended(claim, self._whose_fault(error))
            except OSError as error:
                self._ended(claim, self._of_the_disk(error))
            except Exception as error:
                self._ended(claim, _broke(error))
            finally:
                self._claim = None

    def _ended(self, claim: Claim, error: ChromogenError) -> None:
        traces.ended(str(error.reason))
        if error.reason == ServiceReason.ATTEMPT_LOST:
            log.warning("case_lost")
            metrics.CASES.labels("LOST", str(error.reason)).inc()
            return
        state = self._end(claim, error)
        if state is None:
            return
        metrics.CASES.labels(str(state), str(error.reason)).inc()
        log.warning("case_ended", state=str(state), reason=str(error.reason))

    def _end(self, claim: Claim, error: ChromogenError) -> OrderState | None:
        """None where the claim is lost, or its end can't be told: its lease runs out, and it is taken up again.

        While the database is away nobody else can take it either: it is waited for, as an attempt would be lost else.
        """
        while True:
            try:
                return self._store.end(claim, _state_after(error), str(error.reason), error.message)
            except Failed as second:
                log.warning("case_not_ended", reason=str(second.reason))
                if second.reason != ServiceReason.DATABASE_UNREACHABLE or self._stop.wait(self._poll_s):
                    return None

    def _whose_fault(self, error: ChromogenError) -> ChromogenError:
        """A failed inference is the case's, unless the engine is away; a slide that can't be read, unless the disk is
        where it was fetched to.
        """
        if error.reason == ServiceReason.ATTEMPT_LOST:
            return error
        if error.reason == Reason.ENGINE_FAILED and error.retryable and (engine := self._away(Need.ENGINE)) is not None:
            return Failed(ServiceReason.ENGINE_UNREACHABLE, engine.message, retryable=True)
        return self._away(Need.DISK) or error

    def _away(self, need: Need) -> ChromogenError | None:
        return self._trouble(need) if need in self._ready_checks else None

    def _of_the_disk(self, error: OSError) -> ChromogenError:
        """Full or gone, as it says itself, or as a folder that vanished shows."""
        if error.errno in AWAY:
            return away(error)
        return self._away(Need.DISK) or _broke(error)

    def _renewed(self, claim: Claim) -> bool:
        try:
            self._store.progress(claim, 0.0, self._lease_s)
        except Failed as error:
            log.warning("lease_not_renewed", order=claim.order.id, reason=str(error.reason))
            return error.reason != ServiceReason.ATTEMPT_LOST
        return True

    def _give_back(self) -> None:
        """The case that outlived its grace: whatever its thread still does commits nothing."""
        claim = self._claim
        if claim is None:
            return
        try:
            self._store.release(claim)
            log.warning("case_given_back", order=claim.order.id)
        except Failed as error:
            log.warning("case_not_given_back", order=claim.order.id, reason=str(error.reason))


def leave_at_once() -> NoReturn:
    """End this process, whatever its threads do.

    The interpreter's own end would wait for a server's answer, or abort the process under a thread that is inside
    OpenCV.
    """
    unlink_all()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _broke(error: Exception) -> Failed:
    """The text of an error that nobody expected may hold a patient's data."""
    log.error("case_broke", error=type(error).__name__)
    return Failed(ServiceReason.INTERNAL, f"unexpected {type(error).__name__}", retryable=True)


def _state_after(error: ChromogenError) -> OrderState:
    if isinstance(error, Refused):
        return OrderState.REFUSED
    again = (
        error.retryable or error.reason == ServiceReason.DATABASE_FAILED
    )  # the database's state is not the case's fault
    return OrderState.QUEUED if again else OrderState.DEAD


@contextmanager
def _signals() -> Iterator[list[int]]:
    """SIGTERM and SIGINT that came meanwhile; elsewhere than in the main thread Python allows no handlers.

    A handler only notes them: it may run while its own thread holds the lock of the event that it would set.
    """
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {
        number: signal.signal(number, lambda number, _: told.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
