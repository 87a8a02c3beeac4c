"""A laboratory validates a profile: computed over signed or scored slides, signed by two; then it lifts the mark."""

import uuid
from dataclasses import replace
from typing import Any

import grpc
import pytest
from chromogen.v1 import admin_service_pb2, calibration_pb2, profile_pb2, result_service_pb2, validation_pb2
from chromogen.v1 import profile_service_pb2 as pb

from inference.analyzers.nuclear import H_SCORE
from inference.assay import assay_of
from inference.measures import ALL
from server.bootstrap import Service
from server.domain.choice import Chosen, ProfileChoice
from server.domain.order import Order, Request
from server.domain.profile import ProfileRules, built_in
from server.domain.result import Result
from server.pipeline import CaseServices, validated
from tests.made import made_order
from tests.server.api.harness import Api, Caller, hue_value, told

pytestmark = pytest.mark.postgres
BUILT_IN = pb.ProfileRevision(name="built-in", revision=2)


@pytest.fixture(scope="module")
def shared_lab() -> str:
    return f"LAB-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def results(api: Api, shared_lab: str) -> list[Result]:
    return [api.done(shared_lab, seed=seed, n=200) for seed in range(20)]


@pytest.fixture
def pathologist(api: Api, shared_lab: str) -> Caller:
    return api.caller("pathologist", lab=shared_lab, subject="dr-1")


def compute(caller: Caller, **more: Any) -> validation_pb2.Validation:
    fields = {"request_id": str(uuid.uuid4()), "profile": BUILT_IN, "marker": "ER"} | more
    found: validation_pb2.Validation = caller.profiles.ValidateProfile(pb.ValidateProfileRequest(**fields)).validation
    return found


def scored(result: Result, apart: float = 0.0) -> pb.ScoredSlide:
    """A person's H-score of all nuclei, so far from ours."""
    row = result.score(H_SCORE, ALL)
    assert row is not None
    assert row.value is not None
    score = calibration_pb2.RegionScore(region="all", measure="HSCORE", value=row.value - apart)
    return pb.ScoredSlide(result_id=result.id, scores=[score])


def sign(caller: Caller, validation_id: str) -> validation_pb2.Validation:
    request = pb.SignValidationRequest(validation_id=validation_id)
    found: validation_pb2.Validation = caller.profiles.SignValidation(request).validation
    return found


def test_over_scored_slides_bias_limits_and_intervals_are_told(results: list[Result], pathologist: Caller) -> None:
    slides = [scored(result, apart=5 + (-1) ** i) for i, result in enumerate(results)]
    found = compute(pathologist, slides=slides)
    (row,) = found.agreements
    assert (row.measure, row.region, row.n, found.slides, found.same_criteria) == ("HSCORE", "all", 20, 20, 0)
    assert row.bias == pytest.approx(5)
    assert row.limits.low < 4 < 6 < row.limits.high
    assert row.bias_interval.low < 5 < row.bias_interval.high
    assert (found.computed_by, found.model_sha256) == ("dr-1", results[0].analysis.model.sha256)
    listed = pathologist.profiles.ListValidations(pb.ListValidationsRequest(profile=BUILT_IN)).validations
    assert found in list(listed)


def test_over_signed_slides_every_score_and_category_is_compared(
    api: Api, results: list[Result], pathologist: Caller
) -> None:
    assert told(lambda: compute(pathologist)).reason == "VALIDATION_IMPOSSIBLE"
    for result in results[:3]:
        pathologist.results.SignResult(result_service_pb2.SignResultRequest(result_id=result.id))
    found = compute(pathologist)
    by_measure = {(row.measure, row.region): row for row in found.agreements}
    assert (found.slides, found.same_criteria) == (3, 3)
    assert by_measure["HSCORE", "epithelium"].bias == 0
    status = by_measure["ER_STATUS", "epithelium"]
    assert (status.n, status.agree) == (3, 3)
    assert 0.4 < status.agree_interval.low < 1
    answer = told(lambda: sign(pathologist, found.id))
    assert (answer.reason, "asks for 20" in answer.message) == ("VALIDATION_IMPOSSIBLE", True)


def case_services(service: Service) -> CaseServices:
    def no_engine(_: object) -> Any:
        raise AssertionError("nothing is analysed")

    return replace(service.case_services(no_engine), rules=lambda _: ProfileRules())


