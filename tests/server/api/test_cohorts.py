"""Scoring anew on the real store: one result by request, and a cohort, first shown, then confirmed."""

import uuid
from typing import Any

import grpc
import pytest
from chromogen.v1 import plot_pb2, profile_pb2, result_pb2, result_service_pb2
from chromogen.v1 import profile_service_pb2 as pb

from tests.server.api.harness import Api, Caller, hue_value, told

pytestmark = pytest.mark.postgres


def profile(api: Api, lab: str, name: str = "other", hue: int = 200) -> pb.ProfileRevision:
    made = profile_pb2.Profile(name=name, marker="ER", criteria=hue_value(hue, 90, 140))
    request = pb.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=made)
    api.caller("lab-admin", lab=lab).profiles.CreateProfile(request)
    return pb.ProfileRevision(name=name, revision=1)


def rescored(caller: Caller, result_id: str, by: pb.ProfileRevision, request_id: str) -> result_pb2.Result:
    request = result_service_pb2.RescoreResultRequest(request_id=request_id, result_id=result_id, profile=by)
    found: result_pb2.Result = caller.results.RescoreResult(request).result
    return found


def test_a_request_to_score_anew_is_remembered(api: Api, lab: str) -> None:
    first, second = api.done(lab, seed=1), api.done(lab, seed=2)
    caller, by, other = api.caller("pathologist", lab=lab), profile(api, lab), profile(api, lab, "third", 100)
    request_id = str(uuid.uuid4())
    made = rescored(caller, first.id, by, request_id)
    assert rescored(caller, first.id, by, request_id) == made
    assert rescored(caller, first.id, by, str(uuid.uuid4())).id == made.id  # by another request: the same result
    for result, wanted in ((second, by), (first, other)):
        reused = told(lambda result=result, wanted=wanted: rescored(caller, result.id, wanted, request_id))  # type: ignore[misc]
        assert (reused.code, reused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert len(caller.results.ListResults(result_service_pb2.ListResultsRequest()).results) == 3


def ask(caller: Caller, by: pb.ProfileRevision, request_id: str | None = None, **said: Any) -> pb.Cohort:
    given = {"marker": "ER", "reason": "new antibody lot"} | said
    request = pb.RescoreCohortRequest(request_id=request_id or str(uuid.uuid4()), profile=by, **given)
    found: pb.Cohort = caller.profiles.RescoreCohort(request).cohort
    return found


def ended(api: Api, caller: Caller, cohort_id: str, **said: Any) -> pb.GetCohortResponse:
    while api.service.jobs.step():
        pass
    answer: pb.GetCohortResponse = caller.profiles.GetCohort(pb.GetCohortRequest(cohort_id=cohort_id, **said))
    return answer


def states(caller: Caller) -> dict[str, int]:
    answer = caller.results.ListResults(result_service_pb2.ListResultsRequest(page_size=200))
    return {result.id: result.state for result in answer.results}


def test_a_cohort_is_shown_before_anything_changes_and_done_once_confirmed(api: Api, lab: str) -> None:
    results = [api.done(lab, seed=seed) for seed in range(4)]
    caller, by = api.caller("lab-admin", "pathologist", lab=lab), profile(api, lab)
    caller.results.SignResult(result_service_pb2.SignResultRequest(result_id=results[0].id))
    before, request_id = states(caller), str(uuid.uuid4())
    asked = ask(caller, by, request_id)
    assert (asked.state, asked.results) == (pb.COHORT_STATE_QUEUED, 4)
    assert ask(caller, by, request_id).id == asked.id
    early = told(lambda: confirm(caller, asked.id))
    assert (early.code, early.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE")
    answer = ended(api, caller, asked.id, picture=plot_pb2.PLOT_FORMAT_SVG)
    shown = answer.cohort
    assert (shown.state, shown.progress, len(shown.changes)) == (pb.COHORT_STATE_DONE, 1, 4)
    assert b"<svg" in answer.picture[:2000]
    assert [c.result_id for c in shown.changes] == [r.id for r in results]
    assert [c.signed for c in shown.changes] == [True, False, False, False]
    assert all(c.before != c.after for c in shown.changes)
    assert states(caller) == before  # nothing has changed
    done = ended(api, caller, confirm(caller, asked.id).id).cohort
    assert (done.state, len(done.made), dict(done.left_out)) == (pb.COHORT_STATE_DONE, 4, {})
    after = states(caller)
    assert {name: state for name, state in after.items() if name in before} == before
    assert {after[name] for name in done.made} == {result_pb2.RESULT_STATE_PRELIMINARY}
    one = caller.results.GetResult(result_service_pb2.GetResultRequest(result_id=done.made[1])).result
    assert (one.predecessor_id, one.profile.name) == (results[1].id, "other")
    region = [s for s in one.scores if s.measure == "HSCORE" and s.region == one.clinical_region]
    assert region[0].value == shown.changes[1].after


def confirm(caller: Caller, cohort_id: str) -> pb.Cohort:
    request = pb.ConfirmCohortRequest(request_id=str(uuid.uuid4()), cohort_id=cohort_id)
    found: pb.Cohort = caller.profiles.ConfirmCohort(request).cohort
    return found


def test_a_cohort_of_nothing_or_by_a_profile_of_another_kind_is_refused(api: Api, lab: str) -> None:
    caller, by = api.caller("lab-admin", lab=lab), profile(api, lab)
    empty = told(lambda: ask(caller, by))
    assert (empty.code, empty.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "COHORT_EMPTY")
    api.done(lab)
    unknown = told(lambda: ask(caller, pb.ProfileRevision(name="none", revision=1)))
    assert unknown.reason == "PROFILE_UNKNOWN"
    filtered = told(lambda: ask(caller, by, scored_by=by))
    assert filtered.reason == "COHORT_EMPTY"
    missing = told(lambda: ask(caller, by, reason=""))
    assert missing.reason == "FIELD_MISSING"


def test_cohorts_are_listed_and_watched_until_they_end(api: Api, lab: str) -> None:
    results = [api.done(lab, seed=seed) for seed in range(2)]
    caller, by = api.caller("lab-admin", lab=lab, subject="admin"), profile(api, lab)
    made = [ask(caller, by, reason=f"reason {k}") for k in range(3)]
    stream = caller.profiles.WatchCohort(pb.WatchCohortRequest(cohort_id=made[0].id))
    assert next(stream).cohort.state == pb.COHORT_STATE_QUEUED
    ended(api, caller, made[0].id)
    last = list(stream)[-1].cohort
    assert (last.state, last.progress, last.results, len(last.changes)) == (pb.COHORT_STATE_DONE, 1, len(results), 0)
    first = caller.profiles.ListCohorts(pb.ListCohortsRequest(page_size=2))
    assert [c.id for c in first.cohorts] == [made[2].id, made[1].id]
    one = first.cohorts[0]
    assert (one.marker, one.profile.name, one.purpose, one.asked_by) == ("ER", "other", "reason 2", "admin")
    assert not one.changes
    rest = caller.profiles.ListCohorts(pb.ListCohortsRequest(page_size=2, page_token=first.next_page_token))
    assert ([c.id for c in rest.cohorts], rest.next_page_token) == ([made[0].id], "")
    assert not caller.profiles.ListCohorts(pb.ListCohortsRequest(confirmations=True)).cohorts
    confirmed = ended(api, caller, confirm(caller, made[0].id).id).cohort
    (listed,) = caller.profiles.ListCohorts(pb.ListCohortsRequest(confirmations=True)).cohorts
    assert (listed.id, listed.confirms_id, len(listed.made)) == (confirmed.id, made[0].id, 0)
    strange = api.caller("lab-admin", lab=f"{lab}-other")
    assert not strange.profiles.ListCohorts(pb.ListCohortsRequest()).cohorts
    unknown = told(lambda: strange.profiles.WatchCohort(pb.WatchCohortRequest(cohort_id=made[0].id)))
    assert unknown.reason == "JOB_UNKNOWN"
