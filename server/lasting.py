"""Threads that last as long as their process: one that ends before it is told to is an error, and is begun again."""

import threading
from collections.abc import Callable

import structlog

from server import metrics

RESTART_S = 5.0
"""Before a thread is begun again: what ended it may take a while to pass."""

Run = Callable[[threading.Event], None]
"""What a thread does until the event is set."""

log = structlog.get_logger()


def lasting(name: str, run: Run, stop: threading.Event, *, restart_s: float = RESTART_S) -> threading.Thread:
    """A daemon thread, not yet started, that runs `run` until `stop` is set, whatever ends it before."""
    metrics.THREAD_RESTARTS.labels(name)  # 0 is there from the start, so that an alarm sees the first
    return threading.Thread(target=_last, args=(name, run, stop, restart_s), name=name, daemon=True)


def _last(name: str, run: Run, stop: threading.Event, restart_s: float) -> None:
    while not stop.is_set():
        error = _ended_by(run, stop)
        if stop.is_set():
            return
        log.error("thread_ended", thread=name, error=error, restart_s=restart_s)
        stop.wait(restart_s)
        metrics.THREAD_RESTARTS.labels(name).inc()


def _ended_by(run: Run, stop: threading.Event) -> Exception | None:
    try:
        run(stop)
    except Exception as error:
        return error
    return None
