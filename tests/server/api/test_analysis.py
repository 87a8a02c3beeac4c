"""AnalysisService with the shipped networks."""

import struct
import zlib
from collections.abc import Iterator

import cv2
import grpc
import numpy as np
import pytest
from chromogen.v1 import analysis_service_pb2 as pb
from chromogen.v1 import profile_service_pb2

from inference.analyzers.nuclear import GRADE_COUNTS, H_SCORE, NUCLEI, PERCENT_POSITIVE
from inference.draw import draw_slide
from inference.geometry import Region, Size
from inference.measures import ALL
from inference.slide import Rgb
from tests.server.api.harness import Api, score, told

pytestmark = pytest.mark.postgres
SIDE = 512


def encoded(pixels: Rgb, kind: str = ".png") -> bytes:
    good, data = cv2.imencode(kind, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert good
    return data.tobytes()


@pytest.fixture(scope="module")
def field() -> Rgb:
    side = 1024
    return draw_slide(size=Size(width=side, height=side), seed=8, h_score=150).read(
        Region(x=0, y=0, width=side, height=side)
    )


def test_a_picture_is_scored_and_its_cells_lie_in_it(api: Api, field: Rgb) -> None:
    image = pb.Image(data=encoded(field[:SIDE, :SIDE]), mpp=0.5)
    answer = api.caller("pathologist").analysis.AnalyzeImage(pb.AnalyzeImageRequest(image=image, with_cells=True))
    cells = answer.cells
    assert len(cells.x_px) == len(cells.group) == score(answer.scores, NUCLEI).value
    assert len(cells.x_px) > 20
    assert all(-0.5 <= v < SIDE for v in (*cells.x_px, *cells.y_px))
    for region in {group.region for group in answer.groups}:
        counted = sum(answer.groups[group].region == region for group in cells.group)
        assert counted == sum(score(answer.scores, measure, region).value or 0 for measure in GRADE_COUNTS)
    assert (answer.profile.name, len(answer.model.sha256)) == ("built-in", 64)
    assert score(answer.scores, H_SCORE).interval is None


def test_a_picture_is_scored_by_the_assay_of_its_marker(api: Api, field: Rgb) -> None:
    image = pb.Image(data=encoded(field[:256, :256]), mpp=0.5)
    answer = api.caller("pathologist").analysis.AnalyzeImage(pb.AnalyzeImageRequest(image=image, marker="p53"))
    assert {row.measure for row in answer.scores} == {m.code for m in (PERCENT_POSITIVE, NUCLEI, *GRADE_COUNTS)}
    assert "OUT_OF_SCOPE" in answer.warnings


def test_a_cast_is_said_of_nuclear_stains_and_not_where_the_stream_has_shown_glass(api: Api, field: Rgb) -> None:
    plain = pb.Image(data=encoded(field[:256, :256]), mpp=0.5)
    warm = pb.Image(data=encoded(np.rint(field[:256, :256] * np.array((0.86, 0.78, 0.70))).astype(np.uint8)), mpp=0.5)
    analysis = api.caller("pathologist").analysis

    def said(image: pb.Image, marker: str) -> bool:
        request = pb.AnalyzeImageRequest(image=image, marker=marker)
        return "COLOUR_CAST" in analysis.AnalyzeImage(request).warnings

    assert [said(plain, "ER"), said(warm, "ER"), said(warm, "HER2")] == [False, True, False]
    fields = [pb.AnalyzeFieldsRequest(image=image, marker="ER") for image in (warm, plain, warm)]
    streamed = ["COLOUR_CAST" in a.warnings for a in analysis.AnalyzeFields(iter(fields))]
    assert streamed == [True, False, False]


def test_white_glass_has_no_cells_and_no_score(api: Api) -> None:
    image = pb.Image(data=encoded(np.full((256, 256, 3), 255, np.uint8)), mpp=0.5)
    answer = api.caller("pathologist").analysis.AnalyzeImage(pb.AnalyzeImageRequest(image=image))
    assert score(answer.scores, NUCLEI, ALL).value == 0
    assert score(answer.scores, H_SCORE).absent
    assert "TOO_FEW_NUCLEI" in answer.warnings
    assert not answer.HasField("cells")


def test_fields_are_answered_one_by_one_in_their_order(api: Api, field: Rgb) -> None:
    data = encoded(field[:SIDE, :SIDE], ".jpg")

    def fields() -> Iterator[pb.AnalyzeFieldsRequest]:
        for number in (7, 3, 5):
            yield pb.AnalyzeFieldsRequest(field_id=number, image=pb.Image(data=data, mpp=0.5), with_cells=number == 3)

    answers = list(api.caller("pathologist").analysis.AnalyzeFields(fields()))
    assert [a.field_id for a in answers] == [7, 3, 5]
    assert [a.HasField("cells") for a in answers] == [False, True, False]
    assert list(answers[0].scores) == list(answers[1].scores)


def test_fields_of_a_megapixel_are_each_answered_with_the_seconds_they_took(api: Api, field: Rgb) -> None:
    """How many: tests/benchmarks/fields.py."""
    request = pb.AnalyzeFieldsRequest(image=pb.Image(data=encoded(field, ".jpg"), mpp=0.5))
    answers = list(api.caller("pathologist").analysis.AnalyzeFields(iter([request] * 3)))
    assert len(answers) == 3
    assert all(a.seconds > 0 and a.scores for a in answers)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (pb.Image(mpp=0.5), "FIELD_MISSING"),
        (pb.Image(data=b"x", mpp=0), "ARGUMENT_INVALID"),
        (pb.Image(data=b"x", mpp=float("nan")), "ARGUMENT_INVALID"),
        (pb.Image(data=b"x", mpp=-1), "ARGUMENT_INVALID"),
        (pb.Image(data=b"x", mpp=0.5), "NOT_A_SLIDE"),
        (pb.Image(data=b"II*\0" + bytes(100), mpp=0.5), "NOT_A_SLIDE"),
        (pb.Image(data=encoded(np.full((64, 64, 3), 200, np.uint8))[:100], mpp=0.5), "SLIDE_DAMAGED"),
        (pb.Image(data=b"\xff\xd8\xff" + bytes(100), mpp=0.5), "SLIDE_DAMAGED"),
        (pb.Image(data=encoded(np.full((64, 64, 3), 200, np.uint8)), mpp=0.7), "TOO_COARSE"),
        (pb.Image(data=bytes((16 << 20) + 1), mpp=0.5), "MESSAGE_TOO_LARGE"),
    ],
)
def test_a_picture_that_is_none_is_refused(api: Api, image: pb.Image, reason: str) -> None:
    answer = told(lambda: api.caller("pathologist").analysis.AnalyzeImage(pb.AnalyzeImageRequest(image=image)))
    assert answer.reason == reason
    fields = iter([pb.AnalyzeFieldsRequest(image=image)])
    assert told(lambda: api.caller("pathologist").analysis.AnalyzeFields(fields)).reason == reason


