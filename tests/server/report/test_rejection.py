"""What an archive is told of a result that a pathologist rejected, or in whose place another was signed."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from inference.overlay import write_png
from server.archive.folder import FolderArchive
from server.archive.removing import RemovingSink
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import RESULT_REJECTED, Event, EventKind, Reporter, Signing
from server.domain.result import Result, ResultId
from server.report.files import OVERLAY
from server.report.identity import derived_uid, write
from server.report.rejection import RejectionReporter
from server.report.reporters import SrReporter, ann_reporter, capture_reporter, map_reporter, seg_reporter
from server.report.source import KEPT_HEADER
from tests.made import made_header, made_order, made_result

SIGNED_AT = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
MAKERS: dict[ArtifactKind, Callable[[Path], Reporter]] = {
    ArtifactKind.SR: SrReporter,
    ArtifactKind.ANN: ann_reporter,
    ArtifactKind.SEG: seg_reporter,
    ArtifactKind.MAP: map_reporter,
    ArtifactKind.SC: capture_reporter,
}


def reported(folder: Path, *kinds: ArtifactKind) -> Result:
    """A result of which these objects were made."""
    result, header = made_result(folder, n=50), made_header()
    header.ensure_file_meta()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    write(header, folder / KEPT_HEADER)
    kept = Artifact(kind=ArtifactKind.HEADER, path=folder / KEPT_HEADER)
    result = replace(result, artifacts=(*result.artifacts, kept))
    write_png(folder / OVERLAY, np.full((90, 120, 3), 180, np.uint8))
    for kind in kinds:
        assert MAKERS[kind](folder).build(Event(kind=EventKind.PRELIMINARY, order=made_order(), result=result))
    return result


def scored_anew(result: Result) -> Result:
    return replace(result, id=ResultId("00000000-0000-4000-8000-00000000000b"), predecessor=result.id)


def signed(result: Result, instead_of: Result) -> Event:
    signing = Signing(by="pathologist", at=SIGNED_AT, replaces_result=instead_of.id)
    return Event(kind=EventKind.FINAL, order=made_order(), result=result, signing=signing)


def withdrawn(result: Result) -> Event:
    return Event(kind=EventKind.WITHDRAWN, order=made_order(), result=result, reason=RESULT_REJECTED, detail="ink")


def superseded(result: Result) -> Event:
    return Event(kind=EventKind.SUPERSEDED, order=made_order(), result=result)


def named(note: Dataset) -> set[str]:
    return {
        str(item.ReferencedSOPInstanceUID)
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def test_the_note_names_every_object_that_was_made_and_no_other(tmp_path: Path) -> None:
    result = reported(tmp_path, ArtifactKind.SR, ArtifactKind.ANN, ArtifactKind.MAP)
    artifact = RejectionReporter(tmp_path).build(withdrawn(result))
    assert artifact is not None
    note = dcmread(artifact.path)
    (title,) = note.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    assert named(note) == {derived_uid(result.id, kind) for kind in ("SR", "ANN", "MAP")}
    assert artifact.identifier == note.SOPInstanceUID == derived_uid(result.id, "KOS")
    assert (note.PatientID, note.StudyInstanceUID) == (made_header().PatientID, made_header().StudyInstanceUID)
    before = artifact.path.read_bytes()
    again = RejectionReporter(tmp_path).build(withdrawn(result))
    assert again is not None
    assert again.path.read_bytes() == before


def test_where_nothing_was_made_there_is_nothing_to_reject(tmp_path: Path) -> None:
    assert RejectionReporter(tmp_path).build(withdrawn(reported(tmp_path))) is None
    assert RejectionReporter(tmp_path).build(withdrawn(made_result(tmp_path, n=3))) is None


def test_in_place_of_what_is_superseded_the_signed_result_has_objects_of_its_own(tmp_path: Path) -> None:
    first = reported(tmp_path, *MAKERS)
    second = scored_anew(first)
    made = [make(tmp_path).build(signed(second, first)) for make in MAKERS.values()]
    uids = {str(dcmread(artifact.path).SOPInstanceUID) for artifact in made if artifact is not None}
    assert uids == {derived_uid(second.id, kind) for kind in ("SR/FINAL/pathologist", "ANN", "SEG", "MAP")}
    for old, objects in ((first, {derived_uid(first.id, kind.value) for kind in MAKERS}), (second, uids)):
        artifact = RejectionReporter(tmp_path).build(superseded(old))
        assert artifact is not None
        assert named(dcmread(artifact.path)) == objects
        assert artifact.identifier == derived_uid(old.id, "KOS/SUPERSEDED")


@pytest.mark.parametrize("make", [ann_reporter, seg_reporter, map_reporter, capture_reporter])
def test_what_was_sent_unsigned_is_not_sent_again_signed(tmp_path: Path, make: type[SrReporter]) -> None:
    result = reported(tmp_path)
    assert make(tmp_path).build(signed(result, result)) is None


def test_an_archive_that_is_to_delete_has_neither_objects_nor_note(tmp_path: Path) -> None:
    case, root = tmp_path / "case", tmp_path / "archive"
    case.mkdir()
    result = reported(case, *MAKERS)
    root.mkdir()
    archive = FolderArchive(root)
    archive.store([case / f"{kind.value.lower()}.dcm" for kind in MAKERS])
    other = made_header()
    other.ensure_file_meta()
    other.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    write(other, tmp_path / "other.dcm")
    archive.store([tmp_path / "other.dcm"])
    note = RejectionReporter(case).build(withdrawn(result))
    assert note is not None
    for _ in range(2):
        RemovingSink(archive).store([note.path])
        assert [path.stem for path in root.iterdir()] == [made_header().SOPInstanceUID]


@pytest.mark.peer
@pytest.mark.parametrize("event", [withdrawn, superseded])
def test_a_validator_finds_no_error(tmp_path: Path, event: type[Event]) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    artifact = RejectionReporter(tmp_path).build(event(reported(tmp_path, *MAKERS)))
    assert artifact is not None
    done = subprocess.run(["dciodvfy", str(artifact.path)], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr + done.stdout, done.stderr
