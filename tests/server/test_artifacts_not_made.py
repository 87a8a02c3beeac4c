"""A score outlives its reports: what can't be built is left out, the LIS is told, and the result is kept (Found 5)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import hl7
import pytest

from inference.draw import draw_slide
from inference.geometry import Size
from server import bootstrap as wiring
from server.bootstrap import Service, bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.run import case_services_of, listening, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.events import Event, EventKind, Route
from server.domain.order import Order
from server.domain.result import Result
from server.domain.states import OrderState
from server.hl7.oru import control_id
from server.hl7.reporter import OruReporter
from server.hl7.sender import send
from server.pipeline import run_case
from server.reporting import Reporting
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.made import made_order, made_result

ORU, SR, ANN = ArtifactKind.ORU, ArtifactKind.SR, ArtifactKind.ANN
ALL = (Route(artifacts=frozenset(ArtifactKind), to=("x",)),)
SECRET = "TEST-INVENTED^Patient"


@dataclass
class Breaks:
    """A reporter that can't build, in one way or another; or that can, with `error` None."""

    kind: ArtifactKind
    error: Exception | None
    events: frozenset[EventKind] = frozenset({EventKind.PRELIMINARY, EventKind.FINAL})

    def build(self, event: Event) -> Artifact | None:
        if self.error is not None:
            raise self.error
        return Artifact(kind=self.kind, path=Path("made"), identifier="1.2.3")


@pytest.fixture
def event(tmp_path: Path) -> Event:
    return Event(kind=EventKind.PRELIMINARY, order=made_order(), result=made_result(tmp_path, warnings=("INK",)))


def notes_of(path: Path) -> list[str]:
    return [str(note[3]) for note in hl7.parse(path.read_bytes().decode()).segments("NTE")]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(SECRET), "INTERNAL"),
        (MemoryError(), "INTERNAL"),
        (Failed(ServiceReason.INTERNAL, "no"), "INTERNAL"),
        (Refused(ServiceReason.NUCLEI_MISSING, "no"), "NUCLEI_MISSING"),
    ],
)
def test_an_object_that_cannot_be_built_is_named_to_the_lis_and_in_the_result(
    event: Event, tmp_path: Path, error: Exception, reason: str
) -> None:
    """The message is sent first and built last."""
    reporting = Reporting([OruReporter(tmp_path), Breaks(SR, error), Breaks(ANN, None)], ALL)
    reports = reporting.report(event)
    assert [d.kind for d in reports.deliveries] == [ORU, ANN]
    assert reports.result is not None
    assert reports.result.warnings == ("INK", "SR_NOT_MADE")
    notes = notes_of(reports.artifacts[0].path)
    assert f"Not made, so not in the archive: SR ({reason}). The score stands." in notes
    assert "Warning: SR_NOT_MADE" in notes
    assert SECRET.encode() not in reports.artifacts[0].path.read_bytes()
    assert reports.artifacts[0].path.read_bytes() == reporting.report(event).artifacts[0].path.read_bytes()


@pytest.mark.parametrize(
    "error",
    [Failed(ServiceReason.INTERNAL, "a full disk", retryable=True), Refused(ServiceReason.SPECIMEN_MISMATCH, "other")],
)
def test_what_another_try_may_build_or_is_of_another_patient_goes_up(event: Event, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        Reporting([Breaks(SR, error)], ALL).report(event)
    assert raised.value is error


def test_what_is_built_at_last_is_no_longer_missing(event: Event) -> None:
    assert event.result is not None
    warned = replace(event, result=replace(event.result, warnings=("SR_NOT_MADE", "ANN_NOT_MADE")))
    reports = Reporting([Breaks(SR, None)], ALL).report(warned)
    assert reports.result is not None
    assert reports.result.warnings == ("ANN_NOT_MADE",)


def test_a_result_that_no_message_can_say_is_told_of_all_the_same(event: Event, tmp_path: Path) -> None:
    """A character set that is none here stands for whatever a message can't be written of."""
    torn = replace(event, order=replace(event.order, request=replace(event.order.request, charset="NONE-SUCH")))
    artifact = OruReporter(tmp_path).build(torn)
    assert artifact is not None
    assert event.result is not None
    assert artifact.identifier == control_id(event.result)
    message = hl7.parse(artifact.path.read_bytes().decode())
    assert str(message.segment("OBR")[25]) == "X"
    assert [str(o[5]) for o in message.segments("OBX")] == ["RESULT_NOT_SAID"]
    assert event.result.id in notes_of(artifact.path)[0]


@contextmanager
def hospital(work: Path) -> Iterator[tuple[Service, ReceivingLis]]:
    (work / "received").mkdir()
    with ReceivingLis(work / "received") as lis, bootstrap(settings_for(work, lis.port)) as service:
        yield service, lis


def ordered(service: Service, work: Path) -> tuple[Order, Result]:
    """An order of a drawn slide, scored, everything sent."""
    identity = SlideIdentity(key="not-made")
    drawing = draw_slide(size=Size(width=1024, height=1024), seed=1, h_score=150)
    write_dicom_slide(work / "archive" / "slide", JpegFrames(drawing), mpp=0.5, identity=identity, levels=1)
    message = order_message(placer_number="P-1", marker="ER", control_id="C-1", container_id=identity.container_id)
    with listening(service) as port:
        send(message, host="127.0.0.1", port=port, timeout_s=20)
    services = case_services_of(service, work)
    assert service.worker(lambda claim: run_case(claim, services)).run_until_idle() == 1
    (view,) = service.store.orders()
    assert (view.state, view.attempt) == (OrderState.DONE, 1)
    assert view.result_id is not None
    return view.order, service.store.result(view.result_id)


@pytest.mark.postgres
def test_a_case_of_which_the_sr_fails_is_done_and_everything_else_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: order by MLLP, worker, database, outbox, LIS and archive."""
    monkeypatch.setattr(wiring, "SrReporter", lambda folder: Breaks(SR, KeyError(SECRET)))
    with hospital(tmp_path) as (service, lis):
        order, result = ordered(service, tmp_path)
        assert "SR_NOT_MADE" in result.warnings
        (case,) = (tmp_path / "cases" / order.id).glob("*/result.json")
        assert json.loads(case.read_text())["warnings"] == list(result.warnings)
        assert service.outbox.waiting() == 0
        (received,) = lis.received
        assert "Not made, so not in the archive: SR (INTERNAL). The score stands." in notes_of(received)
        assert any("HSCORE" in str(obx[3]) for obx in hl7.parse(received.read_bytes().decode()).segments("OBX"))
        assert len(list((tmp_path / "archive").glob("*.dcm"))) == 3  # ANN, SEG and map
