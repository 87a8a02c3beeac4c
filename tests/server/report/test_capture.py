"""The picture of the slide with its score, as an image that any viewer shows."""

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from inference.overlay import write_png
from server.domain.artifact import ON_REQUEST, ArtifactKind
from server.domain.events import EventKind, destinations
from server.report.files import OVERLAY
from server.report.identity import derived_uid
from server.report.reporters import capture_reporter
from server.settings import Archive, Data, Lis, Settings
from server.site import plain_site
from tests.made import made_header
from tests.server.report.test_reporters import preliminary, reported


def picture() -> np.ndarray:
    drawn = np.full((300, 400, 3), (230, 200, 210), np.uint8)
    cv2.putText(drawn, "H-score 150", (20, 280), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 1)
    return drawn


def test_it_is_the_picture_beside_the_cells_in_the_slide_s_study(tmp_path: Path) -> None:
    result = reported(tmp_path)
    write_png(tmp_path / OVERLAY, picture())
    artifact = capture_reporter(tmp_path).build(preliminary(result))
    assert artifact is not None
    found = dcmread(artifact.path)
    assert np.abs(found.pixel_array.astype(int) - picture()).mean() < 3
    assert (found.StudyInstanceUID, found.PatientID) == (made_header().StudyInstanceUID, made_header().PatientID)
    assert found.ContainerIdentifier == made_header().ContainerIdentifier
    assert artifact.identifier == found.SOPInstanceUID == derived_uid(result.id, "SC")
    assert (found.SeriesDescription, found.ImageComments) == (
        "Overview with score. Research use only", "Research use only",
    )  # fmt: skip
    before = artifact.path.read_bytes()
    assert capture_reporter(tmp_path).build(preliminary(result)) == artifact
    assert artifact.path.read_bytes() == before


def test_without_the_picture_there_is_none(tmp_path: Path) -> None:
    assert capture_reporter(tmp_path).build(preliminary(reported(tmp_path))) is None


def test_it_leaves_only_where_a_site_asks_for_it(tmp_path: Path) -> None:
    assert frozenset({ArtifactKind.SC}) == ON_REQUEST
    wanted = Settings(data=Data(folder=tmp_path), archive=Archive(), lis=Lis())
    routes = plain_site(wanted).routes
    assert not destinations(routes, EventKind.PRELIMINARY, "LAB", ArtifactKind.SC)
    assert destinations(routes, EventKind.PRELIMINARY, "LAB", ArtifactKind.ANN)


@pytest.mark.peer
def test_a_validator_finds_no_error(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    result = reported(tmp_path)
    write_png(tmp_path / OVERLAY, picture())
    artifact = capture_reporter(tmp_path).build(preliminary(result))
    assert artifact is not None
    done = subprocess.run(["dciodvfy", str(artifact.path)], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr + done.stdout, done.stderr
