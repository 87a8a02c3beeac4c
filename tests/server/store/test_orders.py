"""INTEROP.md R-3 (idempotent intake), R-4 (one result, zombies commit nothing), R-7 (poison is
dead), R-9 (STAT first).
"""

import random
import string
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import EntityIdentifier, OrderId, Priority, ProcessingId, Request, Sender
from server.domain.states import OrderState
from server.store.database import connect
from server.store.store import PostgresStore
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres
OTHER = Sender(application="OTHER", facility="")


@pytest.fixture
def store(engine: sa.Engine) -> PostgresStore:
    return PostgresStore(engine)


def rows(engine: sa.Engine, sql: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text(sql)).scalar_one())


def together(count: int, act: Callable[[int], object]) -> list[object]:
    """`act` in `count` threads that begin at the same moment."""
    start = threading.Barrier(count)

    def one(i: int) -> object:
        start.wait()
        return act(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_an_accepted_order_comes_back_as_it_was_sent(store: PostgresStore) -> None:
    order, new = store.accept(request())
    assert new
    assert order.request == request()
    assert store.order(order.id).order == order
    assert store.order(order.id).state is OrderState.QUEUED


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()).map(
    lambda moment: moment.astimezone(UTC)
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    family=TEXT,
    site=TEXT,
    message=TEXT,
    number=TEXT,
    priority=st.sampled_from(Priority),
    requested=MOMENTS,
)
def test_whatever_text_an_order_holds_it_comes_back(store, family, site, message, number, priority, requested) -> None:  # type: ignore[no-untyped-def]
    asked = replace(
        request(),
        message_control_id=repr((message, number, family, store)),
        placer_order_number=EntityIdentifier(identifier=number, namespace=family),
        priority=priority,
        requested_at=requested,
    )
    asked = replace(
        asked, patient=replace(asked.patient, family_name=family), specimen=replace(asked.specimen, site_text=site)
    )
    order, new = store.accept(asked)
    assert order == store.order(order.id).order
    if new:
        assert order.request == asked


@pytest.mark.parametrize(
    "changed",
    [{"placer_order_number": EntityIdentifier(identifier="P-OTHER")}, {"message_control_id": "M-OTHER"}],
    ids=["message", "number"],
)
def test_identifiers_that_were_another_orders_or_patients_are_refused(
    store: PostgresStore, changed: dict[str, object]
) -> None:
    """A LIS whose counter began anew must not be told that its new order was taken."""
    first, _ = store.accept(request())
    again = replace(request(), patient=replace(request().patient, id="INVENTED-OTHER"), **changed)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="used before") as refused:
        store.accept(again)
    assert "INVENTED" not in refused.value.message
    assert [view.order.id for view in store.orders()] == [first.id]


def test_a_production_order_does_not_repeat_a_test_order(store: PostgresStore) -> None:
    """Issue 12, 2d: its result would come back as a test's, or a test's as production."""
    first, _ = store.accept(replace(request(), processing_id=ProcessingId.TRAINING))
    assert store.order(first.id).order.request.processing_id is ProcessingId.TRAINING
    with pytest.raises(Refused, match="used before"):
        store.accept(replace(request(), message_control_id="OTHER"))


def test_an_identifier_that_fits_no_index_is_refused_and_is_no_outage(store: PostgresStore) -> None:
    """Issue 12, 12: the driver calls it operational, as it does a database that is gone."""
    large = "".join(random.Random(12).choices(string.ascii_letters, k=20_000))
    with pytest.raises(Refused, match="can't hold a value") as refused:
        store.accept(replace(request(), message_control_id=large))
    assert refused.value.reason == ServiceReason.ARGUMENT_INVALID
    assert large[:50] not in refused.value.message


