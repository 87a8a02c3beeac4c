"""The path of a case over real parts: PostgreSQL, MLLP both ways, a folder archive, the networks; and its refusals."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hl7
import numpy as np
import pytest

from inference.analyzers.nuclear import COMPARTMENTS
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.bootstrap import Service, bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.run import case_services_of, listening, run_demo, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.states import OrderState
from server.hl7.sender import send
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide

pytestmark = pytest.mark.postgres
SIDE = 1536
MOST_APART = {"all": 15, **dict.fromkeys(COMPARTMENTS, 40)}
"""H-score of a drawn slide of SIDE px beside its truth, by region: a compartment holds fewer nuclei than all."""


@pytest.mark.parametrize("h_score", [30, 150, 270])
def test_the_demo_scores_a_drawn_slide_near_its_truth(tmp_path: Path, h_score: float) -> None:
    (tmp_path / "unrelated.txt").write_text("stays")
    said: list[str] = []
    outcome = run_demo(tmp_path, seed=int(h_score), h_score=h_score, keep=False, say=said.append, side=SIDE)
    found, truth = (json.loads((tmp_path / n).read_text())["compartments"] for n in ("result.json", "truth.json"))
    assert set(found) == set(truth)
    for region, most in MOST_APART.items():
        assert set(found[region]) == set(truth[region])
        assert abs(found[region]["h_score"] - truth[region]["h_score"]) < most, region
    made = {
        "result.json",
        "truth.json",
        "oru.hl7",
        "sr.dcm",
        "ann.dcm",
        "map.dcm",
        "seg.dcm",
        "nuclei.parquet",
        "overlay.png",
        "slide",
    }
    assert {p.name for p in tmp_path.iterdir()} >= made | {"unrelated.txt"}
    assert set(outcome.result.warnings) <= {"SCALE_UNKNOWN"}
    observations = hl7.parse((tmp_path / "oru.hl7").read_bytes().decode()).segments("OBX")
    values = {str(o[3]).split("^")[0]: str(o[5]) for o in observations if str(o[4]) == "all"}
    assert float(values["HSCORE"]) == pytest.approx(found["all"]["h_score"], abs=0.01)
    assert int(values["COUNT_NUCLEI"]) == found["all"]["n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A slide of one colour, or of a checkerboard of tissue on glass."""

    size: Size
    colour: tuple[int, int, int]

    def read(self, region: Region) -> Rgb:
        return np.full((region.height, region.width, 3), self.colour, np.uint8)


@contextmanager
def hospital(work: Path) -> Iterator[tuple[Service, ReceivingLis]]:
    (work / "archive").mkdir(parents=True)
    (work / "received").mkdir()
    with ReceivingLis(work / "received") as lis, bootstrap(settings_for(work, lis.port)) as service:
        yield service, lis


@pytest.mark.parametrize(
    ("colour", "ordered_container", "reason"),
    [
        ((215, 150, 190), "INVENTED-S26-1-A-1", "NOT_IHC"),
        ((244, 243, 245), "INVENTED-S26-1-A-1", "NO_TISSUE"),
        ((190, 180, 190), "INVENTED-ANOTHER", "SLIDE_NOT_FOUND"),
    ],
)
def test_a_slide_that_cannot_be_scored_is_refused_and_the_lis_is_told_why(
    tmp_path: Path, colour: tuple[int, int, int], ordered_container: str, reason: str
) -> None:
    with hospital(tmp_path) as (service, lis):
        frames = JpegFrames(Plain(size=Size(width=900, height=900), colour=colour))
        write_dicom_slide(tmp_path / "archive" / "slide", frames, mpp=0.5, identity=SlideIdentity(key=reason), levels=1)
        message = order_message(placer_number="P-1", marker="ER", control_id="C-1", container_id=ordered_container)
        with listening(service) as port:
            send(message, host="127.0.0.1", port=port, timeout_s=20)
            send(message, host="127.0.0.1", port=port, timeout_s=20)  # a resend makes no second order
        services = case_services_of(service, tmp_path)
        assert service.worker(lambda claim: run_case(claim, services)).run_until_idle() == 1
        (view,) = service.store.orders()
        assert (view.state, view.reason) == (OrderState.REFUSED, reason)
        (received,) = lis.received
        answer = hl7.parse(received.read_bytes().decode())
        assert str(answer.segment("OBR")[25]) == "X"
        assert reason in [str(s[5]) for s in answer.segments("OBX")]
        assert list((tmp_path / "archive").glob("*.dcm")) == []
