"""An order that ended without a result and is ordered again, or waits for its slide. INTEROP.md R-3, I-7."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import hl7
import pytest
import sqlalchemy as sa

from server.domain.errors import Refused, ServiceReason
from server.domain.order import Priority, Request, Sender
from server.domain.states import OrderState
from server.hl7.oru import control_id
from server.store.database import connect
from server.store.order_repository import PostgresOrderRepository
from server.store.store import PostgresStore
from tests.server.store.hospital import AGAIN, OPERATOR, Hospital, fails_thrice, make_due, notify_in
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres


BEGUN_ANEW = {
    OrderState.QUEUED: False,
    OrderState.RUNNING: False,
    OrderState.DONE: False,
    OrderState.REFUSED: True,
    OrderState.DEAD: True,
    OrderState.CANCELLED: True,
}
"""docs/hl7-interface.md, "An order that comes again"."""


@pytest.mark.parametrize("state", OrderState)
def test_r3_a_second_order_of_a_number_runs_again_where_the_first_ended_without_a_result(
    hospital: Hospital, state: OrderState
) -> None:
    first = hospital.ended(state)
    before = hospital.store.order(first.id)
    again, new = hospital.store.accept(AGAIN)
    after = hospital.store.order(first.id)
    assert (again.id, new) == (first.id, False)
    if not BEGUN_ANEW[state]:
        assert (after.state, after.order.run, after.result_id) == (before.state, 1, before.result_id)
        return
    assert (after.state, after.attempt, after.reason, after.order.run) == (OrderState.QUEUED, 0, "", 2)
    assert after.order.request.priority is Priority.STAT
    assert hospital.store.due() == [first.id]
    fails_thrice(hospital, again)
    assert hospital.store.order(first.id).attempt == 3


def corrected(asked: Request) -> Request:
    """What a LIS mends when an order comes back: all of it is said in the answer."""
    patient = replace(asked.patient, family_name="TEST-MENDED", given_name="Anna", birth_date=date(1951, 1, 1), sex="M")
    specimen = replace(asked.specimen, site_code="39937001", site_text="Skin")
    mended = {"procedure_code": "16112-5", "procedure_text": "Receptor", "charset": "8859/1", "requested_at": None}
    return replace(asked, patient=patient, specimen=specimen, **mended)


def test_an_order_begun_anew_is_answered_with_what_the_new_message_says(
    service_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    """As the account of an installation, which may write only what it is granted."""
    service = connect(service_url)
    store = PostgresStore(service, notify=notify_in(tmp_path))
    hospital = Hospital(store=store, engine=engine, folder=tmp_path)
    order, asked = hospital.ended(OrderState.REFUSED), corrected(AGAIN)
    again, _ = store.accept(asked)
    assert again.request == replace(asked, message_control_id=order.request.message_control_id)
    hospital.end(again, OrderState.REFUSED)
    service.dispose()
    last = max((tmp_path / order.id / "refused").iterdir(), key=lambda path: path.stat().st_mtime_ns).read_bytes()
    assert b"TEST-MENDED" in last
    assert b"TEST-INVENTED" not in last


def test_an_order_that_waits_is_corrected_by_a_new_message_and_scored_once(
    hospital: Hospital, service_url: str
) -> None:
    """A name that was mended before anything was made of the order: the result must not bear the former one."""
    service = connect(service_url)
    store = PostgresStore(service)
    order = hospital.ended(OrderState.QUEUED)
    asked = corrected(replace(AGAIN, priority=order.request.priority))
    again, new = store.accept(asked)
    view = store.order(order.id)
    service.dispose()
    assert (again, new) == (view.order, False)
    assert again == replace(order, request=replace(asked, message_control_id=order.request.message_control_id))
    assert (view.state, view.attempt, view.order.run) == (OrderState.QUEUED, 0, 1)
    assert hospital.claim(order.id).order.request.patient.family_name == "TEST-MENDED"


@pytest.mark.parametrize("state", [OrderState.RUNNING, OrderState.DONE])
def test_a_second_order_of_one_that_runs_or_is_done_changes_nothing_and_that_is_logged(
    hospital: Hospital, state: OrderState, capsys: pytest.CaptureFixture[str]
) -> None:
    order = hospital.ended(state)
    again, _ = hospital.store.accept(corrected(replace(AGAIN, priority=order.request.priority)))
    assert again == order
    said = capsys.readouterr().out
    assert "order_not_corrected" in said
    assert "patient" in said
    assert "MENDED" not in said


def test_a_correction_that_an_order_only_heeds_as_urgent_is_logged_as_not_made(
    hospital: Hospital, capsys: pytest.CaptureFixture[str]
) -> None:
    order = hospital.ended(OrderState.RUNNING)
    again, _ = hospital.store.accept(corrected(AGAIN))
    assert again.request == replace(order.request, priority=Priority.STAT)
    assert "order_not_corrected" in capsys.readouterr().out


def test_who_corrected_an_order_that_waits_is_in_the_audit_and_what_but_not_with_which_words(
    hospital: Hospital, service_url: str
) -> None:
    """INTEROP.md S-2. As the account of an installation, and a message that corrects nothing isn't one."""
    service = connect(service_url)
    store = PostgresStore(service)
    order = hospital.ended(OrderState.QUEUED)
    asked = replace(AGAIN, priority=order.request.priority, sender=Sender(application="OTHER", facility="LAB"))
    store.accept(asked)
    store.accept(replace(asked, message_control_id="MENDED", patient=replace(asked.patient, family_name="TEST-MENDED")))
    service.dispose()
    with hospital.engine.connect() as connection:
        audit = connection.execute(sa.text("SELECT subject, action, object, outcome FROM audit ORDER BY id")).all()
    thing = f"orders/{order.id}"
    assert [tuple(line) for line in audit] == [
        (order.request.sender.name, "order.accept", thing, "attempt 0"),
        ("OTHER^LAB", "order.correct", thing, "patient"),
    ]