def test_a_character_that_cannot_be_kept_is_refused_and_not_quoted(store: PostgresStore) -> None:
    for bad in (
        replace(request(), marker="E\0R"),
        replace(request(), patient=replace(request().patient, family_name="TEST\0INVENTED")),
    ):
        with pytest.raises(Refused) as refused:
            store.accept(bad)
        assert refused.value.reason == ServiceReason.MESSAGE_INVALID
        assert "INVENTED" not in str(refused.value)
    assert store.orders() == []


@pytest.mark.parametrize(
    "again",
    [
        request(1),
        replace(request(1), message_control_id="OTHER"),
        replace(request(1), message_control_id="OTHER", sender=OTHER),
    ],
    ids=["the same", "same number", "same number from another sender"],
)
def test_a_repeat_is_answered_as_the_first(store: PostgresStore, engine: sa.Engine, again: Request) -> None:
    first, _ = store.accept(request(1))
    second, new = store.accept(again)
    assert (second, new) == (first, False)
    assert rows(engine, "SELECT count(*) FROM procrastinate_jobs") == 1


@pytest.mark.parametrize(
    "other",
    [
        request(2),
        replace(request(1), lab="OTHER", message_control_id="OTHER"),
        replace(request(1), placer_request="2", message_control_id="OTHER"),
        replace(request(1), sender=OTHER, placer_order_number=EntityIdentifier(identifier="OTHER")),
    ],
    ids=["both differ", "another laboratory", "another request of the order", "another sender's message"],
)
def test_another_order_is_new(store: PostgresStore, other: Request) -> None:
    first, _ = store.accept(request(1))
    second, new = store.accept(other)
    assert new
    assert second.id != first.id


def test_orders_without_a_placer_number_are_told_apart_by_their_messages(store: PostgresStore) -> None:
    one, two = (
        replace(request(i), placer_order_number=EntityIdentifier(identifier=""), placer_request="") for i in (1, 2)
    )
    assert store.accept(one)[1]
    assert store.accept(two)[1]
    assert not store.accept(two)[1]


def test_twenty_senders_of_one_order_make_one_order_and_one_job(store: PostgresStore, engine: sa.Engine) -> None:
    answers = together(20, lambda i: store.accept(replace(request(1), message_control_id=f"M{i % 3}")))
    assert len({order.id for order, _ in answers}) == 1  # type: ignore[attr-defined]
    assert sum(new for _, new in answers) == 1  # type: ignore[misc, attr-defined]
    assert rows(engine, "SELECT count(*) FROM procrastinate_jobs") == 1


def test_twenty_workers_that_claim_one_order_make_one_owner(store: PostgresStore) -> None:
    order, _ = store.accept(request())
    claims = [c for c in together(20, lambda _: store.claim(order.id, 60)) if c is not None]
    assert len(claims) == 1
    assert store.order(order.id).attempt == 1


def test_a_claimed_order_is_not_due_until_its_lease_is_over(store: PostgresStore) -> None:
    order, _ = store.accept(request())
    first = store.claim(order.id, 60)
    assert first is not None
    assert store.due() == []
    assert store.claim(order.id, 60) is None
    store.progress(first, 0.5, 0.0)
    assert store.due() == [order.id]
    second = store.claim(order.id, 60)
    assert second is not None
    assert (second.attempt, second.token != first.token) == (2, True)


def test_a_zombie_changes_nothing(store: PostgresStore, engine: sa.Engine) -> None:
    order, _ = store.accept(request())
    zombie = store.claim(order.id, 0.0)
    owner = store.claim(order.id, 60)
    assert zombie is not None
    assert owner is not None
    acts: list[Callable[[], object]] = [
        lambda: store.finish(zombie, result(order.id), []),
        lambda: store.progress(zombie, 1.0, 60),
        lambda: store.end(zombie, OrderState.REFUSED, "NOT_IHC", ""),
        lambda: store.release(zombie),
    ]
    before = store.order(order.id)
    for act in acts:
        with pytest.raises(Failed) as lost:
            act()
        assert lost.value.reason == ServiceReason.ATTEMPT_LOST
    assert store.order(order.id) == before
    assert rows(engine, "SELECT count(*) FROM results") == 0
    store.finish(owner, result(order.id), [])
    assert store.order(order.id).state is OrderState.DONE


