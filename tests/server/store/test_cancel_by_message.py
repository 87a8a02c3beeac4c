"""Orders taken back by a message: once, for whom they belong to, and answered alike (issue 12, 2c; R-3)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import hl7
import pytest
import sqlalchemy as sa

from server.demo.lis import order_message
from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import EntityIdentifier, Order, Patient, ProcessingId, Sender, SlideReference
from server.domain.states import OrderState
from server.hl7.intake import Intake
from server.store.database import connect
from server.store.store import PostgresStore
from tests.server.store.hospital import AGAIN, Hospital
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres

OTHER = Sender(application="OTHER", facility="LAB")
TOO_LATE = [OrderState.DONE, OrderState.REFUSED, OrderState.DEAD]


def cancellation(order: Order, control_id: str = "CA-1", **changes: object) -> Cancellation:
    """Of this order, as its sender sends it whole."""
    asked = order.request
    whole = Cancellation(
        lab=asked.lab,
        sender=asked.sender,
        message_control_id=control_id,
        placer_order_number=asked.placer_order_number,
        patient=asked.patient,
        order_id=order.id,
        procedure_code=asked.procedure_code,
        specimen_id=asked.specimen.id,
        slide=asked.slide,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def state_of(hospital: Hospital, order: Order) -> OrderState:
    return hospital.store.order(order.id).state


@pytest.fixture
def store(hospital: Hospital, service_url: str) -> Iterator[PostgresStore]:
    """As the account of an installation, with its rights."""
    engine = connect(service_url)
    yield PostgresStore(engine, notify=hospital.tell)
    engine.dispose()


@pytest.mark.parametrize("state", [OrderState.QUEUED, OrderState.RUNNING])
def test_an_order_that_waits_or_runs_is_cancelled_and_its_sender_is_told_by_the_answer_alone(
    hospital: Hospital, store: PostgresStore, state: OrderState
) -> None:
    order = hospital.ended(state)
    outcome = store.cancel(cancellation(order))
    assert (outcome.state, outcome.cancelled) == (OrderState.CANCELLED, True)
    assert outcome.order is not None
    assert outcome.order.id == order.id
    assert state_of(hospital, order) is OrderState.CANCELLED
    assert hospital.notified == []


def test_an_order_goes_in_and_is_taken_back_by_bytes(hospital: Hospital, store: PostgresStore) -> None:
    """Issue 12, 2c, as a LIS sends it: the order whole again, with CA; and once more, for it missed the answer."""
    intake = Intake(store.accept, store.cancel)
    new = order_message(placer_number="P|1", marker="ER", control_id="M-1", container_id="C-1", specimen_id="S-1")
    back = new.replace(b"ORC|NW", b"ORC|CA").replace(b"M-1", b"M-2")
    answers = [hl7.parse(intake(message)[0].decode()) for message in (new, back, back)]
    assert [str(answer.segment("ORC")[1]) for answer in answers] == ["OK", "CR", "CR"]
    assert len({str(answer.segment("ORC")[3]) for answer in answers}) == 1
    (view,) = hospital.store.orders()
    assert (view.state, view.order.request.placer_order_number.identifier) == (OrderState.CANCELLED, "P|1")
    assert hospital.notified == []


def test_whoever_runs_it_loses_it_at_the_next_progress_and_keeps_nothing(hospital: Hospital) -> None:
    order, _ = hospital.store.accept(request())
    claim = hospital.claim(order.id)
    hospital.store.cancel(cancellation(order))
    with pytest.raises(Failed, match="ATTEMPT_LOST"):
        hospital.store.progress(claim, 0.5, 60)
    with pytest.raises(Failed, match="ATTEMPT_LOST"):
        hospital.store.finish(claim, result(order.id), [])
    assert hospital.store.due() == []


@pytest.mark.parametrize("state", TOO_LATE)
def test_what_has_ended_stays_and_its_state_is_said(hospital: Hospital, state: OrderState) -> None:
    order = hospital.ended(state)
    before = len(hospital.notified)
    outcome = hospital.store.cancel(cancellation(order))
    assert (outcome.state, outcome.cancelled) == (state, False)
    assert state_of(hospital, order) is state
    assert len(hospital.notified) == before


def test_an_order_that_is_cancelled_already_is_what_was_wished(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.CANCELLED)
    assert hospital.store.cancel(cancellation(order)).cancelled


@pytest.mark.parametrize("state", [OrderState.QUEUED, *TOO_LATE[1:]])
def test_r3_the_same_message_again_is_answered_alike_and_stops_nothing_that_was_ordered_since(
    hospital: Hospital, state: OrderState
) -> None:
    order = hospital.ended(state)
    first = hospital.store.cancel(cancellation(order))
    assert hospital.store.cancel(cancellation(order)) == first
    again, _ = hospital.store.accept(AGAIN)
    assert (again.id, again.run) == (order.id, 2)
    assert hospital.store.cancel(cancellation(order)).state is first.state
    assert state_of(hospital, order) is OrderState.QUEUED
    assert hospital.store.cancel(cancellation(order, "CA-2")).cancelled
    assert state_of(hospital, order) is OrderState.CANCELLED


def test_twenty_at_once_cancel_once(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.RUNNING)
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(lambda _: hospital.store.cancel(cancellation(order)), range(20)))
    assert [outcome.state for outcome in outcomes] == [OrderState.CANCELLED] * 20
    with hospital.engine.connect() as connection:
        asked = sa.text("SELECT count(*) FROM audit WHERE action = 'order.cancelled' AND subject = 'LIS^LAB'")
        assert connection.execute(asked).scalar_one() == 1


def test_who_else_ordered_it_is_told_once(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    asked = cancellation(order, sender=OTHER)
    for _ in range(2):
        assert hospital.store.cancel(asked).cancelled
    assert [heard[1:] for heard in hospital.notified] == [("X", "CANCELLED")]


def test_while_who_else_ordered_it_cannot_be_told_nothing_is_cancelled(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    hospital.folder.joinpath(order.id).write_text("in the way")
    with pytest.raises(Failed, match="DELIVERY_FAILED") as failed:
        hospital.store.cancel(cancellation(order, sender=OTHER))
    assert failed.value.retryable
    assert state_of(hospital, order) is OrderState.QUEUED


def test_a_cancellation_that_came_too_late_does_not_make_its_sender_one_who_ordered(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.REFUSED)
    hospital.store.cancel(cancellation(order, "CA-0", sender=OTHER))
    before = len(hospital.notified)
    hospital.store.accept(AGAIN)
    hospital.store.cancel(cancellation(order))
    assert len(hospital.notified) == before


ANOTHER = {
    "laboratory": {"lab": "LAB-B"},
    "patient": {"patient": Patient(id="0001")},
    "authority of the patient": {"patient": Patient(id="0000", id_authority="ELSEWHERE")},
    "number": {"placer_order_number": EntityIdentifier(identifier="P2")},
    "placer of the number": {"placer_order_number": EntityIdentifier(identifier="P1", namespace="OTHER")},
    "no number": {"placer_order_number": EntityIdentifier(identifier="")},
    "order of ours": {"order_id": "4d4f9c3e-0000-4000-8000-000000000000"},
    "procedure": {"procedure_code": "85339-0"},
    "specimen": {"specimen_id": "S9"},
    "slide": {"slide": SlideReference(container_id="C9")},
    "system, a test's": {"processing_id": ProcessingId.TRAINING},
}


@pytest.mark.parametrize("changes", ANOTHER.values(), ids=ANOTHER)
def test_another_order_is_not_cancelled(hospital: Hospital, changes: dict[str, object]) -> None:
    order = hospital.ended(OrderState.QUEUED)
    assert hospital.store.cancel(cancellation(order, **changes)) == CancelOutcome(fitting=0)  # type: ignore[arg-type]
    assert state_of(hospital, order) is OrderState.QUEUED


def test_number_and_patient_are_enough_where_they_mean_one_order(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    bare = cancellation(order, order_id="", procedure_code="", specimen_id="", slide=SlideReference())
    assert hospital.store.cancel(bare).cancelled


def test_of_two_orders_of_one_number_the_one_that_is_named_is_cancelled_and_else_none(hospital: Hospital) -> None:
    first, _ = hospital.store.accept(request())
    second, _ = hospital.store.accept(
        replace(request(), message_control_id="M2", placer_request="2", procedure_code="85339-0", marker="PR")
    )
    bare = cancellation(first, order_id="", procedure_code="")
    assert hospital.store.cancel(bare) == CancelOutcome(fitting=2)
    assert hospital.store.cancel(replace(bare, procedure_code="85339-0")).cancelled
    assert [state_of(hospital, order) for order in (first, second)] == [OrderState.QUEUED, OrderState.CANCELLED]


@pytest.mark.parametrize("control_id", ["M1", "AGAIN"])
def test_the_control_id_of_a_message_that_ordered_is_refused(hospital: Hospital, control_id: str) -> None:
    order = hospital.ended(OrderState.QUEUED)
    hospital.store.accept(AGAIN)
    with pytest.raises(Refused, match="control id was used before") as refused:
        hospital.store.cancel(cancellation(order, control_id))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID
    assert state_of(hospital, order) is OrderState.QUEUED


def test_a_character_that_cannot_be_kept_is_refused(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    with pytest.raises(Refused, match="NUL"):
        hospital.store.cancel(cancellation(order, placer_order_number=EntityIdentifier(identifier="P\0")))
