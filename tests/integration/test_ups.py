"""Items of a worklist of Unified Procedure Steps become orders, once each, and end as these do.

The worklist is a real SCP, the database a real PostgreSQL; tests/e2e/test_ups.py has a worker that scores one.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian, generate_uid

from server.archive.worklist_events import WorklistEvents
from server.domain.access import Caller, Role
from server.domain.artifact import ArtifactKind
from server.domain.errors import ChromogenError, Failed
from server.domain.order import Priority
from server.domain.ports import Claim, Delivery, OrderView
from server.domain.states import OrderState
from server.domain.ups import UpsOutcome
from server.store.order_repository import PostgresOrderRepository
from server.store.outbox import PostgresOutbox
from server.store.store import PostgresStore
from server.ups import Performer
from tests.integration.processes import Serving, events, until
from tests.integration.ups_items import SERIES, STUDY, item, performer, told
from tests.server.store.invented import result
from tests.ups_peer import LAB, STATION, UpsPeer

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # pynetdicom drops refused sockets
]
SITE = """
[archives.pacs]
kind = "dimse"
host = "127.0.0.1"
port = 1
aet = "PACS"
[destinations.pacs]
kind = "archive"
archive = "pacs"
[laboratories.NORTH]
archives = ["pacs"]
[worklists.work]
host = "127.0.0.1"
port = {port}
aet = "WORKLIST"
listen = "127.0.0.1:{our_port}"
laboratory = "NORTH"
station = "IHC-AI"
every_s = 0.2
"""


def held(store: PostgresStore) -> Claim:
    """The one order, as a worker has it."""
    (order_id,) = store.due()
    claim = store.claim(order_id, 60)
    assert claim is not None
    return claim


def scored(store: PostgresStore, claim: Claim, folder: Path) -> str:
    """DONE, with a report that waits to be sent; its UID."""
    report, uid = Dataset(), generate_uid()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID, report.SOPInstanceUID = Comprehensive3DSRStorage, uid
    report.StudyInstanceUID, report.SeriesInstanceUID = STUDY, "2.25.52"
    report.save_as(folder / "sr.dcm", enforce_file_format=True)
    sent = Delivery(kind=ArtifactKind.SR, destination="pacs", path=folder / "sr.dcm", message_id=str(uid))
    store.finish(claim, result(claim.order.id), [sent])
    return str(uid)


def test_an_item_becomes_one_order_and_is_completed_with_its_objects_once_they_were_taken(
    engine: sa.Engine, peer: UpsPeer, tmp_path: Path
) -> None:
    store, doing, uid = PostgresStore(engine), performer(engine, peer), item(peer)
    doing.step()
    doing.step()
    (view,) = store.orders()
    request = view.order.request
    assert (request.lab, request.marker, request.priority) == (LAB, "ER", Priority.STAT)
    assert (request.slide.series_uid, request.patient.id) == (SERIES, "P-UPS")
    assert peer.state(uid) == "IN PROGRESS"
    claim = held(store)
    store.progress(claim, 0.4, 60)
    doing.step()
    assert peer.items[uid].ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 40
    report = scored(store, claim, tmp_path)
    doing.step()
    assert peer.state(uid) == "IN PROGRESS"  # the report isn't there yet
    assert PostgresOutbox(engine, lambda _: None).send_due() == 1
    doing.step()
    assert peer.state(uid) == "COMPLETED"
    (performed,) = peer.items[uid].UnifiedProcedureStepPerformedProcedureSequence
    (output,) = performed.OutputInformationSequence
    assert output.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == report
    assert output.ReferencedSOPSequence[0].ReferencedSOPClassUID == Comprehensive3DSRStorage
    assert (output.StudyInstanceUID, output.DICOMRetrievalSequence[0].RetrieveAETitle) == (STUDY, "PACS")
    assert performed.PerformedStationNameCodeSequence[0].CodeValue == STATION
    asked = list(peer.asked)
    doing.step()
    assert peer.asked == [*asked, "find"]
    assert len(store.orders()) == 1


def test_what_the_archive_never_took_isn_t_among_its_objects(engine: sa.Engine, peer: UpsPeer, tmp_path: Path) -> None:
    def refused(_: Delivery) -> None:
        raise Failed("OBJECT_REFUSED", "no such kind")  # type: ignore[arg-type]

    store, doing, uid = PostgresStore(engine), performer(engine, peer), item(peer)
    doing.step()
    scored(store, held(store), tmp_path)
    PostgresOutbox(engine, refused).send_due()
    doing.step()
    assert peer.state(uid) == "COMPLETED"
    assert peer.items[uid].UnifiedProcedureStepPerformedProcedureSequence[0].OutputInformationSequence == []


@pytest.mark.parametrize(("end", "state", "why"), [
    ("NOT_IHC", OrderState.REFUSED, "NOT_IHC: it is none"),
    ("INTERNAL", OrderState.DEAD, "INTERNAL: it is none"),
])  # fmt: skip
def test_an_order_that_ends_without_a_score_cancels_its_item_and_says_why(
    engine: sa.Engine, peer: UpsPeer, end: str, state: OrderState, why: str
) -> None:
    store, doing, uid = PostgresStore(engine, max_attempts=1), performer(engine, peer), item(peer)
    doing.step()
    wanted = OrderState.QUEUED if state is OrderState.DEAD else state
    assert store.end(held(store), wanted, end, "it is none") is state
    doing.step()
    assert (peer.state(uid), told(peer, uid)) == ("CANCELED", why)


def test_an_order_that_is_cancelled_here_cancels_its_item(engine: sa.Engine, peer: UpsPeer) -> None:
    doing, uid = performer(engine, peer), item(peer)
    doing.step()
    (view,) = PostgresStore(engine).orders()
    actor = Caller(subject="lis", lab=LAB, roles=frozenset({Role.LIS}))
    doing.orders.cancel(actor, view.order.id, "")
    doing.step()
    assert (peer.state(uid), told(peer, uid)) == ("CANCELED", "CANCELLED: the order was cancelled")


@pytest.fixture
def hearing(engine: sa.Engine, peer: UpsPeer) -> Iterator[Performer]:
    doing = performer(engine, peer, listen=True)
    listening = WorklistEvents(doing.named, doing.cancel_asked)
    listening.start()
    yield doing
    listening.stop()


def test_a_request_to_cancel_is_obeyed(hearing: Performer, engine: sa.Engine, peer: UpsPeer) -> None:
    uid = item(peer)
    hearing.step()
    assert peer.subscribed == {uid}
    assert peer.ask_to_cancel(uid) == [0]
    (view,) = PostgresStore(engine).orders()
    assert view.state is OrderState.CANCELLED
    hearing.step()
    assert peer.state(uid) == "CANCELED"


def test_a_request_that_comes_while_the_database_is_away_is_obeyed_later(
    hearing: Performer, engine: sa.Engine, peer: UpsPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = item(peer)
    hearing.step()
    with monkeypatch.context() as away:

        def fails(*_: object) -> OrderView:
            raise Failed("DATABASE_UNREACHABLE", "away", retryable=True)  # type: ignore[arg-type]

        away.setattr(PostgresOrderRepository, "cancel", fails)
        assert peer.ask_to_cancel(uid) == [0]
    hearing.step()
    assert peer.state(uid) == "CANCELED"
    assert PostgresStore(engine).orders()[0].state is OrderState.CANCELLED


def test_after_a_start_each_item_that_is_ours_is_subscribed_to_again_once(
    hearing: Performer, engine: sa.Engine, peer: UpsPeer
) -> None:
    """A worklist that was restarted meanwhile, or gave us up, tells us again."""
    uid = item(peer)
    hearing.step()
    peer.subscribed.clear()
    hearing.step()
    assert peer.subscribed == set()
    restarted = performer(engine, peer, listen=True)
    restarted.step()
    assert peer.subscribed == {uid}


@pytest.mark.parametrize("keyword", ["ReasonForCancellation", "ProcedureStepCancellationDateTime"])
def test_a_request_that_nobody_heard_is_obeyed_where_the_item_holds_it(
    engine: sa.Engine, peer: UpsPeer, keyword: str
) -> None:
    uid = item(peer)
    performer(engine, peer).step()
    noted = Dataset()
    setattr(noted, keyword, "20260102030405" if "DateTime" in keyword else "ordered in error")
    peer.items[uid].ProcedureStepProgressInformationSequence = [noted]
    started = performer(engine, peer)  # as after a start
    started.step()
    assert (peer.state(uid), told(peer, uid)) == ("CANCELED", "CANCELLED: the order was cancelled")
    assert PostgresStore(engine).orders()[0].state is OrderState.CANCELLED


def test_a_request_that_comes_too_late_changes_nothing(
    hearing: Performer, engine: sa.Engine, peer: UpsPeer, tmp_path: Path
) -> None:
    store, uid = PostgresStore(engine), item(peer)
    hearing.step()
    scored(store, held(store), tmp_path)
    assert peer.ask_to_cancel(uid) == [0]
    PostgresOutbox(engine, lambda _: None).send_due()
    hearing.step()
    assert peer.state(uid) == "COMPLETED"
    assert store.orders()[0].state is OrderState.DONE


def test_an_item_that_is_ended_there_ends_its_order(engine: sa.Engine, peer: UpsPeer) -> None:
    doing, uid = performer(engine, peer), item(peer)
    doing.step()
    peer.items[uid].ProcedureStepState = "CANCELED"
    doing.step()
    assert PostgresStore(engine).orders()[0].state is OrderState.CANCELLED
    assert doing.claims.open(LAB, "work") == []


@pytest.mark.parametrize("more", [{"ProcedureStepState": "IN PROGRESS", "TransactionUID": "2.25.9"}])
def test_an_item_that_another_took_between_look_and_claim_makes_no_order(
    engine: sa.Engine, peer: UpsPeer, more: dict[str, str]
) -> None:
    doing, uid = performer(engine, peer), item(peer)
    begin = doing.worklist.claim

    class Late:
        """Another performer is faster."""

        def __getattr__(self, name: str) -> Any:
            return getattr(peer.worklist(), name)

        def claim(self, uid: str, transaction_uid: str) -> bool:
            for keyword, value in more.items():
                setattr(peer.items[uid], keyword, value)
            return begin(uid, transaction_uid)

    doing.worklist = Late()
    doing.step()
    assert PostgresStore(engine).orders() == []
    assert doing.claims.of(LAB, "work", uid).outcome is UpsOutcome.LOST


def test_one_item_that_is_odd_holds_up_no_other(engine: sa.Engine, peer: UpsPeer) -> None:
    odd = item(peer)
    good = item(peer, PatientID="P-OTHER")
    doing = performer(engine, peer)
    doing.step()
    peer.items[odd].ProcedureStepState = "WHAT"
    actor = Caller(subject="lis", lab=LAB, roles=frozenset({Role.LIS}))
    for view in PostgresStore(engine).orders():
        doing.orders.cancel(actor, view.order.id, "")
    doing.step()
    assert peer.state(good) == "CANCELED"


def test_twenty_services_of_one_database_make_one_order_of_an_item(engine: sa.Engine, peer: UpsPeer) -> None:
    uid, troubles = item(peer), list[ChromogenError]()
    start = threading.Barrier(20)

    def step() -> None:
        doing = performer(engine, peer)
        start.wait()
        try:
            doing.step()
        except ChromogenError as error:
            troubles.append(error)

    racing = [threading.Thread(target=step) for _ in range(20)]
    for each in racing:
        each.start()
    for each in racing:
        each.join(120)
    assert troubles == []
    assert (peer.state(uid), len(PostgresStore(engine).orders())) == ("IN PROGRESS", 1)
    performer(engine, peer).step()
    assert [claim.outcome for claim in performer(engine, peer).claims.open(LAB, "work")] == [None]


def test_a_worklist_that_is_away_is_waited_for(engine: sa.Engine, peer: UpsPeer, tmp_path: Path) -> None:
    store, doing, uid = PostgresStore(engine), performer(engine, peer), item(peer)
    peer.stop()
    with pytest.raises(Failed):
        doing.step()
    peer.start()
    doing.step()
    peer.stop()
    scored(store, held(store), tmp_path)
    PostgresOutbox(engine, lambda _: None).send_due()
    with pytest.raises(Failed):
        doing.step()
    peer.start()
    doing.step()
    assert (peer.state(uid), len(store.orders())) == ("COMPLETED", 1)


@pytest.fixture
def serving(service_url: str, peer: UpsPeer, tmp_path: Path) -> Iterator[Serving]:
    (tmp_path / "site.toml").write_text(SITE.format(port=peer.port, our_port=peer.our_port))
    made = Serving(url=service_url, folder=tmp_path, more={"CHROMOGEN_SITE_FILE": str(tmp_path / "site.toml")})
    made.start()
    yield made
    peer.let_go()
    made.kill()


@pytest.mark.timeout(300)
def test_serve_killed_at_any_point_ends_with_one_order_and_one_completed_item(
    serving: Serving, engine: sa.Engine, peer: UpsPeer, tmp_path: Path
) -> None:
    store = PostgresStore(engine)

    def killed_once(what: Callable[[], object]) -> None:
        assert peer.held.wait(60)  # done there, and not known here
        serving.kill()
        what()
        peer.let_go()
        serving.start()

    peer.hold = "IN PROGRESS"
    uid = item(peer)
    killed_once(lambda: store.orders() == [] or pytest.fail("an order before the claim is known"))
    until(lambda: len(store.orders()) == 1, 60)
    serving.kill()  # between order and completion
    report = scored(store, held(store), tmp_path)
    PostgresOutbox(engine, lambda _: None).send_due()
    peer.hold = "COMPLETED"
    serving.start()
    killed_once(lambda: peer.state(uid) == "COMPLETED" or pytest.fail("it isn't completed there"))
    ended = lambda: events(tmp_path / "serve.log", "item_ended")  # noqa: E731
    until(lambda: bool(ended()), 60)
    assert [(each["item"], each["outcome"]) for each in ended()] == [(uid, "COMPLETED")]
    assert (len(store.orders()), peer.asked.count("COMPLETED")) == (1, 1)
    (performed,) = peer.items[uid].UnifiedProcedureStepPerformedProcedureSequence
    assert performed.OutputInformationSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == report


def test_serve_obeys_a_request_to_cancel(serving: Serving, engine: sa.Engine, peer: UpsPeer) -> None:
    uid = item(peer)
    until(lambda: len(PostgresStore(engine).orders()) == 1, 60)
    assert peer.ask_to_cancel(uid) == [0]
    until(lambda: peer.state(uid) == "CANCELED", 60)
    assert PostgresStore(engine).orders()[0].state is OrderState.CANCELLED
