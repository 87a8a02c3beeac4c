"""The DICOM artifacts of each event: what is made, where it lies, and that it needs no slide but its kept header."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind, Reporter, Signing
from server.domain.result import Result, ResultId
from server.report.ann import build_ann
from server.report.identity import derived_uid, write
from server.report.reporters import ann_reporter, map_reporter, seg_reporter
from server.report.score_map import build_map
from server.report.seg import build_seg
from server.report.source import KEPT_HEADER
from server.report.sr import SrReporter, build_sr
from tests.made import made_header, made_order, made_result

SIGNED_AT = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
EARLIER = ResultId("00000000-0000-4000-8000-000000000001")
REPORTERS: list[Callable[[Path], Reporter]] = [
    SrReporter,
    ann_reporter,
    seg_reporter,
    map_reporter,
]


def reported(tmp_path: Path, n: int = 100) -> Result:
    """A result whose slide's header was kept."""
    result, header = made_result(tmp_path, n=n), made_header()
    header.ensure_file_meta()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    write(header, tmp_path / KEPT_HEADER)
    kept = Artifact(kind=ArtifactKind.HEADER, path=tmp_path / KEPT_HEADER)
    return replace(result, artifacts=(*result.artifacts, kept))


def preliminary(result: Result) -> Event:
    return Event(kind=EventKind.PRELIMINARY, order=made_order(), result=result)


def signed_by(result: Result, signing: Signing, kind: EventKind = EventKind.FINAL) -> Event:
    return Event(kind=kind, order=made_order(), result=result, signing=signing)


def file(report: Dataset | None, path: Path) -> bytes:
    assert report is not None
    write(report, path)
    return path.read_bytes()


def replaced_by(artifact: Artifact) -> str:
    (series,) = dcmread(artifact.path).PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    return str(series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def test_a_preliminary_result_makes_all_four_beside_its_cells(tmp_path: Path) -> None:
    result, header = reported(tmp_path), made_header()
    made = {
        ArtifactKind.SR: build_sr(result, made_order(), [header]),
        ArtifactKind.ANN: build_ann(result, [header]),
        ArtifactKind.SEG: build_seg(result, [header]),
        ArtifactKind.MAP: build_map(result, [header]),
    }
    for reporter in (make(tmp_path / "elsewhere") for make in REPORTERS):
        artifact = reporter.build(preliminary(result))
        assert artifact is not None
        assert artifact.kind is reporter.kind
        assert artifact.path == result.cells_file.with_name(f"{reporter.kind.value.lower()}.dcm")
        assert artifact.identifier == derived_uid(result.id, reporter.kind.value)
        assert artifact.path.read_bytes() == file(made[reporter.kind], tmp_path / "expected.dcm")


@pytest.mark.parametrize("make", REPORTERS)
def test_without_the_slides_header_nothing_is_made(tmp_path: Path, make: Callable[[Path], Reporter]) -> None:
    result = reported(tmp_path)
    assert make(tmp_path).build(preliminary(made_result(tmp_path))) is None
    (tmp_path / KEPT_HEADER).unlink()
    assert make(tmp_path).build(preliminary(result)) is None


@pytest.mark.parametrize("make", REPORTERS[1:])
def test_no_cell_makes_neither_annotations_nor_map(tmp_path: Path, make: Callable[[Path], Reporter]) -> None:
    assert make(tmp_path).build(preliminary(reported(tmp_path, n=0))) is None


@pytest.mark.parametrize("make", REPORTERS)
def test_what_it_cannot_tell_of_makes_nothing(tmp_path: Path, make: Callable[[Path], Reporter]) -> None:
    reporter, result = make(tmp_path), reported(tmp_path)
    for kind in set(EventKind) - reporter.events:
        assert reporter.build(Event(kind=kind, order=made_order(), result=result)) is None


def test_a_signature_makes_a_verified_report_in_the_orders_folder(tmp_path: Path) -> None:
    result, order = reported(tmp_path), made_order()
    event = signed_by(result, Signing(by="pathologist", at=SIGNED_AT, replaces_result=result.id))
    artifact = SrReporter(tmp_path).build(event)
    assert artifact == SrReporter(tmp_path).build(event)
    assert artifact is not None
    assert artifact.path.parent == tmp_path / order.id / "signed"
    assert artifact.path.name.startswith(f"{result.id}-FINAL-")
    report = dcmread(artifact.path)
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == ("COMPLETE", "VERIFIED", "FINAL")
    (observer,) = report.VerifyingObserverSequence
    assert (str(observer.VerifyingObserverName), observer.VerifyingOrganization) == ("pathologist^", "TEST-LAB")
    assert artifact.identifier == report.SOPInstanceUID == derived_uid(result.id, "SR/FINAL/pathologist")
    assert replaced_by(artifact) == derived_uid(result.id, "SR")


def test_a_correction_replaces_the_signed_report(tmp_path: Path) -> None:
    signing = Signing(
        by="second", at=SIGNED_AT, replaces_result=EARLIER, replaces_event=EventKind.FINAL, replaces_by="first"
    )
    artifact = SrReporter(tmp_path).build(signed_by(reported(tmp_path), signing, EventKind.CORRECTED))
    assert artifact is not None
    assert replaced_by(artifact) == derived_uid(EARLIER, "SR/FINAL/first")


def test_two_who_sign_at_once_leave_two_reports(tmp_path: Path) -> None:
    result = reported(tmp_path)
    made = [
        SrReporter(tmp_path).build(signed_by(result, Signing(by=by, at=SIGNED_AT, replaces_result=result.id)))
        for by in ("first", "second")
    ]
    assert len({artifact.path for artifact in made if artifact is not None}) == 2
