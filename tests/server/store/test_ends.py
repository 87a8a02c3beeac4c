"""Orders that end without a result: whoever ordered is told, and may order again. INTEROP.md R-3, R-7, I-7."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import hl7
import pytest
import sqlalchemy as sa

from inference.errors import Reason
from server.domain.access import Actor, Role
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import Order, OrderId, Priority, Request
from server.domain.ports import Claim, Delivery
from server.domain.states import State
from server.report.oru import control_id
from server.report.refusal import refusal_to
from server.store.database import connect
from server.store.order_desk import PostgresOrderDesk
from server.store.outbox import PostgresOutbox
from server.store.store import PostgresStore
from server.store.telling import Tell
from server.worker import Worker
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres
OPERATOR = Actor(subject="operator", lab="LAB", roles=frozenset({Role.OPERATOR}))


@dataclass(frozen=True)
class Hospital:
    """A store that tells its LIS, and what the LIS was told: (MSH-10, OBR-25, reason)."""

    store: PostgresStore
    engine: sa.Engine
    folder: Path

    @property
    def desk(self) -> PostgresOrderDesk:
        return PostgresOrderDesk(self.engine, self.tell)

    @property
    def tell(self) -> Tell:
        return partial(refusal_to, folder=self.folder, destination="lis")

    @property
    def told(self) -> list[tuple[str, str, str]]:
        heard: list[tuple[str, str, str]] = []

        def lis(delivery: Delivery) -> None:
            message = hl7.parse(delivery.path.read_bytes().decode())
            reasons = [str(obx[5]) for obx in message.segments("OBX") if str(obx[3]).startswith("REFUSAL")]
            heard.append((str(message.segment("MSH")[10]), str(message.segment("OBR")[25]), *reasons))  # type: ignore[arg-type]

        with self.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE outbox SET state = 'WAITING'")
        PostgresOutbox(self.engine, lis).send_due()
        return heard

    def ended(self, state: State, number: int = 1) -> Order:
        """An order that came to this state."""
        order, _ = self.store.accept(request(number))
        self.end(order, state)
        assert self.store.order(order.id).state is state
        return order

    def end(self, order: Order, state: State) -> None:
        if state is State.CANCELLED:
            self.desk.cancel(OPERATOR, order.id, "")
            return
        claim = None if state is State.QUEUED else self.claim(order.id)
        if claim is not None and state is State.DONE:
            self.store.finish(claim, result(order.id, seed=order.run), [])
        elif claim is not None and state is not State.RUNNING:
            self.store.end(claim, state, "NO_TISSUE", "no tissue was found")

    def claim(self, order_id: OrderId, lease_s: float = 60) -> Claim:
        claim = self.store.claim(order_id, lease_s)
        assert claim is not None
        return claim


@pytest.fixture
def hospital(engine: sa.Engine, tmp_path: Path) -> Hospital:
    tell = partial(refusal_to, folder=tmp_path, destination="lis")
    return Hospital(store=PostgresStore(engine, tell=tell), engine=engine, folder=tmp_path)


def make_due(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET due_at = now()")


def lapse(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET lease_until = now() - interval '1 s' WHERE state = 'RUNNING'")


def fails_thrice(hospital: Hospital, order: Order) -> None:
    for _ in range(3):
        make_due(hospital.engine)
        hospital.store.end(hospital.claim(order.id), State.QUEUED, "ENGINE_FAILED", "out of memory")


def kills_thrice(hospital: Hospital, order: Order) -> None:
    """No worker ever came so far as to score, let alone to report."""
    assert [hospital.store.claim(order.id, 0.0) is not None for _ in range(4)] == [True, True, True, False]


def breaks_for_good(hospital: Hospital, order: Order) -> None:
    hospital.store.end(hospital.claim(order.id), State.QUEUED, "ENGINE_FAILED", "for now")
    make_due(hospital.engine)
    worked_by(hospital, Failed(ServiceReason.INTERNAL, "a defect"))


def worked_by(hospital: Hospital, error: Exception) -> bool:
    def run_case(_: Claim) -> None:
        raise error

    return Worker(hospital.store, PostgresOutbox(hospital.engine, lambda _: None), run_case, lease_s=60, poll_s=0.1).step()


@pytest.mark.parametrize(
    ("happens", "state", "reason"),
    [
        (fails_thrice, State.DEAD, "ENGINE_FAILED"),
        (kills_thrice, State.DEAD, "WORKER_LOST"),
        (breaks_for_good, State.DEAD, "INTERNAL"),
        (lambda h, _: worked_by(h, Refused(Reason.NOT_IHC, "an H&E slide")), State.REFUSED, "NOT_IHC"),
    ],
    ids=["failed three times", "killed three workers", "failed for good", "refused"],
)
def test_r7_whatever_ends_an_order_without_a_result_the_lis_is_told_once_and_why(
    hospital: Hospital, happens: Callable[[Hospital, Order], None], state: State, reason: str
) -> None:
    order, _ = hospital.store.accept(request())
    happens(hospital, order)
    assert (hospital.store.order(order.id).state, hospital.store.order(order.id).reason) == (state, reason)
    assert [heard[1:] for heard in hospital.told] == [("X", reason)]


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_the_lis_is_told_of_an_order_that_somebody_else_cancelled(hospital: Hospital, state: State) -> None:
    order = hospital.ended(state)
    hospital.end(order, State.CANCELLED)
    assert [heard[1:] for heard in hospital.told] == [("X", "CANCELLED")]


def test_whoever_ordered_and_cancels_is_not_told(hospital: Hospital) -> None:
    lis = Actor(subject="LIS", lab="LAB", roles=frozenset({Role.LIS}))
    order, _ = hospital.store.accept(request())
    hospital.desk.cancel(lis, order.id, "")
    assert (hospital.store.order(order.id).state, hospital.told) == (State.CANCELLED, [])


def test_while_the_message_cannot_be_written_nothing_is_cancelled(hospital: Hospital) -> None:
    order = hospital.ended(State.QUEUED)
    hospital.folder.joinpath(order.id).write_text("in the way")
    with pytest.raises(Failed, match="DELIVERY_FAILED"):
        hospital.end(order, State.CANCELLED)
    assert hospital.store.order(order.id).state is State.QUEUED


def test_an_attempt_that_will_be_repeated_tells_nothing(hospital: Hospital) -> None:
    order, _ = hospital.store.accept(request())
    assert hospital.store.end(hospital.claim(order.id), State.QUEUED, "ENGINE_FAILED", "for now") is State.QUEUED
    assert hospital.told == []


def test_a_zombie_s_end_tells_nothing(hospital: Hospital) -> None:
    order, _ = hospital.store.accept(request())
    zombie = hospital.claim(order.id, 0.0)
    hospital.claim(order.id)
    with pytest.raises(Failed, match="ATTEMPT_LOST"):
        hospital.store.end(zombie, State.REFUSED, "NOT_IHC", "")
    assert hospital.told == []


def test_a_zombie_s_end_leaves_the_message_of_the_order_s_end_as_it_is(hospital: Hospital) -> None:
    """Same run and reason, other words: by a file of the same name the end's message would no longer be what was kept."""
    order, _ = hospital.store.accept(request())
    zombie = hospital.claim(order.id, 0.0)
    hospital.store.end(hospital.claim(order.id), State.REFUSED, "TILES_UNREADABLE", "3 of 10 tiles don't decode")
    with pytest.raises(Failed, match="ATTEMPT_LOST"):
        hospital.store.end(zombie, State.REFUSED, "TILES_UNREADABLE", "4 of 10 tiles don't decode")
    assert [heard[1:] for heard in hospital.told] == [("X", "TILES_UNREADABLE")]


