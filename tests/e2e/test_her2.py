"""An HER2 order by HL7, end to end on a drawn slide; the command on a picture of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import hl7
import pytest
from pydicom import Dataset, dcmread

from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.slide import Rgb
from server.bootstrap import bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.run import case_services_of, listening, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.result import Result
from server.domain.states import OrderState
from server.hl7.sender import send
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.e2e.scored_page import Drawn

pytestmark = pytest.mark.postgres
MPP = 0.5
MIX = {"none": 0.35, "faint_incomplete": 0.1, "moderate_complete": 0.1, "intense_complete": 0.45}


@pytest.fixture(scope="module")
def pixels() -> Rgb:
    return Her2Drawing(Plan(side_um=520, mix=MIX), Scanner(mpp=MPP), seed=7).pixels()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    result: Result
    oru: hl7.Message
    objects: dict[str, Dataset]


@pytest.fixture(scope="module")
def answered(pixels: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answered]:
    work = tmp_path_factory.mktemp("her2")
    work.chmod(0o711)
    identity = SlideIdentity(key="her2", marker="HER2")
    write_dicom_slide(
        work / "archive" / "slide", JpegFrames(Drawn(pixels=pixels)), mpp=MPP, identity=identity, levels=1
    )
    (work / "received").mkdir()
    with ReceivingLis(work / "received") as lis, bootstrap(settings_for(work, lis.port)) as service:
        message = order_message(
            placer_number="P-HER2",
            marker="HER2/neu",
            control_id="C-HER2",
            series_uid=identity.series_uid,
            container_id=identity.container_id,
            specimen_id=identity.specimen_id,
        )
        with listening(service) as port:
            send(message, host="127.0.0.1", port=port, timeout_s=20)
        services = case_services_of(service, work)
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        (view,) = service.store.orders()
        assert (view.state, view.reason, view.detail) == (OrderState.DONE, "", "")
        assert view.result_id is not None
        (received,) = lis.received
        objects = {str(d.Modality): d for d in map(dcmread, (work / "archive").glob("*.dcm"))}
        oru = hl7.parse(received.read_bytes().decode())
        yield Answered(result=service.store.result(view.result_id), oru=oru, objects=objects)


def test_the_lis_is_told_the_score_as_a_loinc_answer_with_its_shares(answered: Answered) -> None:
    said = {str(o[3]).split("^")[0]: (str(o[2]), str(o[5])) for o in answered.oru.segments("OBX")}
    assert said["HER2_SCORE"] == ("CWE", "LA11843-2^3+^LN")
    assert said["HER2_REFLEX"][0] == said["HER2_LOW"][0] == "CWE"
    shares = [float(value) for code, (_, value) in said.items() if code.startswith("HER2_SHARE") and "CI95" not in code]
    assert len(shares) == 7
    assert sum(shares) == pytest.approx(100, abs=0.1)
    notes = " ".join(str(n[3]) for n in answered.oru.segments("NTE"))
    assert "not validated on patient material" in notes
    assert "Warning: WHOLE_TISSUE" in notes
    assert "Warning: RESOLUTION_LOW" in notes


def test_the_archive_is_told_the_same(answered: Answered) -> None:
    text = answered.objects["SR"].to_json()
    assert all(
        said in text for said in ("LA11843-2", "HER2_SHARE_INTENSE_COMPLETE", "not validated on patient material")
    )


def test_nothing_of_it_is_a_percentage_of_nuclei(answered: Answered) -> None:
    texts = [str(answered.oru), *(d.to_json() for d in answered.objects.values())]
    assert not any("PERCENT_POSITIVE" in t or "85329-1" in t or "ercent of nuclei" in t for t in texts)
    assert {row.region for row in answered.result.scores} == {"tumour", "all"}


def test_the_command_scores_the_drawn_tumour_alone(pixels: Rgb, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "s.png"), pixels[..., ::-1])
    half = [[0, 0], [520, 0], [520, 1040], [0, 1040], [0, 0]]
    drawn = {
        "type": "Feature",
        "properties": {"classification": {"name": "tumour"}},
        "geometry": {"type": "Polygon", "coordinates": [half]},
    }
    (tmp_path / "r.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [drawn]}))
    command = [sys.executable, "-m", "server.cli.main", "score", "s.png", "--mpp", "0.5", "--marker", "HER2", "--json"]
    done = subprocess.run(
        [*command, "--region-file", "r.geojson", "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "WHOLE_TISSUE" not in said["warnings"]
    assert said["thresholds"]["method"] == "membrane"
    assert {"cells.parquet", "cells.geojson", "overlay.png", "result.json"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert "compartments" not in said


def test_a_failed_control_is_no_score_and_never_a_0(pixels: Rgb, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "s.png"), pixels[..., ::-1])
    core = [[0, 0], [400, 0], [400, 1040], [0, 1040], [0, 0]]
    for expected, code in (("0", 2), ("3+", 0)):
        drawn = {
            "type": "Feature",
            "properties": {"classification": {"name": f"control {expected}"}},
            "geometry": {"type": "Polygon", "coordinates": [core]},
        }
        (tmp_path / "c.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [drawn]}))
        command = [sys.executable, "-m", "server.cli.main", "score", "s.png", "--mpp", "0.5", "--marker", "HER2"]
        done = subprocess.run(
            [*command, "--control-file", "c.geojson", "--json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        said = json.loads(done.stdout)
        assert said["control"]["status"] == ("failed" if code else "passed")
        assert said["control"]["cores"][0]["expected"] == expected
        assert bool(said["scores"]) is (code == 0)
        assert ("CONTROL_FAILED" in done.stderr) is (code == 2)