@pytest.mark.parametrize(
    "change", ["jsonb_set(patient, '{id}', '\"OTHER\"')", "jsonb_set(patient, '{id_authority}', '\"OTHER\"')"]
)
def test_no_correction_makes_an_order_another_patients(hospital: Hospital, change: str) -> None:
    hospital.ended(OrderState.QUEUED)
    with (
        pytest.raises(sa.exc.ProgrammingError, match="patient and specimen stay"),
        hospital.engine.begin() as connection,
    ):
        connection.exec_driver_sql(f"UPDATE orders SET repeats = '{{M}}', patient = {change}")


@pytest.mark.parametrize("state", [s for s, anew in BEGUN_ANEW.items() if anew])
@pytest.mark.parametrize("resent", [request(1), AGAIN], ids=["the first message", "the second"])
def test_r3_a_message_that_comes_again_does_nothing_whatever_became_of_its_order(
    hospital: Hospital, state: OrderState, resent: Request
) -> None:
    order = hospital.ended(state)
    hospital.store.accept(AGAIN)
    hospital.end(order, state)
    before = hospital.store.order(order.id)
    assert (before.state, before.order.run) == (state, 2)
    assert hospital.store.accept(resent) == (before.order, False)
    assert hospital.store.order(order.id) == before


def test_r3_a_repeat_that_came_while_the_order_lived_does_not_wake_it_when_it_comes_again(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    hospital.store.accept(AGAIN)
    hospital.end(order, OrderState.REFUSED)
    hospital.store.accept(AGAIN)
    assert hospital.store.order(order.id).state is OrderState.REFUSED


def test_i7_each_run_is_answered_by_a_message_of_its_own(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.REFUSED)
    order, _ = hospital.store.accept(AGAIN)
    hospital.end(order, OrderState.REFUSED)
    order, _ = hospital.store.accept(replace(AGAIN, message_control_id="A THIRD TIME"))
    done = result(order.id)
    hospital.store.finish(hospital.claim(order.id), done, [])
    told = hospital.notified
    assert [heard[1:] for heard in told] == [("X", "NO_TISSUE")] * 2
    assert len({*(heard[0] for heard in told), control_id(done)}) == 3


def test_the_refusal_of_a_later_run_bears_the_time_at_which_that_began(hospital: Hospital) -> None:
    """A LIS that sorts an order's answers by OBR-22 must find the later one last."""
    order = hospital.ended(OrderState.REFUSED)
    with hospital.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET received_at = received_at - interval '1 hour'")
    again, _ = hospital.store.accept(AGAIN)
    hospital.end(again, OrderState.REFUSED)
    assert again.begun_at is not None
    written = sorted((hospital.folder / order.id / "refused").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path, began in zip(written, (order.received_at, again.begun_at), strict=True):
        message = hl7.parse(path.read_bytes().decode())
        assert str(message.segment("MSH")[7]) == str(message.segment("OBR")[22]) == f"{began:%Y%m%d%H%M%S}+0000"  # type: ignore[arg-type]


def test_of_twenty_second_orders_at_once_one_begins_it_anew(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.DEAD)
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda i: hospital.store.accept(replace(AGAIN, message_control_id=f"AGAIN-{i}")), range(20))
        )
    assert {answer.id for answer, _ in answers} == {order.id}
    assert hospital.store.order(order.id).order.run == 2