def held(api: Api, lab: str, marker: str = "ER", model: str | None = None, name: str = "built-in") -> bool:
    """Would a case of the laboratory be marked as validated?"""
    assay = assay_of(marker)
    order: Order = made_order(marker=marker)
    asked: Request = replace(order.request, lab=lab)
    chosen = Chosen(profile=replace(built_in(assay), name=name), choice=ProfileChoice())
    found = validated(chosen, assay, model or "ab" * 32, replace(order, request=asked), case_services(api.service))
    return found.choice.validated is not None


def test_two_people_sign_and_the_mark_is_lifted_for_that_profile_marker_and_model_alone(
    api: Api, shared_lab: str, results: list[Result], pathologist: Caller
) -> None:
    found = compute(pathologist, slides=[scored(result) for result in results])
    assert not held(api, shared_lab)
    assert [s.by for s in sign(pathologist, found.id).signatures] == ["dr-1"]
    assert [s.by for s in sign(pathologist, found.id).signatures] == ["dr-1"]  # once a person
    assert not held(api, shared_lab)
    admin = api.caller("lab-admin", lab=shared_lab, subject="admin-1")
    assert [s.by for s in sign(admin, found.id).signatures] == ["dr-1", "admin-1"]
    assert held(api, shared_lab)
    assert not held(api, shared_lab, marker="PR")
    assert not held(api, shared_lab, model="cd" * 32)
    assert not held(api, shared_lab, name="another")
    assert not held(api, "LAB-ANOTHER")
    auditor = api.caller("auditor", lab=shared_lab)
    entries = auditor.admin.QueryAudit(admin_service_pb2.QueryAuditRequest(object=f"validations/{found.id}")).entries
    assert [(e.action, e.subject) for e in reversed(entries)] == [
        ("profile.validate", "dr-1"),
        ("validation.sign", "dr-1"),
        ("validation.sign", "admin-1"),
    ]


@pytest.fixture
def pr_profile(api: Api, shared_lab: str) -> pb.ProfileRevision:
    admin, name = api.caller("lab-admin", lab=shared_lab), f"pr-{uuid.uuid4().hex[:6]}"
    made = profile_pb2.Profile(name=name, marker="PR", criteria=hue_value())
    admin.profiles.CreateProfile(pb.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=made))
    return pb.ProfileRevision(name=name, revision=1)


def test_what_says_nothing_of_the_profile_is_refused(
    results: list[Result], pathologist: Caller, pr_profile: pb.ProfileRevision
) -> None:
    one = scored(results[0])
    for more, reason in (
        ({"slides": [one, one]}, "VALIDATION_IMPOSSIBLE"),
        ({"slides": [pb.ScoredSlide(result_id=results[0].id)]}, "ARGUMENT_INVALID"),
        ({"slides": [one], "marker": "PR"}, "VALIDATION_IMPOSSIBLE"),
        ({"slides": [one], "profile": pr_profile}, "PROFILE_INVALID"),
        ({"slides": [pb.ScoredSlide(result_id=str(uuid.uuid4()), scores=one.scores)]}, "RESULT_UNKNOWN"),
        ({"profile": pb.ProfileRevision(name="none", revision=1)}, "PROFILE_UNKNOWN"),
    ):
        assert told(lambda more=more: compute(pathologist, **more)).reason == reason  # type: ignore[misc]
    assert told(lambda: sign(pathologist, str(uuid.uuid4()))).reason == "VALIDATION_UNKNOWN"


def test_a_repeat_answers_the_first(results: list[Result], pathologist: Caller) -> None:
    request_id = str(uuid.uuid4())
    first = compute(pathologist, request_id=request_id, slides=[scored(results[0])])
    assert compute(pathologist, request_id=request_id, slides=[scored(results[0])]) == first


def test_o11_a_request_id_that_was_used_for_other_slides_is_refused(results: list[Result], pathologist: Caller) -> None:
    """The first was answered: signed, it would have said of the wrong slides that they were looked at."""
    request_id, one = str(uuid.uuid4()), scored(results[0])
    compute(pathologist, request_id=request_id, slides=[one])
    for slides in ([scored(results[1])], [one, scored(results[1])], []):
        answer = told(lambda slides=slides: compute(pathologist, request_id=request_id, slides=slides))  # type: ignore[misc]
        assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
