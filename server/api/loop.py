"""The event loop of the gRPC door, in a thread of its own; everything else of the service is synchronous."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger()


class LoopThread:
    """Runs from its making to `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_broke)
        self._thread = threading.Thread(target=self._loop.run_forever, name="door", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Raises what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _broke(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """By its type alone: a text may quote a patient.

    gRPC's poller wakes the loop once too often now and then (BlockingIOError), which is of no consequence.
    """
    error = context.get("exception")
    if not isinstance(error, BlockingIOError):
        log.error("door_broke", error=type(error).__name__, said=str(context.get("message", ""))[:200])
