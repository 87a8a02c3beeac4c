"""ProfileService on the real store."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from chromogen.v1 import profile_pb2
from chromogen.v1 import profile_service_pb2 as pb

from inference.analyzers.nuclear import H_SCORE, PERCENT_POSITIVE
from inference.assay import assays
from inference.guideline import ER_STATUS
from tests.server.api.harness import Api, Caller, hue_value, told

pytestmark = pytest.mark.postgres


def create(caller: Caller, name: str = "er", request_id: str | None = None, **more: object) -> profile_pb2.Profile:
    made = profile_pb2.Profile(**({"name": name, "criteria": hue_value(), "marker": "ER"} | more))  # type: ignore[arg-type]
    answer = caller.profiles.CreateProfile(
        pb.CreateProfileRequest(request_id=request_id or str(uuid.uuid4()), profile=made)
    )
    found: profile_pb2.Profile = answer.profile
    return found


def revise(caller: Caller, name: str = "er", request_id: str | None = None, **more: object) -> profile_pb2.Profile:
    fields = {"criteria": hue_value(110)} | more
    request = pb.CreateProfileRevisionRequest(request_id=request_id or str(uuid.uuid4()), name=name, **fields)  # type: ignore[arg-type]
    found: profile_pb2.Profile = caller.profiles.CreateProfileRevision(request).profile
    return found


def chosen(api: Api, lab: str) -> list[str]:
    return [p.label for p in api.service.store.profiles(lab, "ER") if p.key.lab == lab]


def test_a_draft_is_not_used_an_active_one_is_and_a_retired_one_no_longer(api: Api, lab: str) -> None:
    caller = api.caller("lab-admin", lab=lab)
    made = create(caller)
    assert (made.state, made.revision, made.lab) == (profile_pb2.PROFILE_STATE_DRAFT, 1, lab)
    assert chosen(api, lab) == []
    active = caller.profiles.ActivateProfile(pb.ActivateProfileRequest(name="er", revision=1, etag=made.etag)).profile
    assert active.state == profile_pb2.PROFILE_STATE_ACTIVE
    assert chosen(api, lab) == ["er/1"]
    caller.profiles.RetireProfile(pb.RetireProfileRequest(name="er", revision=1))
    assert chosen(api, lab) == []
    again = told(lambda: caller.profiles.RetireProfile(pb.RetireProfileRequest(name="er", revision=1)))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROFILE_STATE")


def test_a_revision_takes_over_what_is_not_said_anew(api: Api, lab: str) -> None:
    caller = api.caller("lab-admin", lab=lab)
    create(caller, clone="SP1", source="first", valid_from="2026-01-01")
    second = revise(caller, valid_until="2027-01-01")
    assert (second.revision, second.clone, second.source) == (2, "SP1", "first")
    assert (second.valid_from, second.valid_until, second.criteria.numbers["hue"]) == ("2026-01-01", "2027-01-01", 110)
    latest = caller.profiles.GetProfile(pb.GetProfileRequest(name="er")).profile
    assert latest == second
    assert (
        caller.profiles.GetProfile(pb.GetProfileRequest(name="er", revision=1)).profile.criteria.numbers["hue"] == 120
    )


def test_g2_a_repeated_request_answers_as_the_first(api: Api, lab: str) -> None:
    caller, first, second = api.caller("lab-admin", lab=lab), str(uuid.uuid4()), str(uuid.uuid4())
    assert create(caller, request_id=first) == create(caller, request_id=first)
    assert revise(caller, request_id=second).revision == revise(caller, request_id=second).revision == 2


def test_o11_a_request_id_that_was_used_for_another_content_is_refused(api: Api, lab: str) -> None:
    """The first was answered, and the new thresholds were dropped without a word."""
    caller, first, second = api.caller("lab-admin", lab=lab), str(uuid.uuid4()), str(uuid.uuid4())
    create(caller, request_id=first, source="first")
    revise(caller, request_id=second, source="second")
    for reused in (
        lambda: create(caller, request_id=first, source="other"),
        lambda: create(caller, "another", request_id=first, source="first"),
        lambda: revise(caller, request_id=second, source="other"),
        lambda: revise(caller, request_id=second, source="second", valid_from="2026-01-01"),
        lambda: revise(caller, request_id=first, source="first"),
        lambda: create(caller, request_id=second, source="second"),
    ):
        answer = told(reused)
        assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    revise(caller, source="third")
    assert revise(caller, request_id=second, source="second").revision == 2


def test_g2_twenty_identical_calls_at_once_make_one_profile(api: Api, lab: str) -> None:
    caller, request_id = api.caller("lab-admin", lab=lab), str(uuid.uuid4())
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda _: create(caller, request_id=request_id).etag, range(20)))
    assert len(set(made)) == 1


def test_a_name_is_taken_in_its_own_laboratory_only(api: Api, lab: str) -> None:
    create(api.caller("lab-admin", lab=lab))
    answer = told(lambda: create(api.caller("lab-admin", lab=lab)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "PROFILE_CONFLICT")
    assert create(api.caller("lab-admin", lab=f"{lab}-2")).revision == 1
    assert told(lambda: create(api.caller("lab-admin", lab=lab), name="built-in")).reason == "PROFILE_CONFLICT"


def test_the_profile_that_ships_can_be_seen_and_not_changed(api: Api, lab: str) -> None:
    caller = api.caller("lab-admin", lab=lab)
    shipped = caller.profiles.GetProfile(pb.GetProfileRequest(name="built-in")).profile
    assert (shipped.lab, shipped.state) == ("*", profile_pb2.PROFILE_STATE_ACTIVE)
    retire = pb.RetireProfileRequest(name="built-in", revision=2)
    assert told(lambda: caller.profiles.RetireProfile(retire)).reason == "PROFILE_STATE"
    assert told(lambda: revise(caller, "built-in")).reason == "PROFILE_UNKNOWN"


def test_g4_pages_hold_every_revision_once_by_name_and_the_latest_first(api: Api, lab: str) -> None:
    caller = api.caller("lab-admin", lab=lab)
    for name in ("b", "a", "c"):
        create(caller, name=name)
    revise(caller, "a")
    seen, token = [], ""
    while True:
        page = caller.profiles.ListProfiles(pb.ListProfilesRequest(page_size=2, page_token=token))
        seen += [(p.name, p.revision) for p in page.profiles]
        if not (token := page.next_page_token):
            break
    built_in = list(dict.fromkeys((assay.built_in.name, assay.built_in.revision) for assay in assays()))
    assert sorted(seen[: len(built_in)]) == sorted(built_in)
    assert seen[len(built_in) :] == [("a", 2), ("a", 1), ("b", 1), ("c", 1)]
    drafts = caller.profiles.ListProfiles(pb.ListProfilesRequest(state=profile_pb2.PROFILE_STATE_DRAFT)).profiles
    assert len(drafts) == 4
    assert not caller.profiles.ListProfiles(
        pb.ListProfilesRequest(marker="PR", state=profile_pb2.PROFILE_STATE_DRAFT)
    ).profiles


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": ""}, "FIELD_MISSING"),
        ({"name": "a b"}, "ARGUMENT_INVALID"),
        ({"name": "../x"}, "ARGUMENT_INVALID"),
        ({"name": "x" * 65}, "ARGUMENT_INVALID"),
        ({"marker": "PDL1"}, "ASSAY_UNSUPPORTED"),
        ({"criteria": profile_pb2.Criteria()}, "FIELD_MISSING"),
        ({"criteria": hue_value(0)}, "PROFILE_INVALID"),
        ({"criteria": hue_value(301)}, "PROFILE_INVALID"),
        ({"criteria": hue_value(120, 100, 100)}, "PROFILE_INVALID"),
        ({"criteria": hue_value(120, -1, 100)}, "PROFILE_INVALID"),
        ({"criteria": hue_value(120, 0, 256)}, "PROFILE_INVALID"),
        (
            {"criteria": profile_pb2.Criteria(method="dab_od", numbers={"weak": 0.4, "moderate": 0.2})},
            "PROFILE_INVALID",
        ),
        ({"criteria": profile_pb2.Criteria(method="guess", numbers={"weak": 0.4})}, "PROFILE_INVALID"),
        ({"valid_from": "1.1.2026"}, "ARGUMENT_INVALID"),
        ({"valid_until": "20260101"}, "ARGUMENT_INVALID"),
        ({"source": "x" * 501}, "ARGUMENT_INVALID"),
        ({"clone": "a\nb"}, "ARGUMENT_INVALID"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(api: Api, lab: str, fields: dict[str, object], reason: str) -> None:
    answer = told(lambda: create(api.caller("lab-admin", lab=lab), **fields))  # type: ignore[arg-type]
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


def test_two_profiles_are_compared_on_stored_results_without_inference(api: Api, lab: str) -> None:
    results, caller = [api.done(lab, seed=seed) for seed in (1, 2)], api.caller("lab-admin", lab=lab)
    create(caller, criteria=hue_value(200, 10, 20))
    built_in, own = pb.ProfileRevision(name="built-in", revision=2), pb.ProfileRevision(name="er", revision=1)
    request = pb.CompareProfilesRequest(first=built_in, second=own, result_ids=[r.id for r in results])
    answer = caller.profiles.CompareProfiles(request)
    assert [c.result_id for c in answer.comparisons] == [r.id for r in results]
    for row, result in zip(answer.comparisons, results, strict=True):
        h_score, _percent, status = row.measures
        assert [m.measure for m in row.measures] == [H_SCORE.code, PERCENT_POSITIVE.code, ER_STATUS.code]
        assert (status.first_category, status.second_category) == ("positive", "positive")
        found = result.score(H_SCORE)
        assert found is not None
        assert (h_score.first_value, row.cells) == (pytest.approx(found.value), found.n)
    apart = [row.measures[0].second_value - row.measures[0].first_value for row in answer.comparisons]
    first = answer.differences[0]
    assert (first.measure, first.results, first.mean) == (H_SCORE.code, 2, pytest.approx(sum(apart) / 2))
    assert first.largest == pytest.approx(max(map(abs, apart)))


def test_of_results_without_cells_there_is_nothing_to_compare(api: Api, lab: str) -> None:
    empty, caller = api.done(lab, n=0), api.caller("pathologist", lab=lab)
    built_in = pb.ProfileRevision(name="built-in", revision=2)
    request = pb.CompareProfilesRequest(first=built_in, second=built_in, result_ids=[empty.id])
    answer = caller.profiles.CompareProfiles(request)
    assert not any(m.HasField("first_value") or m.HasField("second_value") for m in answer.comparisons[0].measures)
    assert not answer.differences
