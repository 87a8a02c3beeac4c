"""Synchronous behaviours in bounded pools of threads, awaited on the loop.

A call that is given up keeps its place until its thread is free, so that no caller can pile up work by giving up.
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from server.domain.errors import Failed, ServiceReason

T = TypeVar("T")
Release = Callable[[], None]


async def outcome(pool: ThreadPoolExecutor, work: Callable[[], T], within_s: float, release: Release) -> T:
    """What `work` returns or raises; `release` is called once its thread is free.

    Raises Failed DEADLINE_EXCEEDED where it isn't done in time; then it goes on, and must see itself that nobody waits.
    """
    future = _submitted(pool, work, release)
    return await _awaited(future, within_s, "the call took longer than is allowed: nothing was kept")


class Steps:
    """The answers of a stream, each made in a thread of `pool`; between them, no thread is held."""

    def __init__(self, pool: ThreadPoolExecutor, answers: Iterator[bytes], release: Release) -> None:
        self._pool, self._answers, self._release = pool, answers, release
        self._running: Future[bytes | None] | None = None

    async def next(self, within_s: float) -> bytes | None:
        """None after the last. Raises what the behaviour does, Failed DEADLINE_EXCEEDED."""
        self._running = _submitted(self._pool, lambda: next(self._answers, None), lambda: None)
        return await _awaited(self._running, within_s, f"the stream was idle for {within_s:g} s")

    def close(self) -> None:
        """At once, or when its thread has seen that nobody waits."""
        if self._running is None:
            self._end(None)
        else:
            self._running.cancel()
            self._running.add_done_callback(self._end)

    def _end(self, _: object) -> None:
        try:
            self._answers.close()  # type: ignore[attr-defined]  # a generator
        finally:
            self._release()


def _submitted(pool: ThreadPoolExecutor, work: Callable[[], T], release: Release) -> "Future[T]":
    """With the call's log fields. Raises Failed SERVER_STOPPING."""
    try:
        future = pool.submit(contextvars.copy_context().run, work)
    except RuntimeError:  # shut down
        release()
        raise Failed(ServiceReason.SERVER_STOPPING, "the server stops", retryable=True) from None
    future.add_done_callback(lambda _: release())
    return future


async def _awaited(future: "Future[T]", within_s: float, late: str) -> T:
    """What hasn't begun when nobody waits any more, never does. A timeout that `future` raises is its own."""
    try:
        async with asyncio.timeout(max(within_s, 0)) as limit:
            return await asyncio.wrap_future(future)
    except TimeoutError:
        if not limit.expired():
            raise
        raise Failed(ServiceReason.DEADLINE_EXCEEDED, late, retryable=True) from None
