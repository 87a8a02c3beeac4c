"""Pathologists' own estimates: kept by region, marked as made before or after the score was shown, compared."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
import sqlalchemy as sa
from chromogen.v1 import order_pb2, plot_pb2
from chromogen.v1 import result_service_pb2 as pb
from click.testing import CliRunner

from inference.analyzers.membrane import SCORE, TUMOUR
from inference.analyzers.nuclear import H_SCORE
from inference.measures import ALL, scored
from server.cli import estimate as command
from server.cli.client import to_json
from server.cli.result import result as group
from server.domain.result import Result
from server.site import Laboratory, Site
from tests.server.api.harness import Api, Caller, told
from tests.server.web.browser import Browser, page_of

pytestmark = pytest.mark.postgres
HIDDEN = (
    ("GET", "/histograms"),
    ("GET", "/fields"),
    ("GET", "/case"),
    ("GET", "/cells"),
    ("GET", "/cells/sample"),
    ("GET", "/cells/0/0"),
    ("GET", "/download/scores.csv"),
    ("POST", "/preview"),
    ("POST", "/change"),
    ("POST", "/sign"),
)


@pytest.fixture
def lab() -> str:
    return f"LAB-{uuid.uuid4().hex[:8]}"


def estimated(caller: Caller, result: Result, **values: float) -> list[Any]:
    request = pb.EstimateResultRequest(
        result_id=result.id, values=[pb.RegionEstimate(region=r, value=v) for r, v in values.items()]
    )
    return list(caller.results.EstimateResult(request).estimates)


def score_of(result: Result, region: str = ALL) -> float:
    row = result.score(H_SCORE, region)
    assert row is not None
    assert row.value is not None
    return row.value


@pytest.fixture
def blind(api: Api, lab: str) -> Iterator[Any]:
    """The page of a site whose laboratory wants the estimate first."""
    site = api.service.site
    own = replace(site.laboratory(lab), estimate_first=True)
    asked = Site(laboratories=(own,), archives=site.archives, destinations=site.destinations, routes=site.routes)
    with page_of(replace(api, service=replace(api.service, site=asked))) as page:
        yield page


def test_estimates_are_kept_by_region_and_marked_as_made_after_where_nobody_asks_for_them_first(
    api: Api, lab: str
) -> None:
    result, doctor = api.done(lab), api.caller("pathologist", lab=lab, subject="dr-a")
    estimated(doctor, result, all=120, stroma=40)
    kept = estimated(api.caller("pathologist", lab=lab, subject="dr-b"), result, all=150)
    assert [(e.by, e.region, e.value, e.score_shown) for e in kept] == [
        ("dr-a", "all", 120, True),
        ("dr-a", "stroma", 40, True),
        ("dr-b", "all", 150, True),
    ]
    assert {e.measure for e in kept} == {"HSCORE"}
    with api.owner.connect() as connection:
        asked = sa.text("SELECT subject, outcome FROM audit WHERE object = :thing AND action = 'result.estimate'")
        rows = [tuple(row) for row in connection.execute(asked, {"thing": f"results/{result.id}"})]
    assert sorted(rows) == [("dr-a", "all after"), ("dr-a", "stroma after"), ("dr-b", "all after")]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"all": 301.0}, "0 to 300"),
        ({"all": -1.0}, "0 to 300"),
        ({"all": float("nan")}, "0 to 300"),
        ({"lymph": 10.0}, "region is none of"),
        ({}, "values are missing"),
    ],
)
def test_what_is_no_estimate_is_refused_and_nothing_of_it_kept(
    api: Api, lab: str, values: dict[str, float], said: str
) -> None:
    result, doctor = api.done(lab), api.caller("pathologist", lab=lab)
    answer = told(lambda: estimated(doctor, result, **{"stroma": 40.0} | values if values else {}))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert said in answer.message
    assert [e.value for e in estimated(doctor, result, all=10)] == [10]


def test_the_page_tells_no_score_before_the_reader_s_own_estimate(api: Api, lab: str, blind: Any) -> None:
    result = api.done(lab)
    doctor = blind.caller("pathologist", lab=lab, subject="dr-a")
    found = doctor.get(f"/data/results/{result.id}").json()
    assert found["hidden"]
    assert {k: found["estimate"][k] for k in ("display", "most")} == {"display": "H-score", "most": 300}
    assert set(found["estimate"]["regions"]) == {"stroma", "epithelium", "all"}
    assert "scores" not in found
    assert "result" not in found
    (item,) = doctor.post("/data/work").json()["items"]
    assert (item["result"]["score"], item["result"]["hidden"]) == (None, True)
    for method, path in HIDDEN:
        ask = doctor.get if method == "GET" else lambda p: doctor.post(p, {"why": "because", "etag": found["etag"]})
        answer = ask(f"/data/results/{result.id}{path}")
        assert (answer.status_code, answer.json().get("reason")) == (409, "ESTIMATE_MISSING"), path
    admin = blind.caller("lab-admin", lab=lab, subject="admin")
    assert admin.get(f"/data/results/{result.id}/histograms").status_code == 200


def test_once_estimated_the_score_is_shown_and_the_next_estimate_is_marked(api: Api, lab: str, blind: Any) -> None:
    result = api.done(lab)
    doctor = blind.caller("pathologist", lab=lab, subject="dr-a")
    path = f"/data/results/{result.id}"
    assert doctor.post(f"{path}/estimate", {"values": {"all": "120"}}).status_code == 400
    (first,) = doctor.post(f"{path}/estimate", {"values": {"all": 120}}).json()["estimates"]
    assert (first["value"], first["score_shown"]) == (120, False)
    found = doctor.get(path).json()
    assert (found["hidden"], [e["value"] for e in found["estimates"]]) == (False, [120])
    assert found["scores"]
    for method, hidden in HIDDEN[:7]:
        assert method == "GET"
        if hidden != "/cells/0/0":
            assert doctor.get(path + hidden).status_code == 200
    again = doctor.post(f"{path}/estimate", {"values": {"all": 130}}).json()["estimates"]
    assert [(e["value"], e["score_shown"]) for e in again] == [(120, False), (130, True)]
    other = blind.caller("pathologist", lab=lab, subject="dr-b")
    assert other.get(path).json()["hidden"]


def test_a_colleague_s_signed_score_in_the_work_list_counts_as_seen(api: Api, lab: str, blind: Any) -> None:
    result = api.done(lab)
    api.caller("pathologist", lab=lab, subject="dr-b").results.SignResult(pb.SignResultRequest(result_id=result.id))
    doctor = blind.caller("pathologist", lab=lab, subject="dr-a")
    (item,) = doctor.post("/data/work").json()["items"]
    assert item["result"]["score"] is not None
    (kept,) = doctor.post(f"/data/results/{result.id}/estimate", {"values": {"all": 120}}).json()["estimates"]
    assert kept["score_shown"]


def test_a_signed_score_that_nobody_was_told_is_still_estimated_blind(api: Api, lab: str, blind: Any) -> None:
    result = api.done(lab)
    api.caller("pathologist", lab=lab, subject="dr-b").results.SignResult(pb.SignResultRequest(result_id=result.id))
    doctor = blind.caller("pathologist", lab=lab, subject="dr-a")
    (kept,) = doctor.post(f"/data/results/{result.id}/estimate", {"values": {"all": 120}}).json()["estimates"]
    assert not kept["score_shown"]


def test_the_answer_to_a_signature_tells_the_score(api: Api, lab: str, blind: Any) -> None:
    result = api.done(lab)
    with grpc.insecure_channel(f"127.0.0.1:{blind.grpc_port}") as channel:
        caller = Caller(channel, api.issuer.token("pathologist", lab=lab, subject="dr-b"))
        caller.results.SignResult(pb.SignResultRequest(result_id=result.id))
    doctor = blind.caller("pathologist", lab=lab, subject="dr-b")
    (kept,) = doctor.post(f"/data/results/{result.id}/estimate", {"values": {"all": 120}}).json()["estimates"]
    assert kept["score_shown"]


def test_bias_and_limits_of_agreement_by_marker_and_reader(api: Api, lab: str, blind: Any) -> None:
    apart = {"dr-a": (10.0, 20.0, 0.0), "dr-b": (-5.0, -15.0)}
    made = [api.done(lab, seed=k) for k in range(3)]
    for reader, differences in apart.items():
        doctor: Browser = blind.caller("pathologist", lab=lab, subject=reader)
        for result, difference in zip(made, differences, strict=False):
            doctor.post(f"/data/results/{result.id}/estimate", {"values": {"all": 1}})
            value = score_of(result) - difference  # the last one before the score was shown counts
            assert doctor.post(f"/data/results/{result.id}/estimate", {"values": {"all": value}}).status_code == 200
    estimated(api.caller("pathologist", lab=lab, subject="dr-late"), made[0], all=300)
    admin = api.caller("lab-admin", lab=lab)
    request = pb.CompareEstimatesRequest(marker="ER", picture=plot_pb2.PLOT_FORMAT_PNG)
    found = admin.results.CompareEstimates(request)
    assert [(one.marker, one.reader, one.agreement.n) for one in found.agreements] == [
        ("ER", "", 5), ("ER", "dr-a", 3), ("ER", "dr-b", 2)
    ]  # fmt: skip
    for one in found.agreements:
        of = np.array(apart[one.reader] if one.reader else sum(apart.values(), ()))
        spread = 1.959964 * of.std(ddof=1)
        assert one.agreement.bias == pytest.approx(of.mean(), abs=1e-6)
        ends = (one.agreement.limits.low, one.agreement.limits.high)
        assert ends == pytest.approx((of.mean() - spread, of.mean() + spread), abs=1e-5)
    assert found.picture.startswith(b"\x89PNG")
    assert len(found.compared) == 5
    request.score_shown = True
    assert {one.reader for one in admin.results.CompareEstimates(request).agreements} >= {"dr-late"}
    assert not admin.results.CompareEstimates(pb.CompareEstimatesRequest(marker="PR")).agreements
    answer = told(lambda: admin.results.CompareEstimates(pb.CompareEstimatesRequest(picture=1)))
    assert "needs a marker" in answer.message


def test_readers_see_how_far_their_own_blind_estimates_lie_from_the_scores(api: Api, lab: str, blind: Any) -> None:
    apart = (10.0, 20.0, 0.0)
    made = [api.done(lab, seed=k) for k in range(3)]
    doctor: Browser = blind.caller("pathologist", lab=lab, subject="dr-a")
    for result, difference in zip(made, apart, strict=True):
        doctor.post(f"/data/results/{result.id}/estimate", {"values": {"all": score_of(result) - difference}})
    blind.caller("pathologist", lab=lab, subject="dr-b").post(
        f"/data/results/{made[0].id}/estimate", {"values": {"all": 1}}
    )
    estimated(api.caller("pathologist", lab=lab, subject="dr-late"), made[0], all=300)
    found = doctor.get("/data/estimates").json()
    (one,) = found["agreements"]
    assert (one["marker"], one["region"], one["display"], one["found"]["n"]) == ("ER", "all", "H-score", 3)
    assert one["found"]["bias"] == pytest.approx(10)
    assert one["found"]["limits"] == pytest.approx([10 - 19.59964, 10 + 19.59964])
    assert [score - estimate for score, estimate in one["pairs"]] == pytest.approx(apart)
    assert not found["more"]
    for role, subject in (("pathologist", "dr-late"), ("lab-admin", "admin")):
        assert blind.caller(role, lab=lab, subject=subject).get("/data/estimates").json()["agreements"] == []


@pytest.mark.parametrize("by_page", [True, False])
def test_what_an_own_estimate_is_compared_with_counts_as_seen(api: Api, lab: str, blind: Any, by_page: bool) -> None:
    result = api.done(lab)
    doctor: Browser = blind.caller("pathologist", lab=lab, subject="dr-a")
    path = f"/data/results/{result.id}/estimate"
    doctor.post(path, {"values": {"all": 120}})
    if by_page:
        assert doctor.get("/data/estimates").json()["agreements"]
    else:
        with grpc.insecure_channel(f"127.0.0.1:{blind.grpc_port}") as channel:
            caller = Caller(channel, api.issuer.token("pathologist", lab=lab, subject="dr-a"))
            assert caller.results.CompareEstimates(pb.CompareEstimatesRequest()).compared
    kept = doctor.post(path, {"values": {"all": score_of(result)}}).json()["estimates"]
    assert [one["score_shown"] for one in kept] == [False, True]


def her2(api: Api, lab: str, category: str | None, seed: int = 0) -> Result:
    """A result of HER2, of that score."""
    rows = (scored(SCORE, TUMOUR, 500, category=category),)
    ordered = {"marker": "HER2", "slide": order_pb2.SlideReference(study_uid="2.25.1", container_id=f"S26-{seed}")}
    return api.done(lab, seed=seed, ordered=ordered, marker="HER2", scores=rows)


def said_of(caller: Caller, result: Result, **words: str) -> list[Any]:
    values = [pb.RegionEstimate(region=region, category=word) for region, word in words.items()]
    return list(caller.results.EstimateResult(pb.EstimateResultRequest(result_id=result.id, values=values)).estimates)


def test_categories_are_estimated_and_compared_by_how_often_they_are_the_same(api: Api, lab: str, blind: Any) -> None:
    pairs = [("0", "0"), ("1+", "1+"), ("2+", "1+"), ("3+", "3+"), ("3+", "2+")]
    doctor: Browser = blind.caller("pathologist", lab=lab, subject="dr-a")
    for seed, (ours, mine) in enumerate(pairs):
        result = her2(api, lab, ours, seed)
        found = doctor.get(f"/data/results/{result.id}").json()
        assert (found["hidden"], found["estimate"]["categories"]) == (True, ["0", "1+", "2+", "3+"])
        (kept,) = doctor.post(f"/data/results/{result.id}/estimate", {"values": {TUMOUR: mine}}).json()["estimates"]
        assert (kept["value"], kept["score_shown"]) == (mine, False)
    (one,) = doctor.get("/data/estimates").json()["agreements"]
    assert one["found"] | {"interval": 0} == {
        "n": 5,
        "agree": 3,
        "share": 0.6,
        "interval": 0,
        "kappa": one["found"]["kappa"],
    }
    order = ["0", "1+", "2+", "3+"]
    at = np.array([(order.index(a), order.index(b)) for a, b in pairs])
    apart, by_chance = ((at[:, 0] - at[:, 1]) ** 2).mean(), ((at[:, :1] - at[:, 1]) ** 2).mean()
    assert one["found"]["kappa"] == pytest.approx(1 - apart / by_chance)
    assert [tuple(pair) for pair in one["pairs"]] == pairs
    answer = api.caller("lab-admin", lab=lab).results.CompareEstimates(pb.CompareEstimatesRequest(marker="HER2"))
    assert [(c.score_category, c.estimate.category) for c in answer.compared] == pairs
    assert {(a.reader, a.agreement.n, a.agreement.agree) for a in answer.agreements} == {("", 5, 3), ("dr-a", 5, 3)}
    drawn = pb.CompareEstimatesRequest(marker="HER2", picture=plot_pb2.PLOT_FORMAT_PNG)
    assert "no differences to draw" in told(lambda: api.caller("lab-admin").results.CompareEstimates(drawn)).message


def test_what_is_no_category_is_refused(api: Api, lab: str) -> None:
    doctor, result = api.caller("pathologist", lab=lab), her2(api, lab, "2+")
    for word in ("", "4+", "2"):
        answer = told(lambda word=word: said_of(doctor, result, tumour=word))
        assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "is none of 0, 1+, 2+, 3+" in answer.message
    assert "0 to 300" in told(lambda: said_of(doctor, api.done(lab), all="negative")).message
    assert "withheld" in told(lambda: said_of(doctor, her2(api, lab, None, 1), tumour="2+")).message
    assert [e.category for e in said_of(doctor, result, tumour="1+")] == ["1+"]


def test_the_command_reads_values_and_has_help() -> None:
    assert to_json(command.value_of("all=120.5")) == to_json(pb.RegionEstimate(region="all", value=120.5))
    assert to_json(command.value_of("tumour=2+")) == to_json(pb.RegionEstimate(region="tumour", category="2+"))
    assert command.value_of("tumour=0").category == "0"
    answer = CliRunner().invoke(group, ["estimate", "x", "all:120"])
    assert "all=120" in str(answer.exception)
    assert "--reader" in CliRunner().invoke(group, ["estimates", "--help"]).output


def test_a_laboratory_asks_for_nothing_unless_it_says_so() -> None:
    site = Site(laboratories=(Laboratory(name="A", archives=()),), archives=(), destinations=(), routes=())
    assert not site.estimates_first("A")
    assert not site.estimates_first("B")
