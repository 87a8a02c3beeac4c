"""A worklist over DIMSE: what we ask of it, and what it answers as PS3.4, CC says."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset

from server.domain.errors import Failed
from server.domain.order import Priority
from server.domain.states import OrderState
from server.domain.ups import Code, GivenUp, Output, Performed, UpsState
from tests.ups_peer import STATION, UpsPeer, made_item, ups_peer

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as test_dimse_archive
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
RACE = 20


@pytest.fixture
def peer() -> Iterator[UpsPeer]:
    with ups_peer() as made:
        yield made


def test_an_item_is_read_as_it_is(peer: UpsPeer) -> None:
    worklist, uid = peer.worklist(), peer.add(made_item("1.2.3", "1.2"))
    assert worklist.scheduled() == [uid]
    item = worklist.item(uid)
    assert item is not None
    assert (item.state, item.ready, item.stations) == (UpsState.SCHEDULED, True, (STATION,))
    assert (item.inputs, item.accession_number) == ((("1.2", "1.2.3"),), "A-UPS")
    assert (item.patient.id, item.patient.family_name, item.placer.identifier) == ("P-UPS", "Invented", "PL-UPS")
    assert (item.codes[0].value, item.priority) == ("ER", Priority.STAT)
    assert worklist.item("1.2.3.4") is None


def test_i6_a_race_of_twenty_for_one_item_has_one_owner(peer: UpsPeer) -> None:
    uid, owners = peer.add(made_item("1.2.3", "1.2")), list[str]()
    start = threading.Barrier(RACE)

    def race(transaction_uid: str) -> None:
        worklist = peer.worklist()
        start.wait()
        if worklist.claim(uid, transaction_uid):
            owners.append(transaction_uid)

    racers = [threading.Thread(target=race, args=(f"2.25.{n}",)) for n in range(1, RACE + 1)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert peer.asked.count("IN PROGRESS") == RACE
    assert owners == [peer.items[uid].TransactionUID]


def test_a_claim_made_again_is_ours_and_another_s_is_not(peer: UpsPeer) -> None:
    worklist, uid = peer.worklist(), peer.add(made_item("1.2.3", "1.2"))
    assert worklist.claim(uid, "2.25.1")
    assert worklist.claim(uid, "2.25.1")
    assert not worklist.claim(uid, "2.25.2")
    assert not worklist.progress(uid, "2.25.2", 10)
    assert not worklist.claim("2.25.99", "2.25.2")


def test_progress_completion_and_what_was_made_are_said(peer: UpsPeer) -> None:
    worklist, uid = peer.worklist(), peer.add(made_item("1.2.3", "1.2"))
    assert worklist.claim(uid, "2.25.1")
    assert worklist.progress(uid, "2.25.1", 41.6)
    outputs = [
        Output(sop_class_uid="1.1", sop_instance_uid="5.1", study_uid="1.2", series_uid="4.1", aet="PACS"),
        Output(sop_class_uid="1.1", sop_instance_uid="5.2", study_uid="1.2", series_uid="4.2", url="http://p/d/"),
        Output(sop_class_uid="1.1", sop_instance_uid="5.3", study_uid="1.2", series_uid="4.3"),
    ]
    code = Code(value="ER", scheme="99TEST", meaning="ER score")
    done = Performed(code=code, began_at=NOW, ended_at=NOW, outputs=outputs)
    item = worklist.item(uid)
    assert item is not None
    assert item.progress == 42
    assert worklist.complete(uid, "2.25.1", done)
    assert peer.state(uid) == "COMPLETED"
    (performed,) = peer.items[uid].UnifiedProcedureStepPerformedProcedureSequence
    assert performed.PerformedWorkitemCodeSequence[0].CodeValue == "ER"
    assert performed.PerformedProcedureStepEndDateTime == "20260203040506.000000+0000"
    named = [_output(each) for each in performed.OutputInformationSequence]
    assert named == [
        ("5.1", "PACS"),
        ("5.2", "http://p/d/studies/1.2/series/4.2"),
        ("5.3", ""),
    ]
    assert not worklist.progress(uid, "2.25.1", 50)
    assert not worklist.cancel(uid, "2.25.1", GivenUp(why="late", at=NOW))


def _output(item: Dataset) -> tuple[str, str]:
    way = [*item.get("DICOMRetrievalSequence", []), *item.get("WADORSRetrievalSequence", [])]
    how = str(way[0].get("RetrieveAETitle") or way[0].get("RetrieveURL")) if way else ""
    return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID), how


@pytest.mark.parametrize(
    ("state", "code"), [(None, "110513"), (OrderState.REFUSED, "110513"), (OrderState.DEAD, "110501"),
                        (OrderState.CANCELLED, "110500")]
)  # fmt: skip
def test_an_item_that_is_given_up_says_why(peer: UpsPeer, state: OrderState | None, code: str) -> None:
    worklist, uid = peer.worklist(), peer.add(made_item("1.2.3", "1.2"))
    assert worklist.claim(uid, "2.25.1")
    assert worklist.cancel(uid, "2.25.1", GivenUp(why="NOT_IHC: it is none", at=NOW, state=state))
    (told,) = peer.items[uid].ProcedureStepProgressInformationSequence
    assert (peer.state(uid), told.ReasonForCancellation) == ("CANCELED", "NOT_IHC: it is none")
    assert told.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == code


def test_it_is_pinged_by_what_is_asked_of_it_and_one_that_is_away_is_said(peer: UpsPeer) -> None:
    peer.worklist(listen=True).ping()
    peer.stop()
    for ask in (peer.worklist().ping, peer.worklist().scheduled, lambda: peer.worklist().claim("1.2", "2.25.1")):
        with pytest.raises(Failed) as failed:
            ask()
        assert (failed.value.reason, failed.value.retryable) == ("ARCHIVE_UNREACHABLE", True)


def test_an_archive_without_worklists_is_told_apart() -> None:
    from pynetdicom import AE

    peer, ae = UpsPeer(), AE(ae_title="WORKLIST")
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", peer.port), block=False)
    try:
        with pytest.raises(Failed, match="none of the services"):
            peer.worklist().ping()
    finally:
        server.shutdown()
