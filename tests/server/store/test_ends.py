"""Orders that end without a result: whoever ordered is told, once and why. INTEROP.md R-7."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from inference.errors import Reason
from server.domain.access import Caller, Role
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import Order, Priority, Sender
from server.domain.ports import Delivery
from server.domain.states import OrderState
from server.store.store import PostgresStore
from tests.server.store.hospital import AGAIN, Hospital, fails_thrice, lapse, make_due, worked_by
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres


def kills_thrice(hospital: Hospital, order: Order) -> None:
    """No worker ever came so far as to score, let alone to report."""
    assert [hospital.store.claim(order.id, 0.0) is not None for _ in range(4)] == [True, True, True, False]


def breaks_for_good(hospital: Hospital, order: Order) -> None:
    hospital.store.end(hospital.claim(order.id), OrderState.QUEUED, "ENGINE_FAILED", "for now")
    make_due(hospital.engine)
    worked_by(hospital, Failed(ServiceReason.INTERNAL, "a defect"))


@pytest.mark.parametrize(
    ("happens", "state", "reason"),
    [
        (fails_thrice, OrderState.DEAD, "ENGINE_FAILED"),
        (kills_thrice, OrderState.DEAD, "WORKER_LOST"),
        (breaks_for_good, OrderState.DEAD, "INTERNAL"),
        (lambda h, _: worked_by(h, Refused(Reason.NOT_IHC, "an H&E slide")), OrderState.REFUSED, "NOT_IHC"),
    ],
    ids=["failed three times", "killed three workers", "failed for good", "refused"],
)
def test_r7_whatever_ends_an_order_without_a_result_the_lis_is_told_once_and_why(
    hospital: Hospital, happens: Callable[[Hospital, Order], None], state: OrderState, reason: str
) -> None:
    order, _ = hospital.store.accept(request())
    happens(hospital, order)
    assert (hospital.store.order(order.id).state, hospital.store.order(order.id).reason) == (state, reason)
    assert [heard[1:] for heard in hospital.notified] == [("X", reason)]


@pytest.mark.parametrize("state", [OrderState.QUEUED, OrderState.RUNNING])
def test_the_lis_is_told_of_an_order_that_somebody_else_cancelled(hospital: Hospital, state: OrderState) -> None:
    order = hospital.ended(state)
    hospital.end(order, OrderState.CANCELLED)
    assert [heard[1:] for heard in hospital.notified] == [("X", "CANCELLED")]


@pytest.mark.parametrize("repeated", [False, True])
def test_whoever_ordered_and_cancels_is_not_told_unless_another_ordered_it_too(
    hospital: Hospital, repeated: bool
) -> None:
    lis = Caller(subject="LIS", lab="LAB", roles=frozenset({Role.LIS}))
    order, _ = hospital.store.accept(request())
    if repeated:
        hospital.store.accept(
            replace(request(), sender=Sender(application="ANOTHER", facility=""), message_control_id="ITS-OWN")
        )
    hospital.orders.cancel(lis, order.id, "")
    assert hospital.store.order(order.id).state is OrderState.CANCELLED
    assert [heard[1:] for heard in hospital.notified] == [("X", "CANCELLED")] * repeated


def test_while_the_message_cannot_be_written_nothing_is_cancelled(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    hospital.folder.joinpath(order.id).write_text("in the way")
    with pytest.raises(Failed, match="DELIVERY_FAILED"):
        hospital.end(order, OrderState.CANCELLED)
    assert hospital.store.order(order.id).state is OrderState.QUEUED


def test_an_attempt_that_will_be_repeated_tells_nothing(hospital: Hospital) -> None:
    order, _ = hospital.store.accept(request())
    assert (
        hospital.store.end(hospital.claim(order.id), OrderState.QUEUED, "ENGINE_FAILED", "for now") is OrderState.QUEUED
    )
    assert hospital.notified == []


def test_a_zombie_s_end_tells_nothing(hospital: Hospital) -> None:
    order, _ = hospital.store.accept(request())
    zombie = hospital.claim(order.id, 0.0)
    hospital.claim(order.id)
    with pytest.raises(Failed, match="ATTEMPT_LOST"):
        hospital.store.end(zombie, OrderState.REFUSED, "NOT_IHC", "")
    assert hospital.notified == []


def test_a_zombie_s_end_leaves_the_message_of_the_order_s_end_as_it_is(hospital: Hospital) -> None:
    """Same run and reason, other words: by a file of the same name the end's message would no
    longer be what was kept.
    """
    order, _ = hospital.store.accept(request())
    zombie = hospital.claim(order.id, 0.0)
    hospital.store.end(hospital.claim(order.id), OrderState.REFUSED, "TILES_UNREADABLE", "3 of 10 tiles don't decode")
    with pytest.raises(Failed, match="ATTEMPT_LOST"):
        hospital.store.end(zombie, OrderState.REFUSED, "TILES_UNREADABLE", "4 of 10 tiles don't decode")
    assert [heard[1:] for heard in hospital.notified] == [("X", "TILES_UNREADABLE")]


@pytest.mark.parametrize("state", [OrderState.REFUSED, OrderState.DEAD])
def test_an_end_whose_message_cannot_be_written_keeps_its_reason_and_is_computed_once(
    hospital: Hospital, state: OrderState
) -> None:
    """The LIS is told the true reason once the disk has room, and no other worker scores the slide meanwhile."""
    order, _ = hospital.store.accept(request())
    hospital.folder.joinpath(order.id).write_text("in the way")
    with pytest.raises(Failed) as failed:
        hospital.store.end(hospital.claim(order.id), state, "NO_PROFILE", "no valid profile")
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.DELIVERY_FAILED, True)
    assert (hospital.store.claim(order.id, 60), hospital.store.take(60)) == (None, None)
    view = hospital.store.order(order.id)
    assert (view.state, view.reason) == (OrderState.RUNNING, "NO_PROFILE")
    assert worked_by(hospital, AssertionError("nothing is due")) is False
    hospital.folder.joinpath(order.id).unlink()
    lapse(hospital.engine)
    assert hospital.store.claim(order.id, 60) is None
    view = hospital.store.order(order.id)
    assert (view.state, view.reason, view.detail) == (state, "NO_PROFILE", "no valid profile")
    assert [heard[1:] for heard in hospital.notified] == [("X", "NO_PROFILE")]


def test_however_many_orders_cannot_be_buried_others_are_done(hospital: Hospital) -> None:
    for number in range(12):
        order, _ = hospital.store.accept(request(number, priority=Priority.STAT))
        hospital.folder.joinpath(order.id).write_text("in the way")
    with hospital.engine.begin() as connection:
        held = "state = 'RUNNING', attempt = 3, token = gen_random_uuid(), lease_until = now() - interval '1 s'"
        connection.exec_driver_sql(f"UPDATE orders SET {held}")
    routine, _ = hospital.store.accept(request(99))
    assert worked_by(hospital, Refused(Reason.NOT_IHC, "an H&E slide"))
    assert hospital.store.order(routine.id).state is OrderState.REFUSED
    assert len(hospital.store.due()) == 2  # which come before those ten in the next round


def test_an_end_that_was_kept_is_forgotten_with_the_run_that_it_ended(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    in_the_way = hospital.folder / order.id
    in_the_way.write_text("in the way")
    with pytest.raises(Failed):
        hospital.end(order, OrderState.REFUSED)
    in_the_way.unlink()
    hospital.end(order, OrderState.CANCELLED)
    hospital.store.accept(AGAIN)
    kills_thrice(hospital, order)
    assert hospital.store.order(order.id).reason == "WORKER_LOST"


def test_while_the_message_cannot_be_written_an_order_whose_workers_died_does_not_end(hospital: Hospital) -> None:
    order, _ = hospital.store.accept(request())
    hospital.folder.joinpath(order.id).write_text("in the way")
    kills_thrice(hospital, order)
    assert hospital.store.order(order.id).state is OrderState.RUNNING
    assert hospital.store.due() == []  # others' turn: it is tried again in half a minute
    hospital.folder.joinpath(order.id).unlink()
    lapse(hospital.engine)
    assert hospital.store.claim(order.id, 0.0) is None
    assert [heard[1:] for heard in hospital.notified] == [("X", "WORKER_LOST")]


@pytest.mark.parametrize(
    "error", [Failed(ServiceReason.INTERNAL, "not valid HL7"), ValueError("of a library")], ids=repr
)
def test_an_end_that_cannot_be_put_in_words_is_an_end_all_the_same(engine: sa.Engine, error: Exception) -> None:
    def speechless(order: Order, reason: str, detail: str) -> Sequence[Delivery]:
        raise error

    store = PostgresStore(engine, notify=speechless)
    order, _ = store.accept(request())
    claim = store.claim(order.id, 60)
    assert claim is not None
    assert store.end(claim, OrderState.REFUSED, "NOT_IHC", "an H&E slide") is OrderState.REFUSED
    abandoned, _ = store.accept(request(2))
    assert [store.claim(abandoned.id, 0.0) is not None for _ in range(4)] == [True, True, True, False]
    assert store.order(abandoned.id).state is OrderState.DEAD
