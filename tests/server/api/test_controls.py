"""ControlService on the real store: ranges, charts, and what a stored control makes of scoring anew."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from chromogen.v1 import admin_service_pb2, plot_pb2, profile_pb2, profile_service_pb2, result_pb2, result_service_pb2
from chromogen.v1 import control_service_pb2 as pb

from inference.analyzers.nuclear import CONTROLS
from inference.assay import assay_of
from inference.cells.histograms import histograms_of
from inference.control import Control, control_of, judged
from inference.grade import HueValueThresholds
from server.domain.control import CoreCells, ResultControl
from server.domain.order import OrderId
from server.domain.result import Result, ResultId
from tests.inference.test_control import nuclei
from tests.made import made_result
from tests.server.api.harness import Api, Caller, hue_value, told

pytestmark = pytest.mark.postgres
ER = assay_of("ER")
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
KEY = {"marker": "ER", "kind": "positive", "measure": "PERCENT_POSITIVE", "clone": "SP1", "stainer": "S-1"}


def set_range(caller: Caller, request_id: str | None = None, **said: Any) -> pb.ControlRange:
    given = {"marker": "Estrogen receptor", "kind": "positive", "measure": "HSCORE", "low": 100.0, "high": 200.0} | said
    request = pb.SetControlRangeRequest(request_id=request_id or str(uuid.uuid4()), range=pb.ControlRange(**given))
    found: pb.ControlRange = caller.controls.SetControlRange(request).range
    return found


def listed(caller: Caller, **said: Any) -> list[int]:
    return [r.id for r in caller.controls.ListControlRanges(pb.ListControlRangesRequest(**said)).ranges]


def controlled(api: Api, lab: str, stained: int, at: datetime = BEGAN, **said: Any) -> Result:
    """A finished order whose slide held a positive control with so many stained nuclei of 100."""
    order_id = api.caller("lis", lab=lab).order().id
    claim = api.service.store.claim(OrderId(order_id), 60)
    assert claim is not None
    criteria, histograms = (
        HueValueThresholds(hue=130, left=60, right=105),
        histograms_of(nuclei(stained, 100 - stained), ER.analyzer.histograms),
    )
    core = CoreCells(judged(CONTROLS[0], histograms, ER.analyzer, ER.measures, criteria), histograms)
    own: Control = control_of([core.found])
    given = {"clone": "SP1", "stainer": "S-1"} | said
    control = ResultControl(own=own, detail=own.detail, **given)
    made = made_result(api.folder, n=50)
    ids = {"id": ResultId(str(uuid.uuid4())), "order_id": OrderId(order_id), "created_at": at}
    made = replace(made, control=control, cores=(core,), **ids)  # type: ignore[arg-type]
    api.service.store.finish(claim, made, [])
    return made


def test_the_newest_range_of_a_key_counts_until_it_is_retired(api: Api, lab: str) -> None:
    caller = api.caller("lab-admin", lab=lab)
    first, other = set_range(caller), set_range(caller, clone="SP1")
    assert (first.marker, first.low, first.created_by) == ("ER", 100, "tester")
    second = set_range(caller, low=120.0)
    assert listed(caller) == [second.id, other.id]
    assert listed(caller, all=True) == [second.id, other.id, first.id]
    taken = pb.RetireControlRangeRequest(request_id=str(uuid.uuid4()), id=second.id, reason="lot used up")
    retired = caller.controls.RetireControlRange(taken).range
    assert (retired.retired, retired.source) == (True, "lot used up")
    assert caller.controls.RetireControlRange(taken).range == retired  # a repeat
    assert listed(caller, marker="ER") == [other.id]
    gone = told(lambda: caller.controls.RetireControlRange(replace_id(taken)))
    assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "CONTROL_RANGE_UNKNOWN")
    entries = api.caller("auditor", lab=lab).admin.QueryAudit(admin_service_pb2.QueryAuditRequest()).entries
    done = [(e.subject, e.action) for e in entries if e.action.startswith("control.")]
    assert done == [("tester", "control.retire"), *[("tester", "control.set")] * 3]


def replace_id(request: pb.RetireControlRangeRequest) -> pb.RetireControlRangeRequest:
    return pb.RetireControlRangeRequest(request_id=str(uuid.uuid4()), id=request.id, reason=request.reason)


def test_a_repeated_request_sets_one_range_and_another_under_its_id_is_refused(api: Api, lab: str) -> None:
    caller, request_id = api.caller("lab-admin", lab=lab), str(uuid.uuid4())
    assert set_range(caller, request_id) == set_range(caller, request_id)
    reused = told(lambda: set_range(caller, request_id, low=1.0))
    assert (reused.code, reused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert len(listed(caller)) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"marker": ""}, "FIELD_MISSING"),
        ({"marker": "CD3"}, "ASSAY_UNSUPPORTED"),
        ({"kind": "3+"}, "CONTROL_INVALID"),
        ({"measure": "COUNT"}, "CONTROL_INVALID"),
        ({"low": 300.0}, "CONTROL_INVALID"),
        ({"low": float("nan")}, "ARGUMENT_INVALID"),
        ({"category": "3+"}, "CONTROL_INVALID"),
        ({"deviation": -1.0, "target": 9.0}, "ARGUMENT_INVALID"),
        ({"target": 9.0}, "ARGUMENT_INVALID"),
        ({"valid_from": "2026-02-01", "valid_until": "2026-01-01"}, "ARGUMENT_INVALID"),
        ({"least_cells": -1}, "ARGUMENT_INVALID"),
    ],
)
def test_a_range_that_no_control_could_be_judged_by_is_refused(
    api: Api, lab: str, said: dict[str, Any], reason: str
) -> None:
    caller = api.caller("lab-admin", lab=lab)
    refused = told(lambda: set_range(caller, **said))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert listed(caller) == []


def chart(caller: Caller, **said: Any) -> pb.GetControlChartResponse:
    request = pb.GetControlChartRequest(key=pb.ControlChartKey(**KEY), **said)
    answer: pb.GetControlChartResponse = caller.controls.GetControlChart(request)
    return answer


def test_a_chart_holds_the_controls_of_its_stainer_and_clone_and_raises_the_alarm(api: Api, lab: str) -> None:
    caller = api.caller("lab-admin", lab=lab)
    set_range(caller, measure="PERCENT_POSITIVE", clone="SP1", low=10.0, high=100.0, target=80.0, deviation=2.0)
    for day, stained in enumerate([80, 81, 79, 90]):
        controlled(api, lab, stained, BEGAN + timedelta(days=day))
    controlled(api, lab, 20, clone="6F11")
    found = chart(caller).chart
    assert [point.value for point in found.points] == [80, 81, 79, 90]
    assert (found.target, found.deviation, found.established) == (80, 2, 0)
    assert (list(found.points[-1].broken), list(found.alarms)) == (["1-2s", "1-3s"], ["1-3s"])
    assert [point.value for point in chart(caller, limit=2).chart.points] == [79, 90]
    both = caller.controls.ListControlCharts(pb.ListControlChartsRequest(marker="ER")).charts
    assert [(c.key.clone, list(c.alarms)) for c in both] == [("6F11", []), ("SP1", ["1-3s"])]
    assert (
        list(api.caller("lab-admin", lab=f"{lab}-2").controls.ListControlCharts(pb.ListControlChartsRequest()).charts)
        == []
    )


def test_a_chart_comes_as_a_picture_too(api: Api, lab: str) -> None:
    caller = api.caller("pathologist", lab=lab)
    controlled(api, lab, 80)
    assert chart(caller).picture == b""
    assert chart(caller, picture=plot_pb2.PLOT_FORMAT_PNG).picture.startswith(b"\x89PNG")
    assert b"<svg" in chart(caller, picture=plot_pb2.PLOT_FORMAT_SVG).picture[:2000]
    wrong = told(lambda: chart(caller, picture=9))
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ARGUMENT_INVALID")


def test_scored_anew_under_criteria_by_which_its_control_fails_the_score_is_withheld(api: Api, lab: str) -> None:
    result = controlled(api, lab, 50)
    admin, caller = api.caller("lab-admin", lab=lab), api.caller("pathologist", lab=lab)
    for name, hue in (("blind", 10), ("seeing", 110)):  # the control's stained nuclei have hue 20
        profile = profile_pb2.Profile(name=name, criteria=hue_value(hue))
        request_id = str(uuid.uuid4())
        admin.profiles.CreateProfile(profile_service_pb2.CreateProfileRequest(request_id=request_id, profile=profile))

    def rescored(name: str) -> result_pb2.Result:
        asked = result_service_pb2.RescoreResultRequest(
            request_id=str(uuid.uuid4()),
            result_id=result.id,
            profile=profile_service_pb2.ProfileRevision(name=name, revision=1),
        )
        found: result_pb2.Result = caller.results.RescoreResult(asked).result
        return found

    kept, withheld = rescored("seeing"), rescored("blind")
    assert (kept.control.status, bool(kept.scores)) == (result_pb2.CONTROL_STATUS_PASSED, True)
    assert (withheld.control.withheld, list(withheld.scores)) == ("CONTROL_FAILED", [])
    assert withheld.control.cores[0].found == "negative"
    assert "CONTROL_FAILED" in withheld.warnings
    signed = told(lambda: caller.results.SignResult(result_service_pb2.SignResultRequest(result_id=withheld.id)))
    assert signed.reason == "RESULT_STATE"
