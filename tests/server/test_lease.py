"""One thread renews what is held, and nothing that isn't."""

import threading
import time

import pytest

from server.lease import Leases
from tests.integration.processes import until


def lease_threads() -> int:
    return sum(thread.name == "leases" for thread in threading.enumerate())


def test_what_is_held_is_renewed_again_and_again_and_afterwards_never() -> None:
    leases, times = Leases(), list[float]()
    began = time.monotonic()

    def renew() -> bool:
        times.append(time.monotonic() - began)
        return True

    with leases.held(renew, 0.02):
        until(lambda: len(times) >= 3, 5)
    number = len(times)
    time.sleep(0.1)
    assert len(times) == number
    assert times[0] >= 0.02
    assert times[1] - times[0] >= 0.02


def test_what_ends_before_it_is_due_is_not_renewed() -> None:
    leases, renewed = Leases(), list[int]()
    for _ in range(3):
        with leases.held(lambda: renewed.append(1) is None, 0.1):
            pass
    time.sleep(0.2)
    assert renewed == []


def test_a_lease_that_is_lost_is_renewed_no_more_and_others_are() -> None:
    leases, lost, kept = Leases(), list[int](), list[int]()
    with leases.held(lambda: lost.append(1) is not None, 0.01), leases.held(lambda: kept.append(1) is None, 0.01):
        until(lambda: len(kept) >= 5, 5)
    assert len(lost) == 1


def test_one_that_is_due_sooner_is_not_kept_waiting_by_one_that_is_due_later() -> None:
    leases, soon = Leases(), list[int]()
    with leases.held(lambda: True, 60), leases.held(lambda: soon.append(1) is None, 0.01):
        until(lambda: len(soon) >= 2, 5)


def test_a_renewal_that_fails_ends_neither_its_lease_nor_another(capsys: pytest.CaptureFixture[str]) -> None:
    leases, tries, others = Leases(), list[int](), list[int]()

    def fails() -> bool:
        tries.append(1)
        raise ValueError("PatientName^Invented")

    with leases.held(fails, 0.01), leases.held(lambda: others.append(1) is None, 0.01):
        until(lambda: len(tries) >= 2 and len(others) >= 2, 5)
    said = capsys.readouterr()
    assert "Invented" not in said.out + said.err


def test_the_block_ends_when_its_renewal_has_ended() -> None:
    leases, running, over = Leases(), threading.Event(), list[str]()

    def slow() -> bool:
        running.set()
        time.sleep(0.1)
        over.append("renewed")
        return True

    with leases.held(slow, 0.01):
        running.wait(5)
    assert over


def test_one_thread_renews_them_all_and_ends_when_none_is_held() -> None:
    before, leases = lease_threads(), Leases()
    for _ in range(20):
        with leases.held(lambda: True, 0.05), leases.held(lambda: True, 0.05):
            assert lease_threads() == before + 1
    until(lambda: lease_threads() == before, 5)
    with leases.held(lambda: True, 0.05):  # and begins anew
        assert lease_threads() == before + 1


def test_a_thread_that_could_not_be_started_leaves_no_lease_and_the_next_starts_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine out of threads for a moment: later leases would lapse unseen, and this one be renewed though nobody
    holds it.
    """
    leases, never, renewed = Leases(), list[int](), list[int]()

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError), leases.held(lambda: never.append(1) is None, 0.01):
            pass
    with leases.held(lambda: renewed.append(1) is None, 0.01):
        until(lambda: len(renewed) >= 2, 5)
    assert never == []
