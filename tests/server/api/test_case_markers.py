"""A case's markers side by side: of each the result that counts, and how ER and PR stand to each other."""

import uuid
from typing import Any

import grpc
import pytest
from chromogen.v1 import order_pb2
from chromogen.v1 import result_service_pb2 as pb
from click.testing import CliRunner

from inference.analyzers.nuclear import H_SCORE, PERCENT_POSITIVE
from inference.measures import ALL
from server.cli import result as command
from server.domain.result import Result
from tests.server.api.harness import Api, told

pytestmark = pytest.mark.postgres
STUDY = "2.25.1234"


@pytest.fixture
def lab() -> str:
    return f"LAB-{uuid.uuid4().hex[:8]}"


def ordered(marker: str, *, patient: str = "TEST-0001", study: str = STUDY, specimen: str = "") -> dict[str, Any]:
    slide = order_pb2.SlideReference(study_uid=study, container_id=f"S26-TEST-1-A-{marker}")
    if specimen:
        return ordered(marker, patient=patient, study=study) | {"specimen": order_pb2.Specimen(id=specimen)}
    who = order_pb2.Patient(id=patient, family_name="TEST-INVENTED")
    return {"marker": marker, "patient": who, "slide": slide}


def done(api: Api, lab: str, marker: str, **more: Any) -> Result:
    seed = more.pop("seed", 0)
    return api.done(lab, seed=seed, ordered=ordered(marker, **more), marker=marker)


def markers(api: Api, lab: str, of: Result) -> pb.GetCaseMarkersResponse:
    request = pb.GetCaseMarkersRequest(order_id=str(of.order_id))
    answer: pb.GetCaseMarkersResponse = api.caller("pathologist", lab=lab).results.GetCaseMarkers(request)
    return answer


def test_each_marker_of_the_case_is_told_with_the_proportion_by_compartment(api: Api, lab: str) -> None:
    er, pr, ki67 = (done(api, lab, marker, seed=k) for k, marker in enumerate(("ER", "PR", "KI67")))
    done(api, lab, "P53", patient="TEST-0002")
    done(api, lab, "P53", study="2.25.99")
    found = markers(api, lab, ki67)
    assert [(r.marker, r.id) for r in found.results] == [("ER", er.id), ("KI67", ki67.id), ("PR", pr.id)]
    for measure in (H_SCORE, PERCENT_POSITIVE):
        for region in ("stroma", "epithelium", ALL):
            pair = [result.score(measure, region) for result in (er, pr)]
            assert all(row is not None and row.value for row in pair)
            expected = pair[0].value / pair[1].value  # type: ignore[union-attr,operator]
            (told_,) = [r for r in found.ratios if (r.measure, r.region) == (measure.code, region)]
            assert (told_.marker, told_.by) == ("ER", "PR")
            assert told_.value == pytest.approx(expected)


def test_of_two_orders_of_a_marker_the_signed_one_counts_else_the_newest(api: Api, lab: str) -> None:
    first, second, pr = done(api, lab, "ER"), done(api, lab, "ER", seed=1), done(api, lab, "PR")
    assert [r.id for r in markers(api, lab, pr).results] == [second.id, pr.id]
    assert [r.id for r in markers(api, lab, first).results] == [first.id, pr.id]
    api.caller("pathologist", lab=lab).results.SignResult(pb.SignResultRequest(result_id=first.id))
    assert [r.id for r in markers(api, lab, pr).results] == [first.id, pr.id]
    reject = pb.RejectResultRequest(result_id=second.id, reason="out of focus")
    api.caller("pathologist", lab=lab).results.RejectResult(reject)
    assert [r.id for r in markers(api, lab, second).results] == [first.id, pr.id]


def test_beside_a_slide_stand_those_of_its_own_specimen_and_two_tumours_are_never_compared(api: Api, lab: str) -> None:
    er, pr = (done(api, lab, m, seed=k, specimen="S26-TEST-A") for k, m in enumerate(("ER", "PR")))
    other = done(api, lab, "ER", seed=3, specimen="S26-TEST-B")
    api.caller("pathologist", lab=lab).results.SignResult(pb.SignResultRequest(result_id=other.id))
    assert [r.id for r in markers(api, lab, pr).results] == [er.id, pr.id]
    assert markers(api, lab, pr).ratios
    found = markers(api, lab, other)
    assert [r.id for r in found.results] == [other.id, pr.id]
    assert not found.ratios


def test_one_marker_has_no_proportion(api: Api, lab: str) -> None:
    found = markers(api, lab, done(api, lab, "ER"))
    assert ([r.marker for r in found.results], list(found.ratios)) == (["ER"], [])


def test_another_laboratorys_case_is_none(api: Api, lab: str) -> None:
    theirs = done(api, "LAB-ANOTHER", "ER")
    answer = told(lambda: markers(api, lab, theirs))
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_UNKNOWN")


def test_the_command_shows_the_proportion() -> None:
    shown = CliRunner().invoke(command.result, ["case", "--help"])
    assert "side by side" in shown.output
    ratio = pb.MarkerRatio(marker="ER", by="PR", measure="HSCORE", region="all", value=1.5)
    assert command._ratio_row(ratio) == ("ER to PR", "HSCORE", "all", "1.50")
    ratio.ClearField("value")
    assert command._ratio_row(ratio)[-1] == "PR is 0"