@pytest.mark.parametrize("state", [OrderState.RUNNING, OrderState.DEAD])
@pytest.mark.parametrize(
    "other",
    [
        replace(AGAIN, patient=replace(AGAIN.patient, id="INVENTED-OTHER")),
        replace(AGAIN, patient=replace(AGAIN.patient, id_authority="INVENTED-OTHER")),
        replace(AGAIN, specimen=replace(AGAIN.specimen, id="INVENTED-OTHER")),
        replace(AGAIN, specimen=replace(AGAIN.specimen, container_id="INVENTED-OTHER")),
        replace(AGAIN, slide=replace(AGAIN.slide, container_id="INVENTED-OTHER")),
        replace(AGAIN, marker="PR"),
    ],
    ids=["patient", "authority", "specimen", "container", "slide", "marker"],
)
def test_a_number_that_comes_again_with_another_content_is_refused_and_begins_nothing(
    hospital: Hospital, state: OrderState, other: Request
) -> None:
    order = hospital.ended(state)
    with pytest.raises(Refused, match="used before") as refused:
        hospital.store.accept(other)
    assert "INVENTED" not in refused.value.message
    assert hospital.store.order(order.id).state is state


def test_who_began_it_anew_is_in_the_audit(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.DEAD)
    hospital.store.accept(AGAIN)
    with hospital.engine.connect() as connection:
        asked = sa.text("SELECT subject FROM audit WHERE action = 'order.requeue' AND object = :object")
        assert connection.execute(asked, {"object": f"orders/{order.id}"}).scalars().all() == [AGAIN.sender.name]


def test_an_order_retried_by_a_person_has_all_its_attempts_again(hospital: Hospital) -> None:
    order = hospital.ended(OrderState.QUEUED)
    fails_thrice(hospital, order)
    assert PostgresOrderRepository(hospital.engine).retry(OPERATOR, order.id, "").attempt == 0
    fails_thrice(hospital, order)
    assert [heard[1:] for heard in hospital.notified] == [("X", "ENGINE_FAILED")] * 2


@pytest.mark.parametrize("reason", ["SLIDE_NOT_FOUND", "TOO_COARSE", "SLIDE_DAMAGED"])
def test_an_order_waits_for_a_slide_that_is_not_there_whole_yet_and_is_refused_when_it_never_is(
    engine: sa.Engine, reason: str
) -> None:
    store = PostgresStore(engine, slide_wait_s=600)
    order, _ = store.accept(request())

    def looks() -> OrderState:
        claim = store.claim(order.id, 60)
        assert claim is not None
        return store.end(claim, OrderState.REFUSED, reason, "no slide of this container, or not all of it")

    for _ in range(5):
        make_due(engine)
        assert looks() is OrderState.QUEUED
    view = store.order(order.id)
    assert (view.attempt, view.reason) == (0, reason)
    assert store.due() == []  # not at once
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET begun_at = now() - interval '601 s', due_at = now()")
    assert looks() is OrderState.REFUSED
    store.accept(AGAIN)
    assert looks() is OrderState.QUEUED  # begun anew, it waits anew


@pytest.mark.parametrize(("age_s", "least", "most"), [(0, 29, 31), (200, 95, 105), (86_000, 880, 901)])
def test_the_longer_an_order_waits_for_its_slide_the_rarer_are_its_looks(
    engine: sa.Engine, age_s: int, least: float, most: float
) -> None:
    store = PostgresStore(engine, slide_wait_s=100_000)
    order, _ = store.accept(request())
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE orders SET begun_at = now() - interval '{age_s} s'")
    claim = store.claim(order.id, 60)
    assert claim is not None
    store.end(claim, OrderState.REFUSED, ServiceReason.SLIDE_NOT_FOUND, "not yet")
    with engine.connect() as connection:
        wait_s = connection.exec_driver_sql("SELECT extract(epoch FROM due_at - now()) FROM orders").scalar_one()
    assert least < wait_s < most
