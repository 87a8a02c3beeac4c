"""An outage is nobody's fault: what is away is waited for, no attempt is lost, nobody else is held up (issue 12, 3)."""

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from inference.errors import Reason
from server import disk
from server.domain.errors import OUTAGES, Failed, Refused, ServiceReason
from server.domain.order import EntityIdentifier, Order
from server.domain.ports import Claim
from server.domain.states import MAX_ATTEMPTS, OrderState
from server.store.outbox import PostgresOutbox
from server.store.queue_metrics import outages
from server.store.store import PostgresStore
from server.worker import Need, Worker
from tests.integration.processes import until
from tests.server.store.hospital import make_due
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(engine: sa.Engine) -> PostgresStore:
    return PostgresStore(engine)


def worker_of(
    store: PostgresStore, database: sa.Engine, run_case: Callable[[Claim], None], **checks: Callable[[], None]
) -> Worker:
    ready = {Need(name): check for name, check in checks.items()}
    return Worker(
        store, PostgresOutbox(database, lambda _: None), run_case, lease_s=60, poll_s=0.05, ready_checks=ready
    )


def failing(error: Exception) -> Callable[[Claim], None]:
    def run_case(_: Claim) -> None:
        raise error

    return run_case


def ordered(store: PostgresStore, number: int, lab: str = "") -> Order:
    asked = request(number)
    return store.accept(
        replace(asked, lab=lab or asked.lab, placer_order_number=EntityIdentifier(identifier=f"P-{number}"))
    )[0]


@pytest.mark.parametrize(
    "error",
    [
        *(Failed(reason, "away", retryable=True) for reason in sorted(OUTAGES)),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ESTALE, "Stale file handle"),
    ],
    ids=lambda error: str(getattr(error, "reason", error)),
)
def test_an_outage_however_long_costs_no_attempt_and_the_order_goes_on_after_it(
    store: PostgresStore, engine: sa.Engine, error: Exception
) -> None:
    order = ordered(store, 1)
    for _ in range(3 * MAX_ATTEMPTS):
        assert worker_of(store, engine, failing(error)).run_until_idle() == 1
        view = store.order(order.id)
        assert (view.state, view.attempt) == (OrderState.QUEUED, 0)
        assert view.reason in OUTAGES
        make_due(engine)
    with engine.connect() as connection:
        assert outages(connection) == [(view.reason, 1)]
    worker_of(store, engine, lambda claim: store.finish(claim, result(claim.order.id), [])).run_until_idle()
    assert store.order(order.id).state is OrderState.DONE


def test_past_the_limit_attempts_count_and_the_order_ends(engine: sa.Engine) -> None:
    store = PostgresStore(engine, outage_wait_s=0)
    order = ordered(store, 1)
    for _ in range(MAX_ATTEMPTS):
        away = Failed(ServiceReason.ARCHIVE_UNREACHABLE, "away", retryable=True)
        worker_of(store, engine, failing(away)).run_until_idle()
        make_due(engine)
    assert store.order(order.id).state is OrderState.DEAD


def test_one_archive_that_is_away_holds_up_no_order_of_another(store: PostgresStore, engine: sa.Engine) -> None:
    held, free = ordered(store, 1), ordered(store, 2, lab="OTHER")

    def run_case(claim: Claim) -> None:
        if claim.order.id == held.id:
            raise Failed(ServiceReason.ARCHIVE_UNREACHABLE, "away", retryable=True)
        store.finish(claim, result(claim.order.id), [])

    assert worker_of(store, engine, run_case).run_until_idle() == 2
    assert store.order(free.id).state is OrderState.DONE
    assert store.order(held.id).state is OrderState.QUEUED


@pytest.mark.parametrize(("away", "attempt", "reason"), [(True, 0, "ENGINE_UNREACHABLE"), (False, 1, "ENGINE_FAILED")])
def test_a_failed_inference_counts_only_where_the_engine_is_there(
    store: PostgresStore, engine: sa.Engine, away: bool, attempt: int, reason: str
) -> None:
    order = ordered(store, 1)

    def check() -> None:
        if away:
            raise Failed(Reason.ENGINE_FAILED, "no server answers", retryable=True)

    failed = failing(Failed(Reason.ENGINE_FAILED, "the server gave up", retryable=True))
    assert worker_of(store, engine, failed, engine=check).run_until_idle() == 1
    view = store.order(order.id)
    assert (view.state, view.attempt, view.reason) == (OrderState.QUEUED, attempt, reason)


@pytest.mark.parametrize("error", [Refused(Reason.NOT_A_SLIDE, "no image there"), FileNotFoundError("gone")])
def test_what_a_case_says_of_its_slide_while_the_disk_is_away_is_the_disk_s(
    store: PostgresStore, engine: sa.Engine, error: Exception
) -> None:
    """Seen where the share with the fetched slide went away in the middle: the order was refused, the LIS told."""
    order, away = ordered(store, 1), [False]

    def check() -> None:
        if away[0]:
            raise Failed(Reason.OUTPUT_NOT_WRITABLE, "gone", retryable=True)

    def run_case(_: Claim) -> None:
        away[0] = True
        raise error

    assert worker_of(store, engine, run_case, disk=check).step()
    view = store.order(order.id)
    assert (view.state, view.attempt, view.reason) == (OrderState.QUEUED, 0, "OUTPUT_NOT_WRITABLE")


def test_while_the_disk_is_full_nothing_is_claimed(
    store: PostgresStore, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, free, looks = ordered(store, 1), [0.1], []
    monkeypatch.setattr(disk, "free_gb", lambda _: looks.append(1) or free[0])
    worker = worker_of(
        store,
        engine,
        lambda claim: store.finish(claim, result(claim.order.id), []),
        disk=lambda: disk.check_room(tmp_path),
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: len(looks) > 3, 10)
        assert (store.order(order.id).state, store.order(order.id).attempt) == (OrderState.QUEUED, 0)
        free[0] = 100.0
        until(lambda: store.order(order.id).state is OrderState.DONE, 10)
    finally:
        worker.stop()
        thread.join(20)


def test_a_database_away_when_a_case_ends_is_waited_for(
    store: PostgresStore, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the claim would lapse, and its next one would count."""
    order, end, tries = ordered(store, 1), store.end, []

    def answers_late(*values: object) -> OrderState:
        tries.append(1)
        if len(tries) < 4:
            raise Failed(ServiceReason.DATABASE_UNREACHABLE, "away", retryable=True)
        return end(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "end", answers_late)
    broken = failing(Failed(ServiceReason.DATABASE_UNREACHABLE, "away", retryable=True))
    assert worker_of(store, engine, broken).run_until_idle() == 1
    assert (store.order(order.id).state, store.order(order.id).attempt) == (OrderState.QUEUED, 0)


def test_a_folder_that_cannot_be_written_to_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Failed) as failed:
        disk.check_room(tmp_path / "file" / "results")
    assert failed.value.retryable
    assert failed.value.reason in OUTAGES
    assert str(tmp_path) not in failed.value.message