@pytest.mark.parametrize("state", [State.REFUSED, State.DEAD])
def test_an_end_whose_message_cannot_be_written_keeps_its_reason_and_is_computed_once(hospital: Hospital, state: State) -> None:
    """The LIS is told the true reason once the disk has room, and no other worker scores the slide meanwhile."""
    order, _ = hospital.store.accept(request())
    hospital.folder.joinpath(order.id).write_text("in the way")
    with pytest.raises(Failed) as failed:
        hospital.store.end(hospital.claim(order.id), state, "NO_PROFILE", "no valid profile")
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.DELIVERY_FAILED, True)
    assert (hospital.store.claim(order.id, 60), hospital.store.take(60)) == (None, None)
    view = hospital.store.order(order.id)
    assert (view.state, view.reason) == (State.RUNNING, "NO_PROFILE")
    assert worked_by(hospital, AssertionError("nothing is due")) is False
    hospital.folder.joinpath(order.id).unlink()
    lapse(hospital.engine)
    assert hospital.store.claim(order.id, 60) is None
    view = hospital.store.order(order.id)
    assert (view.state, view.reason, view.detail) == (state, "NO_PROFILE", "no valid profile")
    assert [heard[1:] for heard in hospital.told] == [("X", "NO_PROFILE")]


def test_however_many_orders_cannot_be_buried_others_are_done(hospital: Hospital) -> None:
    for number in range(12):
        order, _ = hospital.store.accept(request(number, priority=Priority.STAT))
        hospital.folder.joinpath(order.id).write_text("in the way")
    with hospital.engine.begin() as connection:
        held = "state = 'RUNNING', attempt = 3, token = gen_random_uuid(), lease_until = now() - interval '1 s'"
        connection.exec_driver_sql(f"UPDATE orders SET {held}")
    routine, _ = hospital.store.accept(request(99))
    assert worked_by(hospital, Refused(Reason.NOT_IHC, "an H&E slide"))
    assert hospital.store.order(routine.id).state is State.REFUSED
    assert len(hospital.store.due()) == 2  # which come before those ten in the next round


