"""Control tissue in a stream of microscope fields: judged first, never counted; where it fails there is no score."""

from collections.abc import Sequence

import cv2
import pytest
from chromogen.v1 import analysis_service_pb2 as pb
from chromogen.v1 import result_pb2

from inference.draw.expression import Mix
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from tests.server.api.harness import Api, told

pytestmark = pytest.mark.postgres
STRONG: Mix = {"none": 0.1, "intense_complete": 0.9}
NEGATIVE: Mix = {"none": 1.0}
MPP = 0.5


def drawn(mix: Mix, seed: int) -> bytes:
    plan = Plan(side_um=180, mix=mix, tumour_share=0.95)
    pixels = Her2Drawing(plan, Scanner(mpp=MPP), seed=seed).pixels()
    good, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert good
    return data.tobytes()


@pytest.fixture(scope="module")
def strong() -> bytes:
    return drawn(STRONG, 3)


@pytest.fixture(scope="module")
def negative() -> bytes:
    return drawn(NEGATIVE, 4)


def answers(api: Api, fields: Sequence[tuple[bytes, str]]) -> list[pb.AnalyzeFieldsResponse]:
    """Of pictures, each with what it must show where it is control tissue."""
    sent = (pb.AnalyzeFieldsRequest(image=pb.Image(data=d, mpp=MPP), marker="HER2", control=c) for d, c in fields)
    return list(api.caller("pathologist").analysis.AnalyzeFields(sent))


def test_a_control_that_passes_is_said_and_not_counted(api: Api, strong: bytes, negative: bytes) -> None:
    control, case = answers(api, [(strong, "3+"), (negative, "")])
    assert control.control.status == case.control.status == result_pb2.CONTROL_STATUS_PASSED
    assert (control.fields, case.fields) == (0, 1)
    assert case.running
    assert case.scores
    (core,) = case.control.cores
    assert (core.expected, core.found, core.passed) == ("3+", "3+", True)


def test_a_control_that_fails_withholds_the_score(api: Api, negative: bytes, strong: bytes) -> None:
    control, case = answers(api, [(negative, "3+"), (strong, "")])
    assert control.control.status == case.control.status == result_pb2.CONTROL_STATUS_FAILED
    assert "expected 3+" in case.control.detail
    assert not case.running
    assert not case.scores
    assert "CONTROL_FAILED" in case.warnings


def test_one_of_two_controls_that_fails_is_enough(api: Api, negative: bytes, strong: bytes) -> None:
    *_, case = answers(api, [(strong, "3+"), (strong, "0"), (negative, "")])
    assert case.control.status == result_pb2.CONTROL_STATUS_FAILED
    assert not case.running


def test_without_a_control_it_is_absent(api: Api, strong: bytes) -> None:
    (case,) = answers(api, [(strong, "")])
    assert case.control.status == result_pb2.CONTROL_STATUS_ABSENT
    assert case.running


def test_a_control_that_the_stain_lacks_is_refused(api: Api, strong: bytes) -> None:
    answer = told(lambda: answers(api, [(strong, "4+")]))
    assert answer.reason == "CONTROL_INVALID"
    assert "3+" in answer.message
