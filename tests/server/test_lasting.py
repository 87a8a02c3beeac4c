"""A thread that ends before it is told to is begun again, said and counted."""

import threading
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from server.domain.errors import Failed, ServiceReason
from server.lasting import lasting
from server.metrics import REGISTRY


def restarts(thread: str) -> float | None:
    return REGISTRY.get_sample_value("chromogen_thread_restarts_total", {"thread": thread})


def breaks() -> None:
    raise ValueError("Mrs TEST-INVENTED")


def fails() -> None:
    raise Failed(ServiceReason.INTERNAL, "something")


def ends() -> None:
    return


@pytest.mark.parametrize("how", [breaks, fails, ends])
def test_a_thread_that_ends_is_begun_again_said_and_counted(how: Callable[[], None]) -> None:
    name, stop, again = f"invented-{how.__name__}", threading.Event(), threading.Event()
    runs: list[int] = []

    def run(stop: threading.Event) -> None:
        runs.append(1)
        if len(runs) < 3:
            how()
        else:
            again.set()
            stop.wait()

    with capture_logs() as logs:
        thread = lasting(name, run, stop, restart_s=0.001)
        assert restarts(name) == 0
        thread.start()
        assert again.wait(20)
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert restarts(name) == 2
    assert [(line["event"], line["thread"], line["log_level"]) for line in logs] == [
        ("thread_ended", name, "error")
    ] * 2


def test_a_thread_that_ends_when_told_is_not_begun_again() -> None:
    stop = threading.Event()
    with capture_logs() as logs:
        thread = lasting("invented-told", lambda stop: stop.wait() and None, stop)  # type: ignore[func-returns-value]
        thread.start()
        stop.set()
        thread.join(20)
    assert (thread.is_alive(), restarts("invented-told"), logs) == (False, 0, [])
