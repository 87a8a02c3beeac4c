"""A calibration by pictures that are sent in a stream: nuclei found as each comes, bounded, all of them or nothing."""

import json
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import grpc
import pytest
from chromogen.v1 import analysis_service_pb2, calibration_pb2
from chromogen.v1 import profile_service_pb2 as pb
from click.testing import CliRunner
from structlog.testing import capture_logs

from inference.draw import draw_slide
from inference.errors import Refused
from inference.geometry import Region, Size
from server.api import sent_pictures
from server.cli import calibration
from tests.server.api.harness import Api, told

pytestmark = pytest.mark.postgres
SIDE, MPP = 384, 0.5


@pytest.fixture(scope="module")
def drawn() -> list[bytes]:
    found = []
    for seed in (3, 4):
        slide = draw_slide(size=Size(width=SIDE, height=SIDE), seed=seed, h_score=150)
        rgb = slide.read(Region(x=0, y=0, width=SIDE, height=SIDE))
        good, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        assert good
        found.append(data.tobytes())
    return found


def first(pictures: int, **more: Any) -> pb.CalibratePicturesRequest:
    fit = {"request_id": str(uuid.uuid4()), "name": "er-sent", "marker": "ER"} | more
    return pb.CalibratePicturesRequest(calibration=pb.CalibrateProfileRequest(**fit), pictures=pictures)


def picture(data: bytes, slide: str, **more: Any) -> pb.CalibratePicturesRequest:
    score = calibration_pb2.RegionScore(region="all", measure="HSCORE", value=150)
    region = calibration_pb2.CalibrationRegion(**({"slide": slide, "scores": [score]} | more))
    return pb.CalibratePicturesRequest(picture=pb.AnnotatedPicture(data=data, mpp=MPP, region=region))


def sent(api: Api, lab: str, *messages: pb.CalibratePicturesRequest) -> Iterator[pb.CalibratePicturesResponse]:
    answers: Iterator[pb.CalibratePicturesResponse] = api.caller("lab-admin", lab=lab).profiles.CalibratePictures(
        iter(messages)
    )
    return answers


def test_pictures_in_a_stream_are_calibrated_by(api: Api, lab: str, drawn: list[bytes]) -> None:
    messages = (first(2), picture(drawn[0], "A"), picture(drawn[1], "B"))
    answers = list(sent(api, lab, *messages))
    assert [a.pictures for a in answers] == [0, 1, 2, 2]
    image = analysis_service_pb2.Image(data=drawn[0], mpp=MPP)
    request = analysis_service_pb2.AnalyzeImageRequest(image=image, with_cells=True)
    alone = api.caller("pathologist", lab=lab).analysis.AnalyzeImage(request)
    assert answers[1].nuclei == len(alone.cells.x_px) > 10
    assert list(sent(api, lab, *messages))[-1].calibration.id == answers[-1].calibration.id  # a repeat
    while api.service.jobs.step():
        pass
    get = pb.GetCalibrationRequest(calibration_id=answers[-1].calibration.id)
    found = api.caller("lab-admin", lab=lab).profiles.GetCalibration(get).calibration
    assert found.state == calibration_pb2.CALIBRATION_STATE_DONE
    assert (found.slides, found.regions, found.nuclei) == (2, 2, answers[1].nuclei + answers[2].nuclei)


def test_the_command_sends_the_pictures_of_a_manifest(
    api: Api, lab: str, drawn: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in zip("ab", drawn, strict=True):
        (tmp_path / f"{name}.png").write_bytes(data)
    manifest = tmp_path / "m.csv"
    manifest.write_text("slide,image,mpp,annotation,h_score_all\nA,a.png,0.5,,150\nB,b.png,0.5,,150\n")
    monkeypatch.setattr(calibration, "api", lambda: nullcontext(api.caller("lab-admin", lab=lab)))
    arguments = ["er-sent", str(manifest), "--marker", "ER", "--no-wait", "--json"]
    with capture_logs():  # the server's, which is in this process and writes where the client does
        done = CliRunner().invoke(calibration.calibrate, arguments, catch_exceptions=False)
    assert json.loads(done.stdout)["state"] == "CALIBRATION_STATE_QUEUED"
    while api.service.jobs.step():
        pass
    get = pb.GetCalibrationRequest(calibration_id=json.loads(done.stdout)["id"])
    found = api.caller("lab-admin", lab=lab).profiles.GetCalibration(get).calibration
    assert (found.profile, found.slides, found.regions) == ("er-sent", 2, 2)
    manifest.write_text("slide,image,mpp,annotation,h_score_all\nA,a.png,,,150\n")
    with pytest.raises(Refused, match=r"NO_PIXEL_SIZE: line 2 \(a.png\).*column mpp"):
        CliRunner().invoke(calibration.calibrate, arguments, catch_exceptions=False)


def test_what_does_not_fit_is_named_and_nothing_kept(
    api: Api, lab: str, drawn: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = picture(drawn[0], "A")
    nowhere = calibration_pb2.AnnotatedNucleus(x_px=SIDE + 50, y_px=5, grade=1, **{"class": "stroma"})
    cases = [
        ((first(2), good), "FIELD_MISSING", "1 of 2 pictures"),
        ((first(1), good, picture(drawn[1], "B")), "ARGUMENT_INVALID", "more pictures"),
        ((good,), "ARGUMENT_INVALID", "no calibration"),
        ((), "ARGUMENT_INVALID", "no calibration"),
        ((first(2), good, good), "ANNOTATION_INVALID", "repeats another"),
        ((first(0),), "ARGUMENT_INVALID", "pictures"),
        ((first(1), first(1)), "ARGUMENT_INVALID", "picture 1"),
        ((first(1), picture(b"GIF89a", "A")), "NOT_A_SLIDE", ""),
        ((first(1), picture(drawn[0], "")), "FIELD_MISSING", "picture 1: slide"),
        ((first(1), picture(drawn[0], "A", scores=[])), "ANNOTATION_INVALID", "neither"),
        ((first(1), picture(drawn[0], "A", nuclei=[nowhere])), "ANNOTATION_INVALID", ""),
        ((first(1), picture(drawn[0], "A", result_id=str(uuid.uuid4()))), "ARGUMENT_INVALID", "its own"),
    ]
    for messages, reason, said in cases:
        answer = told(lambda messages=messages: sent(api, lab, *messages))  # type: ignore[misc]
        assert (answer.reason, said in answer.message) == (reason, True), answer
    monkeypatch.setattr(sent_pictures, "MOST_NUCLEI", 5)
    assert "more than 5 nuclei" in told(lambda: sent(api, lab, first(1), good)).message
    monkeypatch.setattr(sent_pictures, "MOST_BYTES", len(drawn[0]) - 1)
    large = told(lambda: sent(api, lab, first(1), good))
    assert (large.code, large.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert not api.caller("lab-admin", lab=lab).profiles.ListCalibrations(pb.ListCalibrationsRequest()).calibrations
