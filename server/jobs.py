"""Jobs of the background as a worker runs them: beside its cases, one at a time, under a lease that is renewed."""

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Protocol

import structlog

from server.domain.errors import ChromogenError, Failed, ServiceReason
from server.domain.job import Job, JobClaim, JobKind, Json
from server.lease import Leases

log = structlog.get_logger()

LEASE_S = 60.0

Progress = Callable[[float], None]
Handler = Callable[[Job, Progress], Json]
"""Does a job and returns its outcome. Raises Refused or Failed with the reason that the job then has."""


class Jobs(Protocol):
    """What is asked of the store (`server.store.jobs.JobStore`)."""

    def take(self, lease_s: float) -> JobClaim | None: ...

    def progress(self, claim: JobClaim, share: float, lease_s: float) -> None: ...

    def done(self, claim: JobClaim, outcome: Json) -> None: ...

    def failed(self, claim: JobClaim, reason: str, detail: str) -> None: ...


class JobRunner:
    """`run` until told to stop, or `step`."""

    def __init__(self, store: Jobs, handlers: Mapping[JobKind, Handler]) -> None:
        self._store, self._handlers = store, handlers
        self._leases = Leases()
        self._asked: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()

    def wake(self) -> "Future[None]":
        """Have the runner look at once; done when it was asked, not when the job is."""
        asked: Future[None] = Future()
        self._asked.put(asked)
        asked.set_result(None)
        return asked

    def run(self, stop: threading.Event, poll_s: float) -> None:
        """Blocks until `stop` is set. A lost database is waited for."""
        while not stop.is_set():
            try:
                while not stop.is_set() and self.step():
                    pass
            except Failed as error:
                log.warning("jobs_wait", reason=str(error.reason))
            try:
                self._asked.get(timeout=poll_s)
            except queue.Empty:
                continue

    def step(self) -> bool:
        """Run the oldest due job; False where there is none. Raises Failed when the database can't be reached."""
        claim = self._store.take(LEASE_S)
        if claim is None:
            return False
        with structlog.contextvars.bound_contextvars(job=claim.job.id, kind=str(claim.job.kind)):
            log.info("job_started")
            try:
                with self._leases.held(partial(self._renewed, claim), LEASE_S / 3):
                    outcome = self._handlers[claim.job.kind](claim.job, partial(self._progress, claim))
                self._store.done(claim, outcome)
                log.info("job_done")
            except ChromogenError as error:
                self._ended(claim, str(error.reason), error.message)
            except Exception as error:  # by its type alone: a text may quote anything
                log.error("job_broke", error=type(error).__name__)
                self._ended(claim, str(ServiceReason.INTERNAL), f"unexpected {type(error).__name__}")
        return True

    def _progress(self, claim: JobClaim, share: float) -> None:
        self._store.progress(claim, share, LEASE_S)

    def _renewed(self, claim: JobClaim) -> bool:
        try:
            self._store.progress(claim, 0.0, LEASE_S)
        except Failed as error:
            return error.reason != ServiceReason.ATTEMPT_LOST
        return True

    def _ended(self, claim: JobClaim, reason: str, detail: str) -> None:
        log.warning("job_ended", reason=reason)
        if reason == ServiceReason.ATTEMPT_LOST:
            return
        try:
            self._store.failed(claim, reason, detail)
        except Failed as error:  # the lease runs out, and the job is taken up again
            log.warning("job_not_ended", reason=str(error.reason))
