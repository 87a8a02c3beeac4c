"""Real worker processes on a real PostgreSQL, killed and stopped. INTEROP.md R-4, R-7, R-9, R-10."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from inference.errors import Reason
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.order import Order, OrderId, Priority
from server.domain.ports import Claim
from server.domain.states import OrderState
from server.store.dispatch import Dispatcher
from server.store.outbox import PostgresOutbox
from server.store.store import PostgresStore
from server.worker import Need, Worker
from tests.integration.processes import ROOT, logged, until
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres
LEASE_S = 2.0

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def store(engine: sa.Engine) -> PostgresStore:
    return PostgresStore(engine)


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts worker processes whose cases take so many seconds; none outlives the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def one(seconds: float, *, lease_s: float = LEASE_S) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-m",
            "tests.integration.worker_process",
            database_url,
            str(tmp_path),
            str(lease_s),
            str(seconds),
        ]
        log = (tmp_path / "log").open("ab")
        processes.append(
            subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
        )
        log.close()
        return processes[-1]

    yield one
    for process in processes:
        process.kill()
        process.wait()
    logged(tmp_path / "log")


def is_done(store: PostgresStore, order: Order) -> Callable[[], bool]:
    return lambda: store.order(order.id).state is OrderState.DONE


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def count(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def test_r4_a_killed_worker_s_case_is_taken_over_within_lease_and_five_seconds(
    store: PostgresStore, start: Start, engine: sa.Engine, tmp_path: Path
) -> None:
    order, _ = store.accept(request())
    victim = start(60)
    until(lambda: lines(tmp_path / "started") == [order.id], 20)
    other = start(0.1)
    time.sleep(LEASE_S + 0.5)  # a living worker keeps its case beyond its lease
    assert store.order(order.id).attempt == 1
    victim.send_signal(signal.SIGKILL)
    until(is_done(store, order), LEASE_S + 5)
    assert store.order(order.id).attempt == 2
    assert count(engine, "results") == 1
    until(lambda: lines(tmp_path / "delivered") == [order.id], 5)
    assert other.poll() is None


def test_r4_a_paused_worker_that_comes_back_commits_nothing(
    store: PostgresStore, start: Start, engine: sa.Engine, tmp_path: Path
) -> None:
    order, _ = store.accept(request())
    zombie = start(1.5)
    until(lambda: lines(tmp_path / "started") == [order.id], 20)
    zombie.send_signal(signal.SIGSTOP)
    start(0.1)
    until(is_done(store, order), 20 + LEASE_S)
    before = store.order(order.id)
    zombie.send_signal(signal.SIGCONT)
    until(lambda: "case_lost" in (tmp_path / "log").read_text(), 10)
    assert store.order(order.id) == before
    assert count(engine, "results") == count(engine, "outbox") == 1


def test_r10_a_worker_told_to_stop_gives_its_case_back_and_ends(
    store: PostgresStore, start: Start, tmp_path: Path
) -> None:
    order, _ = store.accept(request())
    process = start(60)
    until(lambda: lines(tmp_path / "started") == [order.id], 20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    view = store.order(order.id)
    assert (view.state, view.attempt) == (OrderState.QUEUED, 0)
    assert store.due() == [order.id]
    start(0.1)
    until(is_done(store, order), 20)


def test_r10_a_worker_told_to_stop_while_it_waits_ends_at_once_and_takes_nothing_more(
    store: PostgresStore, engine: sa.Engine
) -> None:
    worker = Worker(store, PostgresOutbox(engine, lambda _: None), lambda _: None, lease_s=60, poll_s=4)
    running = threading.Thread(target=worker.run)
    running.start()
    worker.wake().result(10)
    order, _ = store.accept(request())
    worker.stop()
    running.join(8)
    assert not running.is_alive()
    assert [t.name for t in threading.enumerate() if t.name == "cases"] == []
    assert (store.order(order.id).state, store.order(order.id).attempt) == (OrderState.QUEUED, 0)


def test_r7_and_r9_poison_is_dead_after_three_workers_and_the_urgent_are_served_first(
    store: PostgresStore, start: Start, tmp_path: Path
) -> None:
    poison, _ = store.accept(replace(request(0), lab="POISON", priority=Priority.STAT))
    routine = [store.accept(request(i))[0] for i in (1, 2)]
    urgent, _ = store.accept(request(3, priority=Priority.STAT))
    for _ in range(3):
        assert start(0.05, lease_s=0.3).wait(timeout=20) == -signal.SIGKILL
        time.sleep(0.4)
    start(0.05)
    until(lambda: all(store.order(o.id).state is OrderState.DONE for o in [urgent, *routine]), 20)
    view = store.order(poison.id)
    assert (view.state, view.reason, view.attempt) == (OrderState.DEAD, "WORKER_LOST", 3)
    started = [i for i in lines(tmp_path / "started") if i != poison.id]
    assert started == [urgent.id, routine[0].id, routine[1].id]


def test_a_new_order_is_begun_at_once_though_polling_is_rare(
    store: PostgresStore, engine: sa.Engine, database_url: str
) -> None:
    begun = threading.Event()

    def run_case(claim: Claim) -> None:
        store.finish(claim, result(claim.order.id), [])
        begun.set()

    worker = Worker(store, PostgresOutbox(engine, lambda _: None), run_case, lease_s=60, poll_s=30, grace_s=1)
    thread = threading.Thread(target=worker.run, args=(Dispatcher(database_url, worker.wake, poll_s=30),))
    thread.start()
    try:
        until(lambda: listening(engine), 10)
        store.accept(request())
        assert begun.wait(2)
        until(lambda: count(engine, "procrastinate_jobs") == 0, 5)
    finally:
        worker.stop()
        thread.join(45)
    assert not thread.is_alive()


def listening(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        return bool(connection.execute(sa.text(asked)).scalar_one())


def idle(store: PostgresStore, engine: sa.Engine, run_case: Callable[[Claim], None]) -> Worker:
    return Worker(store, PostgresOutbox(engine, lambda _: None), run_case, lease_s=60, poll_s=0.1)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (Refused(Reason.NOT_IHC, "an H&E slide"), OrderState.REFUSED, "NOT_IHC"),
        (
            Failed(ServiceReason.ARCHIVE_UNREACHABLE, "no answer", retryable=True),
            OrderState.QUEUED,
            "ARCHIVE_UNREACHABLE",
        ),
        (Failed(Reason.MODEL_INVALID, "another release's models", retryable=True), OrderState.QUEUED, "MODEL_INVALID"),
        (Failed(Reason.MODEL_INVALID, "no such graph"), OrderState.DEAD, "MODEL_INVALID"),
        (ValueError("TEST-INVENTED"), OrderState.QUEUED, "INTERNAL"),
    ],
    ids=["refused", "failed for now", "other models", "failed for good", "unexpected"],
)
def test_a_case_that_raises_ends_its_order_as_the_error_says(
    store: PostgresStore, engine: sa.Engine, error: Exception, state: OrderState, reason: str
) -> None:
    order, _ = store.accept(request())

    def run_case(_: Claim) -> None:
        raise error

    assert idle(store, engine, run_case).run_until_idle() == 1
    view = store.order(order.id)
    assert (view.state, view.reason) == (state, reason)
    assert "INVENTED" not in view.detail
    assert isinstance(error, ChromogenError) or "ValueError" in view.detail


def test_while_the_engine_is_away_orders_wait_unclaimed_and_lose_no_attempt(
    store: PostgresStore, engine: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    order, _ = store.accept(request())
    away, looks = threading.Event(), []
    away.set()

    def ready_check() -> None:
        looks.append(store.order(order.id).state)
        if away.is_set():
            raise Failed(Reason.ENGINE_FAILED, "no server answers", retryable=True)

    def run_case(claim: Claim) -> None:
        store.finish(claim, result(claim.order.id), [])

    sending = PostgresOutbox(engine, lambda _: None)
    worker = Worker(
        store, sending, run_case, lease_s=60, poll_s=0.05, grace_s=1, ready_checks={Need.ENGINE: ready_check}
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: len(looks) > 5, 10)
        assert (store.order(order.id).state, store.order(order.id).attempt) == (OrderState.QUEUED, 0)
        away.clear()
        until(is_done(store, order), 10)
    finally:
        worker.stop()
        thread.join(20)
    said = capsys.readouterr().out
    assert said.count("engine_not_usable") == 1  # not at each look
    assert "no server answers" in said
    assert "engine_usable" in said.replace("engine_not_usable", "")


def test_until_idle_all_orders_are_done_the_urgent_first_and_everything_is_sent(
    store: PostgresStore, engine: sa.Engine, tmp_path: Path
) -> None:
    ids = [
        store.accept(request(i, priority=p))[0].id
        for i, p in enumerate([Priority.ROUTINE, Priority.STAT, Priority.ASAP])
    ]
    seen: list[OrderId] = []

    def run_case(claim: Claim) -> None:
        seen.append(claim.order.id)
        store.finish(claim, result(claim.order.id, seed=len(seen), folder=tmp_path), [])

    assert idle(store, engine, run_case).run_until_idle() == 3
    assert seen == [ids[1], ids[2], ids[0]]
    assert [v.state for v in store.orders()] == [OrderState.DONE] * 3
    assert idle(store, engine, run_case).run_until_idle() == 0


def test_a_job_that_procrastinate_believes_to_be_running_is_swept_up(
    store: PostgresStore, engine: sa.Engine, database_url: str
) -> None:
    order, _ = store.accept(request())
    with engine.begin() as connection:  # as a killed worker leaves it, pruned by another
        connection.exec_driver_sql("UPDATE procrastinate_jobs SET status = 'doing'")

    def run_case(claim: Claim) -> None:
        store.finish(claim, result(claim.order.id), [])

    worker = Worker(store, PostgresOutbox(engine, lambda _: None), run_case, lease_s=60, poll_s=30, grace_s=1)
    thread = threading.Thread(target=worker.run, args=(Dispatcher(database_url, worker.wake, poll_s=0.2),))
    thread.start()
    until(is_done(store, order), 10)
    until(lambda: count(engine, "procrastinate_jobs") == 0, 5)
    worker.stop()
    thread.join(45)


def test_a_worker_goes_on_after_the_database_dropped_all_its_connections(
    store: PostgresStore, start: Start, engine: sa.Engine
) -> None:
    first, _ = store.accept(request(1))
    start(0.05)
    until(is_done(store, first), 20)
    with engine.connect() as connection:
        drop = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
            "pg_backend_pid() AND datname = current_database()"
        )
        connection.exec_driver_sql(drop)
    second, _ = store.accept(request(2))
    until(is_done(store, second), 10)