def test_an_end_that_was_kept_is_forgotten_with_the_run_that_it_ended(hospital: Hospital) -> None:
    order = hospital.ended(State.QUEUED)
    in_the_way = hospital.folder / order.id
    in_the_way.write_text("in the way")
    with pytest.raises(Failed):
        hospital.end(order, State.REFUSED)
    in_the_way.unlink()
    hospital.end(order, State.CANCELLED)
    hospital.store.accept(AGAIN)
    kills_thrice(hospital, order)
    assert hospital.store.order(order.id).reason == "WORKER_LOST"


def test_while_the_message_cannot_be_written_an_order_whose_workers_died_does_not_end(hospital: Hospital) -> None:
    order, _ = hospital.store.accept(request())
    hospital.folder.joinpath(order.id).write_text("in the way")
    kills_thrice(hospital, order)
    assert hospital.store.order(order.id).state is State.RUNNING
    assert hospital.store.due() == []  # others' turn: it is tried again in half a minute
    hospital.folder.joinpath(order.id).unlink()
    lapse(hospital.engine)
    assert hospital.store.claim(order.id, 0.0) is None
    assert [heard[1:] for heard in hospital.told] == [("X", "WORKER_LOST")]


@pytest.mark.parametrize("error", [Failed(ServiceReason.INTERNAL, "not valid HL7"), ValueError("of a library")], ids=repr)
def test_an_end_that_cannot_be_put_in_words_is_an_end_all_the_same(engine: sa.Engine, error: Exception) -> None:
    def speechless(order: Order, reason: str, detail: str) -> Sequence[Delivery]:
        raise error

    store = PostgresStore(engine, tell=speechless)
    order, _ = store.accept(request())
    claim = store.claim(order.id, 60)
    assert claim is not None
    assert store.end(claim, State.REFUSED, "NOT_IHC", "an H&E slide") is State.REFUSED
    spent, _ = store.accept(request(2))
    assert [store.claim(spent.id, 0.0) is not None for _ in range(4)] == [True, True, True, False]
    assert store.order(spent.id).state is State.DEAD


AGAIN = replace(request(1), message_control_id="AGAIN", priority=Priority.STAT)

BEGUN_ANEW = {
    State.QUEUED: False,
    State.RUNNING: False,
    State.DONE: False,
    State.REFUSED: True,
    State.DEAD: True,
    State.CANCELLED: True,
}
"""docs/hl7-interface.md, "An order that comes again"."""


@pytest.mark.parametrize("state", State)
def test_r3_a_second_order_of_a_number_runs_again_where_the_first_ended_without_a_result(hospital: Hospital, state: State) -> None:
    first = hospital.ended(state)
    before = hospital.store.order(first.id)
    again, new = hospital.store.accept(AGAIN)
    after = hospital.store.order(first.id)
    assert (again.id, new) == (first.id, False)
    if not BEGUN_ANEW[state]:
        assert (after.state, after.order.run, after.result_id) == (before.state, 1, before.result_id)
        return
    assert (after.state, after.attempt, after.reason, after.order.run) == (State.QUEUED, 0, "", 2)
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
    store = PostgresStore(service, tell=partial(refusal_to, folder=tmp_path, destination="lis"))
    hospital = Hospital(store=store, engine=engine, folder=tmp_path)
    order, asked = hospital.ended(State.REFUSED), corrected(AGAIN)
    again, _ = store.accept(asked)
    assert again.request == replace(asked, message_control_id=order.request.message_control_id)
    hospital.end(again, State.REFUSED)
    service.dispose()
    last = max((tmp_path / order.id / "refused").iterdir(), key=lambda path: path.stat().st_mtime_ns).read_bytes()
    assert b"TEST-MENDED" in last
    assert b"TEST-INVENTED" not in last


def test_a_second_order_of_one_that_lives_changes_nothing_that_is_said_of_it(hospital: Hospital) -> None:
    order = hospital.ended(State.RUNNING)
    again, _ = hospital.store.accept(corrected(replace(AGAIN, priority=order.request.priority)))
    assert again == order


@pytest.mark.parametrize("state", [s for s, anew in BEGUN_ANEW.items() if anew])
@pytest.mark.parametrize("resent", [request(1), AGAIN], ids=["the first message", "the second"])
def test_r3_a_message_that_comes_again_does_nothing_whatever_became_of_its_order(
    hospital: Hospital, state: State, resent: Request
) -> None:
    order = hospital.ended(state)
    hospital.store.accept(AGAIN)
    hospital.end(order, state)
    before = hospital.store.order(order.id)
    assert (before.state, before.order.run) == (state, 2)
    assert hospital.store.accept(resent) == (before.order, False)
    assert hospital.store.order(order.id) == before


