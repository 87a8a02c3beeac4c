"""An admin's whole way: regions in, calibrated, compared, adopted, activated, chosen; and what is refused on it."""

import uuid
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import grpc
import numpy as np
import pytest
from chromogen.v1 import admin_service_pb2, calibration_pb2, plot_pb2, profile_pb2, result_pb2
from chromogen.v1 import profile_service_pb2 as pb

from inference.analyzers.nuclear import COMPARTMENTS
from inference.cells.file import read_cells
from inference.grade import HueValueThresholds, grades_by_hue_value
from server.domain.choice import Preparation, ProfileChoice, choose
from server.domain.result import Result
from tests.server.api.harness import Api, Caller, hue_value, told

pytestmark = pytest.mark.postgres
HIDDEN = HueValueThresholds(hue=120, left=70, right=140)
DONE, FAILED = calibration_pb2.CALIBRATION_STATE_DONE, calibration_pb2.CALIBRATION_STATE_FAILED


def nuclei(result: Result, thresholds: HueValueThresholds = HIDDEN) -> list[calibration_pb2.AnnotatedNucleus]:
    """A person's marks of a result: where its nuclei lie, graded as the hidden thresholds would."""
    marks = []
    for cells in read_cells(result.cells_file, result.assay.analyzer.schema):
        grades = grades_by_hue_value(cells["hue"], cells["value"], thresholds)
        for x, y, c, g in zip(cells.x, cells.y, cells["compartment"], grades, strict=True):
            named: dict[str, Any] = {"class": COMPARTMENTS[c]}
            marks.append(calibration_pb2.AnnotatedNucleus(x_px=x, y_px=y, grade=int(g), **named))
    return marks


def region(result: Result, **more: Any) -> calibration_pb2.CalibrationRegion:
    return calibration_pb2.CalibrationRegion(
        **({"result_id": result.id, "slide": result.id[:8], "nuclei": nuclei(result)} | more)
    )


def asked(*regions: calibration_pb2.CalibrationRegion, **more: Any) -> pb.CalibrateProfileRequest:
    fields = {"request_id": str(uuid.uuid4()), "name": "er-own", "marker": "ER", "by": "grades", "regions": regions}
    return pb.CalibrateProfileRequest(**(fields | more))


def calibrated(api: Api, caller: Caller, request: pb.CalibrateProfileRequest) -> calibration_pb2.Calibration:
    """Asked for, run by a worker, watched to its end."""
    made = caller.profiles.CalibrateProfile(request).calibration
    while api.service.jobs.step():
        pass
    seen = list(caller.profiles.WatchCalibration(pb.WatchCalibrationRequest(calibration_id=made.id)))
    last: calibration_pb2.Calibration = seen[-1].calibration
    return last


@pytest.fixture(scope="module")
def shared_lab() -> str:
    return f"LAB-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def results(api: Api, shared_lab: str) -> list[Result]:
    return [api.done(shared_lab, seed=seed, n=400) for seed in range(3)]


@pytest.fixture
def admin(api: Api, shared_lab: str) -> Caller:
    return api.caller("lab-admin", lab=shared_lab, subject="admin-1")


