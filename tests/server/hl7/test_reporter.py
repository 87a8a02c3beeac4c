"""The message of each event: what it says, where it lies, what its receiver knows it by."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import hl7
import pytest

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.events import Event, EventKind, Signing
from server.domain.order import Order
from server.hl7.oru import Status, build_oru, build_rejection, control_id, refusal_control_id
from server.hl7.reporter import STATUSES, OruReporter
from tests.made import made_order, made_result

SIGNED_AT = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)


def built(folder: Path, event: Event) -> Artifact:
    artifact = OruReporter(folder).build(event)
    assert artifact is not None
    assert artifact.kind is ArtifactKind.ORU
    return artifact


def reason_in(artifact: Artifact) -> tuple[str, str]:
    """OBR-25 and the OBX of the refusal."""
    message = hl7.parse(artifact.path.read_bytes().decode())
    (reason,) = (str(obx[5]) for obx in message.segments("OBX") if str(obx[3]).startswith("REFUSAL"))
    return str(message.segment("OBR")[25]), reason


def test_what_a_worker_found_is_told_beside_its_cells(tmp_path: Path) -> None:
    result, order = made_result(tmp_path), made_order()
    artifact = built(tmp_path, Event(kind=EventKind.PRELIMINARY, order=order, result=result))
    assert artifact.path == result.cells_file.with_name("oru.hl7")
    assert artifact.path.read_bytes() == build_oru(result, order)
    assert artifact.identifier == control_id(result)


@pytest.mark.parametrize("kind", [EventKind.FINAL, EventKind.CORRECTED])
def test_what_was_signed_is_told_in_the_order_s_folder(tmp_path: Path, kind: EventKind) -> None:
    result, order = made_result(tmp_path), made_order()
    signing = Signing(by="pathologist", at=SIGNED_AT, replaces_result=result.id)
    artifact = built(tmp_path, Event(kind=kind, order=order, result=result, signing=signing))
    status = STATUSES[kind]
    assert artifact.path == tmp_path / order.id / "signed" / f"{result.id}-{status}.hl7"
    assert artifact.path.read_bytes() == build_oru(result, order, status=status)
    assert artifact.identifier == control_id(result, status)


def test_each_withdrawal_keeps_its_own_reason(tmp_path: Path) -> None:
    result, order = made_result(tmp_path), made_order()
    event = Event(kind=EventKind.WITHDRAWN, order=order, result=result, detail="folded tissue")
    first, again, other = (built(tmp_path, e) for e in (event, event, replace(event, detail="the wrong block")))
    assert first == again
    assert first.path != other.path
    assert first.path.read_bytes() == build_rejection(result, order, "folded tissue")
    assert first.identifier == other.identifier == control_id(result, Status.REJECTED)


@pytest.mark.parametrize("kind", [EventKind.REFUSED, EventKind.CANCELLED])
def test_an_order_that_ends_without_a_score_is_told_of(tmp_path: Path, kind: EventKind) -> None:
    order = made_order()
    artifact = built(tmp_path, Event(kind=kind, order=order, reason="NO_TISSUE", detail="none was found"))
    assert artifact.path.parent == tmp_path / order.id / "refused"
    assert reason_in(artifact) == ("X", "NO_TISSUE")
    assert artifact.identifier == refusal_control_id(order, "NO_TISSUE")


def test_an_order_that_cannot_be_written_whole_is_refused_barely(tmp_path: Path) -> None:
    """A character set that is none here stands for whatever a message can't be written of."""
    order = made_order()
    torn = replace(order, request=replace(order.request, charset="NONE-SUCH"))
    artifact = built(tmp_path, Event(kind=EventKind.REFUSED, order=torn, reason="NO_TISSUE", detail="none"))
    assert artifact.identifier == refusal_control_id(order, "NO_TISSUE")
    assert reason_in(artifact) == ("X", "NO_TISSUE")
    assert b"PID" not in artifact.path.read_bytes()


def test_what_it_cannot_tell_of_makes_no_message(tmp_path: Path) -> None:
    order: Order = made_order()
    reporter = OruReporter(tmp_path)
    for kind in set(EventKind) - reporter.events:
        assert reporter.build(Event(kind=kind, order=order)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_message_that_can_not_be_written_fails_for_another_try(tmp_path: Path) -> None:
    order = made_order()
    (tmp_path / order.id).write_text("where a folder should be")
    with pytest.raises(Failed) as failed:
        OruReporter(tmp_path).build(Event(kind=EventKind.REFUSED, order=order, reason="NO_TISSUE"))
    assert failed.value.reason is ServiceReason.DELIVERY_FAILED
    assert failed.value.retryable


@pytest.mark.parametrize("kind", [EventKind.PRELIMINARY, EventKind.FINAL, EventKind.CORRECTED])
def test_the_lis_is_pointed_to_the_result_s_page(tmp_path: Path, kind: EventKind) -> None:
    """By the result's number alone: an address is read by proxies and kept by browsers."""
    result, order = made_result(tmp_path), made_order()
    artifact = OruReporter(tmp_path, "https://chromogen.hospital.example/").build(
        Event(kind=kind, order=order, result=result)
    )
    assert artifact is not None
    (page,) = pages_in(artifact)
    assert (str(page[2]), str(page[5][0][0])) == ("RP", f"https://chromogen.hospital.example/case/{result.id}")


def test_without_a_page_or_of_what_is_withdrawn_nothing_is_pointed_to(tmp_path: Path) -> None:
    result, order = made_result(tmp_path), made_order()
    preliminary = built(tmp_path, Event(kind=EventKind.PRELIMINARY, order=order, result=result))
    withdrawn = OruReporter(tmp_path, "https://chromogen.hospital.example").build(
        Event(kind=EventKind.WITHDRAWN, order=order, result=result, detail="folded")
    )
    assert withdrawn is not None
    assert pages_in(preliminary) == pages_in(withdrawn) == []


def pages_in(artifact: Artifact) -> list[hl7.Segment]:
    message = hl7.parse(artifact.path.read_bytes().decode())
    return [obx for obx in message.segments("OBX") if str(obx[3]).startswith("RESULT_PAGE")]