def test_renewing_a_lease_does_not_take_progress_back(store: PostgresStore) -> None:
    order, _ = store.accept(request())
    claim = store.claim(order.id, 60)
    assert claim is not None
    store.progress(claim, 0.4, 60)
    store.progress(claim, 0.0, 60)
    assert store.order(order.id).progress == 0.4


def test_stat_comes_before_what_is_older_and_equals_by_age(store: PostgresStore) -> None:
    kinds = [Priority.ROUTINE, Priority.ASAP, Priority.ROUTINE, Priority.STAT, Priority.STAT]
    ids = [store.accept(request(i, priority=p))[0].id for i, p in enumerate(kinds)]
    assert store.due() == [ids[3], ids[4], ids[1], ids[0], ids[2]]


def test_a_failed_attempt_waits_and_the_third_is_dead_with_its_reason(store: PostgresStore, engine: sa.Engine) -> None:
    order, _ = store.accept(request())
    reached = []
    for _ in range(3):
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE orders SET due_at = now()")
        claim = store.claim(order.id, 60)
        assert claim is not None
        reached.append(store.end(claim, OrderState.QUEUED, "ENGINE_FAILED", "out of memory"))
        assert store.due() == []
    assert reached == [OrderState.QUEUED, OrderState.QUEUED, OrderState.DEAD]
    view = store.order(order.id)
    assert (view.state, view.reason, view.detail, view.attempt) == (
        OrderState.DEAD,
        "ENGINE_FAILED",
        "out of memory",
        3,
    )


def test_a_slide_that_kills_its_workers_is_dead_after_three(store: PostgresStore) -> None:
    order, _ = store.accept(request())
    assert [store.claim(order.id, 0.0) is not None for _ in range(4)] == [True, True, True, False]
    view = store.order(order.id)
    assert (view.state, view.reason) == (OrderState.DEAD, "WORKER_LOST")
    assert store.due() == []


def test_an_order_given_back_is_due_at_once_and_has_lost_no_attempt(store: PostgresStore) -> None:
    order, _ = store.accept(request())
    claim = store.claim(order.id, 60)
    assert claim is not None
    store.release(claim)
    assert store.due() == [order.id]
    assert store.order(order.id).attempt == 0


def test_a_refused_order_ends_at_once(store: PostgresStore) -> None:
    order, _ = store.accept(request())
    claim = store.claim(order.id, 60)
    assert claim is not None
    assert store.end(claim, OrderState.REFUSED, "NOT_IHC", "an H&E slide") is OrderState.REFUSED
    assert store.due() == []
    assert store.claim(order.id, 60) is None


@pytest.mark.parametrize("unknown", ["00000000-0000-4000-8000-000000000000", "no uuid", "", "\0"])
def test_an_order_that_is_not_there_is_refused_by_name(store: PostgresStore, unknown: str) -> None:
    with pytest.raises(Refused) as refused:
        store.order(OrderId(unknown))
    assert refused.value.reason == ServiceReason.ORDER_UNKNOWN


def test_a_lost_database_is_retryable_and_says_nothing_of_the_driver() -> None:
    store = PostgresStore(connect("postgresql://someone:secret@127.0.0.1:1/none"))
    with pytest.raises(Failed) as failed:
        store.accept(request())
    assert failed.value.reason == ServiceReason.DATABASE_UNREACHABLE
    assert failed.value.retryable
    assert failed.value.__cause__ is None
    assert not {"secret", "INVENTED", "127.0.0.1"} & set(str(failed.value).split())


def test_after_the_server_dropped_every_connection_the_store_goes_on(store: PostgresStore, engine: sa.Engine) -> None:
    store.accept(request(1))
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
    assert store.accept(request(2))[1]