def test_an_admin_s_way_from_regions_to_the_profile_that_orders_get(
    api: Api, shared_lab: str, results: list[Result], admin: Caller
) -> None:
    found = calibrated(api, admin, asked(*map(region, results)))
    assert (found.state, found.profile, found.marker, found.asked_by) == (DONE, "er-own", "ER", "admin-1")
    assert (found.slides, found.regions, found.progress, found.nuclei) == (3, 3, 1.0, 1200)
    fitted = found.criteria.numbers
    assert all(abs(fitted[name] - getattr(HIDDEN, name)) <= 3 for name in ("hue", "left", "right"))
    assert found.kappa > 0.97
    assert {row.compartment for row in found.left_out} == {"stroma", "epithelium", "all"}
    assert found.mean_error < 5

    adopt = pb.AdoptCalibrationRequest(request_id=str(uuid.uuid4()), calibration_id=found.id, scanner="GT450")
    draft = admin.profiles.AdoptCalibration(adopt).profile
    assert (draft.name, draft.revision, draft.state) == ("er-own", 1, profile_pb2.PROFILE_STATE_DRAFT)
    assert (draft.criteria, draft.scanner, draft.marker) == (found.criteria, "GT450", "ER")
    assert found.id in draft.source
    assert admin.profiles.AdoptCalibration(adopt).profile == draft

    second = pb.ProfileRevision(name="er-own", revision=1)
    compared = admin.profiles.CompareProfiles(pb.CompareProfilesRequest(second=second))
    assert (compared.first.name, len(compared.comparisons)) == ("built-in", 3)
    (change,) = compared.changes
    assert (change.measure, change.results) == ("ER_STATUS", 3)

    until = (date.today() + timedelta(days=365)).isoformat()
    activate = pb.ActivateProfileRequest(name="er-own", revision=1, reason="validated on 3 slides", valid_until=until)
    active = admin.profiles.ActivateProfile(activate).profile
    assert (active.valid_until, active.state_reason, active.state_by) == (until, "validated on 3 slides", "admin-1")
    offered = api.service.store.profiles(shared_lab, "ER")
    slide = Preparation(scanner="GT450")
    chosen = choose(offered, results[0].assay, lab=shared_lab, today=date.today(), preparation=slide)
    assert chosen is not None
    assert (chosen.profile.label, chosen.profile.valid_until) == ("er-own/1", date.fromisoformat(until))
    again = calibrated(api, admin, asked(*map(region, results[:2])))
    adopt = pb.AdoptCalibrationRequest(request_id=str(uuid.uuid4()), calibration_id=again.id)
    next_one = admin.profiles.AdoptCalibration(adopt).profile
    assert (next_one.revision, next_one.scanner, next_one.valid_until) == (2, "GT450", "")
    beside = admin.profiles.CompareProfiles(
        pb.CompareProfilesRequest(second=pb.ProfileRevision(name="er-own", revision=2))
    )
    assert (beside.first.name, beside.first.revision) == ("er-own", 1)
    retired = admin.profiles.RetireProfile(pb.RetireProfileRequest(name="er-own", revision=1, reason="replaced"))
    assert retired.profile.state_reason == "replaced"


def test_what_pictures_show_is_told_and_drawn(api: Api, results: list[Result], admin: Caller) -> None:
    found = calibrated(api, admin, asked(*map(region, results), by="h_score"))
    request = pb.GetCalibrationRequest(calibration_id=found.id, picture=plot_pb2.PLOT_FORMAT_PNG)
    shown = admin.profiles.GetCalibration(request)
    assert (len(shown.nuclei.brown), len(shown.nuclei.blue)) == (256, 256)
    assert sum(shown.nuclei.brown) + sum(shown.nuclei.blue) == found.nuclei
    surface = shown.surface
    error = np.array(surface.error).reshape(len(surface.right), len(surface.left))
    crossing = np.array(surface.left)[None] >= np.array(surface.right)[:, None]
    assert np.array_equal(np.isnan(error), crossing)
    assert found.fit_error - 0.01 <= np.nanmin(error) < found.fit_error + 5
    assert shown.nuclei_picture.startswith(b"\x89PNG")
    assert shown.surface_picture.startswith(b"\x89PNG")
    assert shown.nuclei_picture != shown.surface_picture
    bare = admin.profiles.GetCalibration(pb.GetCalibrationRequest(calibration_id=found.id))
    assert (bare.nuclei_picture, bare.surface_picture, bare.surface.left) == (b"", b"", surface.left)
    density = calibrated(api, admin, asked(*map(region, results), method="dab_od"))
    shown = admin.profiles.GetCalibration(pb.GetCalibrationRequest(calibration_id=density.id, picture=2))
    assert (shown.HasField("surface"), shown.surface_picture, b"<svg" in shown.nuclei_picture) == (False, b"", True)


def test_every_step_is_in_the_audit(api: Api, shared_lab: str, results: list[Result], admin: Caller) -> None:
    found = calibrated(api, admin, asked(region(results[0]), name="audited"))
    adopt = pb.AdoptCalibrationRequest(request_id=str(uuid.uuid4()), calibration_id=found.id)
    admin.profiles.AdoptCalibration(adopt)
    auditor = api.caller("auditor", lab=shared_lab)
    entries = auditor.admin.QueryAudit(admin_service_pb2.QueryAuditRequest(object=f"jobs/{found.id}")).entries
    assert [(e.action, e.subject) for e in reversed(entries)] == [
        ("job.ask", "admin-1"),
        ("job.running", "worker"),
        ("job.done", "worker"),
    ]
    entries = auditor.admin.QueryAudit(admin_service_pb2.QueryAuditRequest(object="profiles/audited")).entries
    assert {e.action for e in entries} == {"profile.keep", "profile.draft"}