def test_a_picture_with_too_many_pixels_is_refused(api: Api) -> None:
    image = pb.Image(data=encoded(np.full((10, 8200, 3), 255, np.uint8)), mpp=0.5)
    answer = told(lambda: api.caller("pathologist").analysis.AnalyzeImage(pb.AnalyzeImageRequest(image=image)))
    assert answer.reason == "ARGUMENT_INVALID"


def test_a_picture_that_unpacks_to_gigabytes_is_refused_by_its_header(api: Api) -> None:
    side = 60_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    image = pb.Image(data=b"\x89PNG\r\n\x1a\n" + chunk, mpp=0.5)
    answer = told(lambda: api.caller("pathologist").analysis.AnalyzeImage(pb.AnalyzeImageRequest(image=image)))
    assert answer.reason == "ARGUMENT_INVALID"


def test_a_message_beyond_what_is_taken_is_not_read(api: Api) -> None:
    image = pb.Image(data=bytes(18 << 20), mpp=0.5)
    with pytest.raises(grpc.RpcError) as error:
        api.caller("pathologist").analysis.AnalyzeImage(pb.AnalyzeImageRequest(image=image))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_unknown_profile_is_refused(api: Api, field: Rgb) -> None:
    revision = profile_service_pb2.ProfileRevision(name="nobody", revision=1)
    request = pb.AnalyzeImageRequest(image=pb.Image(data=encoded(field[:64, :64]), mpp=0.5), profile=revision)
    assert told(lambda: api.caller("pathologist").analysis.AnalyzeImage(request)).reason == "PROFILE_UNKNOWN"


@pytest.mark.parametrize("marker", ["PDL1", "CD3", "PAS", "P 53 x"])
def test_a_stain_that_is_not_scored_here_is_refused_before_the_picture_is_opened(api: Api, marker: str) -> None:
    request = pb.AnalyzeImageRequest(image=pb.Image(data=b"no picture", mpp=0.5), marker=marker)
    answer = told(lambda: api.caller("pathologist").analysis.AnalyzeImage(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ASSAY_UNSUPPORTED")