def test_r3_a_repeat_that_came_while_the_order_lived_does_not_wake_it_when_it_comes_again(hospital: Hospital) -> None:
    order = hospital.ended(State.QUEUED)
    hospital.store.accept(AGAIN)
    hospital.end(order, State.REFUSED)
    hospital.store.accept(AGAIN)
    assert hospital.store.order(order.id).state is State.REFUSED


def test_i7_each_run_is_answered_by_a_message_of_its_own(hospital: Hospital) -> None:
    order = hospital.ended(State.REFUSED)
    order, _ = hospital.store.accept(AGAIN)
    hospital.end(order, State.REFUSED)
    order, _ = hospital.store.accept(replace(AGAIN, message_control_id="A THIRD TIME"))
    done = result(order.id)
    hospital.store.finish(hospital.claim(order.id), done, [])
    told = hospital.told
    assert [heard[1:] for heard in told] == [("X", "NO_TISSUE")] * 2
    assert len({*(heard[0] for heard in told), control_id(done)}) == 3


def test_the_refusal_of_a_later_run_bears_the_time_at_which_that_began(hospital: Hospital) -> None:
    """A LIS that sorts an order's answers by OBR-22 must find the later one last."""
    order = hospital.ended(State.REFUSED)
    with hospital.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET received_at = received_at - interval '1 hour'")
    again, _ = hospital.store.accept(AGAIN)
    hospital.end(again, State.REFUSED)
    assert again.begun_at is not None
    written = sorted((hospital.folder / order.id / "refused").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path, began in zip(written, (order.received_at, again.begun_at), strict=True):
        message = hl7.parse(path.read_bytes().decode())
        assert str(message.segment("MSH")[7]) == str(message.segment("OBR")[22]) == f"{began:%Y%m%d%H%M%S}+0000"  # type: ignore[arg-type]


def test_of_twenty_second_orders_at_once_one_begins_it_anew(hospital: Hospital) -> None:
    order = hospital.ended(State.DEAD)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: hospital.store.accept(replace(AGAIN, message_control_id=f"AGAIN-{i}")), range(20)))
    assert {answer.id for answer, _ in answers} == {order.id}
    assert hospital.store.order(order.id).order.run == 2


@pytest.mark.parametrize("state", [State.RUNNING, State.DEAD])
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
    hospital: Hospital, state: State, other: Request
) -> None:
    order = hospital.ended(state)
    with pytest.raises(Refused, match="used before") as refused:
        hospital.store.accept(other)
    assert "INVENTED" not in refused.value.message
    assert hospital.store.order(order.id).state is state


def test_who_began_it_anew_is_in_the_audit(hospital: Hospital) -> None:
    order = hospital.ended(State.DEAD)
    hospital.store.accept(AGAIN)
    with hospital.engine.connect() as connection:
        asked = sa.text("SELECT subject FROM audit WHERE action = 'order.requeue' AND object = :object")
        assert connection.execute(asked, {"object": f"orders/{order.id}"}).scalars().all() == [AGAIN.sender]


def test_an_order_retried_by_a_person_has_all_its_attempts_again(hospital: Hospital) -> None:
    order = hospital.ended(State.QUEUED)
    fails_thrice(hospital, order)
    assert PostgresOrderDesk(hospital.engine).retry(OPERATOR, order.id, "").attempt == 0
    fails_thrice(hospital, order)
    assert [heard[1:] for heard in hospital.told] == [("X", "ENGINE_FAILED")] * 2


def test_an_order_waits_for_a_slide_that_is_not_there_yet_and_is_refused_when_it_never_comes(engine: sa.Engine) -> None:
    store = PostgresStore(engine, slide_wait_s=600)
    order, _ = store.accept(request())

    def looks() -> State:
        claim = store.claim(order.id, 60)
        assert claim is not None
        return store.end(claim, State.REFUSED, ServiceReason.SLIDE_NOT_FOUND, "no slide of this container")

    for _ in range(5):
        make_due(engine)
        assert looks() is State.QUEUED
    view = store.order(order.id)
    assert (view.attempt, view.reason) == (0, "SLIDE_NOT_FOUND")
    assert store.due() == []  # not at once
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET begun_at = now() - interval '601 s', due_at = now()")
    assert looks() is State.REFUSED
    store.accept(AGAIN)
    assert looks() is State.QUEUED  # begun anew, it waits anew


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
    store.end(claim, State.REFUSED, ServiceReason.SLIDE_NOT_FOUND, "not yet")
    with engine.connect() as connection:
        wait_s = connection.exec_driver_sql("SELECT extract(epoch FROM due_at - now()) FROM orders").scalar_one()
    assert least < wait_s < most