def test_a_repeat_answers_the_first_and_another_content_is_refused(results: list[Result], admin: Caller) -> None:
    request = asked(region(results[0]), name="repeated")
    first = admin.profiles.CalibrateProfile(request).calibration
    assert admin.profiles.CalibrateProfile(request).calibration.id == first.id
    request.by = "h_score"
    answer = told(lambda: admin.profiles.CalibrateProfile(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


def test_h_scores_by_compartment_or_of_whole_results_are_enough(api: Api, results: list[Result], admin: Caller) -> None:
    scores = [
        calibration_pb2.RegionScore(region=part, measure="HSCORE", value=150) for part in ("stroma", "epithelium")
    ]
    found = calibrated(api, admin, asked(*(region(r, nuclei=[], scores=scores) for r in results), by="h_score"))
    assert (found.state, found.regions) == (DONE, 3)
    assert found.fit_error < 10
    ids, values = [r.id for r in results], [120.0, 130.0, 140.0]
    whole = calibrated(api, admin, asked(by="h_score", result_ids=ids, h_scores=values))
    assert (whole.state, {row.compartment for row in whole.left_out}) == (DONE, {"all"})


def test_a_window_takes_its_part_alone(api: Api, results: list[Result], admin: Caller) -> None:
    size = results[0].analysis.slide.size
    half = result_pb2.Window(x_px=0, y_px=0, width_px=size.width // 2, height_px=size.height)
    found = calibrated(api, admin, asked(region(results[0], window=half)))
    inside = sum(n.x_px < size.width // 2 - 0.5 for n in nuclei(results[0]))
    assert (found.state, found.nuclei) == (DONE, inside)


def test_two_annotators_are_compared(api: Api, results: list[Result], admin: Caller) -> None:
    other = nuclei(results[0], replace(HIDDEN, left=100))
    found = calibrated(
        api, admin, asked(region(results[0], annotator="A"), region(results[0], annotator="B", nuclei=other))
    )
    assert (list(found.annotators.names), found.annotators.n) == (["A", "B"], 400)
    left = [c.numbers["left"] for c in found.annotators.criteria]
    assert abs(left[0] - 70) <= 3
    assert abs(left[1] - 100) <= 3
    assert 0.5 < found.annotators.kappa_weighted < 1


def mark(name: str, **more: Any) -> calibration_pb2.AnnotatedNucleus:
    """A nucleus of that class, by default near a corner of the slide."""
    return calibration_pb2.AnnotatedNucleus(**({"x_px": 1, "y_px": 1, "class": name} | more))


@pytest.mark.parametrize(
    ("more", "fields", "reason"),
    [
        ({}, {"marker": ""}, "FIELD_MISSING"),
        ({}, {"marker": "HER2"}, "ASSAY_UNSUPPORTED"),
        ({}, {"marker": "PR", "name": "pr-own"}, "CALIBRATION_IMPOSSIBLE"),
        ({}, {"by": "guess"}, "ARGUMENT_INVALID"),
        ({}, {"method": "otsu"}, "ARGUMENT_INVALID"),
        ({}, {"name": "built-in"}, "PROFILE_CONFLICT"),
        ({}, {"name": "../x"}, "ARGUMENT_INVALID"),
        ({}, {"h_scores": [1.0]}, "ARGUMENT_INVALID"),
        ({"result_id": str(uuid.uuid4())}, {}, "RESULT_UNKNOWN"),
        ({"nuclei": []}, {}, "ANNOTATION_INVALID"),
        ({"nuclei": [mark("stroma", x_px=-5, grade=1)]}, {}, "ANNOTATION_INVALID"),
        (
            {"nuclei": [calibration_pb2.AnnotatedNucleus(x_px=1, y_px=1, **{"class": "stroma"})]},
            {},
            "ANNOTATION_INVALID",
        ),
        ({"nuclei": [mark("stroma", grade=4)]}, {}, "ARGUMENT_INVALID"),
        ({"nuclei": [mark("necrosis", grade=2)]}, {}, "ANNOTATION_INVALID"),
        ({"window": result_pb2.Window(x_px=0, y_px=0, width_px=10**6, height_px=5)}, {}, "REGION_INVALID"),
        ({"window": result_pb2.Window(x_px=0, y_px=0, width_px=1, height_px=1)}, {}, "ANNOTATION_INVALID"),
        (
            {"nuclei": [], "scores": [calibration_pb2.RegionScore(region="all", measure="HSCORE", value=301)]},
            {},
            "ARGUMENT_INVALID",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused_before_a_job_is_made(
    results: list[Result], admin: Caller, more: dict[str, Any], fields: dict[str, Any], reason: str
) -> None:
    before = len(admin.profiles.ListCalibrations(pb.ListCalibrationsRequest(page_size=200)).calibrations)
    answer = told(lambda: admin.profiles.CalibrateProfile(asked(region(results[0], **more), **fields)))
    assert answer.reason == reason, answer
    assert len(admin.profiles.ListCalibrations(pb.ListCalibrationsRequest(page_size=200)).calibrations) == before


def test_no_region_a_region_twice_and_three_annotators_are_refused(results: list[Result], admin: Caller) -> None:
    one = region(results[0])
    three = [region(results[0], annotator=who) for who in "ABC"]
    for regions, reason in (
        ([], "CALIBRATION_IMPOSSIBLE"),
        ([one, one], "ANNOTATION_INVALID"),
        (three, "ANNOTATION_INVALID"),
    ):
        answer = told(lambda regions=regions: admin.profiles.CalibrateProfile(asked(*regions)))  # type: ignore[misc]
        assert answer.reason == reason


def test_a_profile_for_another_marker_is_refused(results: list[Result], admin: Caller) -> None:
    profile = profile_pb2.Profile(name="pr", marker="PR", criteria=hue_value())
    admin.profiles.CreateProfile(pb.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=profile))
    answer = told(lambda: admin.profiles.CalibrateProfile(asked(region(results[0]), name="pr")))
    assert answer.reason == "PROFILE_INVALID"


def test_what_shows_only_in_the_nuclei_fails_the_job_with_its_reason(
    api: Api, results: list[Result], admin: Caller
) -> None:
    unstained = [mark("stroma", x_px=n.x_px, y_px=n.y_px, grade=0) for n in nuclei(results[0])]
    found = calibrated(api, admin, asked(region(results[0], nuclei=unstained)))
    assert (found.state, found.reason) == (FAILED, "CALIBRATION_IMPOSSIBLE")
    assert "no annotated nucleus is stained" in found.detail
    elsewhere = [mark("stroma", x_px=n.x_px / 2 + 7, y_px=n.y_px / 3, grade=n.grade) for n in nuclei(results[0])]
    wrong = calibrated(api, admin, asked(region(results[0], nuclei=elsewhere)))
    assert (wrong.state, wrong.reason) == (FAILED, "ANNOTATION_INVALID")
    assert "pixel size" in wrong.detail
    adopt = pb.AdoptCalibrationRequest(request_id=str(uuid.uuid4()), calibration_id=wrong.id)
    assert told(lambda: admin.profiles.AdoptCalibration(adopt)).reason == "JOB_STATE"


def test_doubtful_annotations_are_warned_of(api: Api, results: list[Result], admin: Caller) -> None:
    doubled = nuclei(results[0])
    contrary = calibration_pb2.AnnotatedNucleus()
    contrary.CopyFrom(doubled[1])
    contrary.grade = 3 - doubled[1].grade
    found = calibrated(api, admin, asked(region(results[0], nuclei=[*doubled, doubled[0], contrary])))
    words = {w.warning for w in found.warnings}
    assert {"ONE_SLIDE", "DUPLICATE_ANNOTATIONS", "CONTRADICTORY_ANNOTATIONS"} <= words


def test_regions_of_two_scanners_are_warned_of(api: Api, admin: Caller, shared_lab: str) -> None:
    made = [
        api.done(shared_lab, seed=seed, choice=ProfileChoice(preparation=Preparation(scanner=scanner)))
        for seed, scanner in enumerate(("GT450", "Pannoramic"))
    ]
    found = calibrated(api, admin, asked(*map(region, made)))
    assert "SCANNERS_DIFFER" in {w.warning for w in found.warnings}


@pytest.mark.parametrize("days", [-1, -400])
def test_a_profile_is_not_activated_for_days_that_are_over(admin: Caller, days: int) -> None:
    name = f"late-{abs(days)}"
    profile = profile_pb2.Profile(name=name, marker="ER", criteria=hue_value())
    admin.profiles.CreateProfile(pb.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=profile))
    until = (date.today() + timedelta(days=days)).isoformat()
    request = pb.ActivateProfileRequest(name=name, revision=1, valid_until=until)
    assert told(lambda: admin.profiles.ActivateProfile(request)).reason == "ARGUMENT_INVALID"


def test_another_laboratory_s_calibration_is_not_there(api: Api, results: list[Result], admin: Caller) -> None:
    made = admin.profiles.CalibrateProfile(asked(region(results[0]))).calibration
    stranger = api.caller("lab-admin", lab="LAB-STRANGE")
    get = pb.GetCalibrationRequest(calibration_id=made.id)
    assert told(lambda: stranger.profiles.GetCalibration(get)).reason == "JOB_UNKNOWN"
    assert told(lambda: stranger.profiles.CalibrateProfile(asked(region(results[0])))).reason == "RESULT_UNKNOWN"
    assert not stranger.profiles.ListCalibrations(pb.ListCalibrationsRequest()).calibrations
