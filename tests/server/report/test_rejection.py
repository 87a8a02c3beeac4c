"""What an archive is told of a result that a pathologist rejected."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import RESULT_REJECTED, Event, EventKind
from server.domain.result import Result
from server.report.identity import derived_uid, write
from server.report.rejection import CLASSES, RejectionReporter
from server.report.source import KEPT_HEADER
from tests.made import made_header, made_order, made_result


def reported(folder: Path, *kinds: ArtifactKind) -> Result:
    """A result beside which these objects lie."""
    result, header = made_result(folder, n=50), made_header()
    header.ensure_file_meta()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    write(header, folder / KEPT_HEADER)
    for kind in kinds:
        (folder / f"{kind.value.lower()}.dcm").write_bytes(b"")
    kept = Artifact(kind=ArtifactKind.HEADER, path=folder / KEPT_HEADER)
    return replace(result, artifacts=(*result.artifacts, kept))


def withdrawn(result: Result) -> Event:
    return Event(kind=EventKind.WITHDRAWN, order=made_order(), result=result, reason=RESULT_REJECTED, detail="ink")


def test_the_note_names_every_object_that_was_made_and_no_other(tmp_path: Path) -> None:
    result = reported(tmp_path, ArtifactKind.SR, ArtifactKind.ANN, ArtifactKind.MAP)
    artifact = RejectionReporter().build(withdrawn(result))
    assert artifact is not None
    note = dcmread(artifact.path)
    (title,) = note.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    named = {
        str(item.ReferencedSOPInstanceUID)
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == {derived_uid(result.id, kind) for kind in ("SR", "ANN", "MAP")}
    assert artifact.identifier == note.SOPInstanceUID == derived_uid(result.id, "KOS")
    assert (note.PatientID, note.StudyInstanceUID) == (made_header().PatientID, made_header().StudyInstanceUID)
    before = artifact.path.read_bytes()
    again = RejectionReporter().build(withdrawn(result))
    assert again is not None
    assert again.path.read_bytes() == before


def test_where_nothing_was_made_there_is_nothing_to_reject(tmp_path: Path) -> None:
    assert RejectionReporter().build(withdrawn(reported(tmp_path))) is None
    assert RejectionReporter().build(withdrawn(made_result(tmp_path, n=3))) is None


@pytest.mark.peer
def test_a_validator_finds_no_error(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    artifact = RejectionReporter().build(withdrawn(reported(tmp_path, *CLASSES)))
    assert artifact is not None
    done = subprocess.run(["dciodvfy", str(artifact.path)], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr + done.stdout, done.stderr
