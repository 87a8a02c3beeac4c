"""procrastinate, kept in here: it tells a free worker at once that a case has come, and sweeps up after dead workers.

Which case is done, and by whom, is not its business: a job makes the worker look into our table. What it is not told
of, or what it loses, the worker finds by looking there now and then.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

import procrastinate
import psycopg
import structlog
from procrastinate import exceptions
from procrastinate.worker import Worker as JobWorker

from server.store import jobs
from server.store.database import libpq_url
from server.store.orders import QUEUE, TASK

log = structlog.get_logger()

HEARTBEAT_S, STALLED_S, SWEEP_S = 5.0, 30.0, 15.0
RECONNECT_S = 5.0
UNREACHABLE = (exceptions.ProcrastinateException, psycopg.Error, OSError)
"""What procrastinate raises while the database is away; opening its pool raises psycopg's own."""

WakeWorker = Callable[[], "Future[None]"]
"""Asks the worker's thread to look for a case; done when it has looked, and ended the case it found."""


class Dispatcher:
    """Runs procrastinate's worker in an event loop of its own until `stop`."""

    def __init__(
        self, url: str, wake: WakeWorker, *, poll_s: float, wake_jobs: Callable[[], object] | None = None
    ) -> None:
        """`wake_jobs` tells whoever runs jobs of the background that there may be one, and returns at once."""
        self._url, self._wake, self._poll_s = libpq_url(url), wake, poll_s
        self._wake_jobs = wake_jobs
        _hush()

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set. A lost database is waited for."""
        while not stop.is_set():
            try:
                asyncio.run(self._until(stop))
            except UNREACHABLE as error:
                log.warning("dispatcher_waits", error=type(error).__name__)
            if not stop.is_set():  # procrastinate's worker ends by itself when its connection does
                stop.wait(RECONNECT_S)

    async def _until(self, stop: threading.Event) -> None:
        connector = procrastinate.PsycopgConnector(conninfo=self._url, min_size=1, max_size=3, timeout=10)
        app = procrastinate.App(connector=connector)

        @app.task(name=TASK)
        async def case(order_id: str) -> None:
            await asyncio.wrap_future(self._wake())

        @app.task(name=jobs.TASK)
        async def job() -> None:
            if self._wake_jobs is not None:
                self._wake_jobs()

        async with app.open_async():
            await _sweep(app)
            worker = JobWorker(
                app,
                queues=[QUEUE] if self._wake_jobs is None else [QUEUE, jobs.QUEUE],
                fetch_job_polling_interval=self._poll_s,
                delete_jobs="always",
                install_signal_handlers=False,
                shutdown_graceful_timeout=0.1,
                update_heartbeat_interval=HEARTBEAT_S,
                stalled_worker_timeout=STALLED_S,
            )
            sides = [asyncio.create_task(self._stopping(worker, stop)), asyncio.create_task(self._sweeping(app))]
            try:
                await worker.run()  # type: ignore[no-untyped-call]
            finally:
                for side in sides:
                    side.cancel()
                await asyncio.gather(*sides, return_exceptions=True)

    async def _stopping(self, worker: JobWorker, stop: threading.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(0.1)
        worker.stop()  # type: ignore[no-untyped-call]

    async def _sweeping(self, app: procrastinate.App) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await _sweep(app)
            except UNREACHABLE as error:
                log.warning("sweep_failed", error=type(error).__name__)


class Sweeper:
    """Puts the jobs of silent workers in again until `stop`: in `serve`, for while no worker is left to do so."""

    def __init__(self, url: str) -> None:
        self._url = libpq_url(url)
        _hush()

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set. A lost database is waited for."""
        while True:
            try:
                asyncio.run(self._once())
            except UNREACHABLE as error:
                log.warning("sweep_failed", error=type(error).__name__)
            if stop.wait(SWEEP_S):
                return

    async def _once(self) -> None:
        app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(conninfo=self._url, min_size=1, max_size=1, timeout=10)
        )
        async with app.open_async():
            await _sweep(app)


async def _sweep(app: procrastinate.App) -> None:
    """Jobs of workers that went silent are put in again; what order they meant is in our table."""
    for queue in (QUEUE, jobs.QUEUE):
        for job in await app.job_manager.get_stalled_jobs(queue=queue, seconds_since_heartbeat=STALLED_S):
            await app.job_manager.retry_job(job)


def _hush() -> None:
    """These log the texts of exceptions."""
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
