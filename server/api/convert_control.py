"""Controls, their ranges and charts as messages and back. Pure."""

import math

from chromogen.v1 import control_service_pb2 as service_pb
from chromogen.v1 import result_pb2 as pb

from inference.assay import assay_of
from inference.control import Control, ControlStatus, CoreFound
from server.api import fields
from server.domain.control import ChartKey, ControlRange, ResultControl
from server.domain.profile import ANY
from server.domain.westgard import Charted
from server.services.controls import KeyedChart

STATUSES = {
    ControlStatus.PASSED: pb.CONTROL_STATUS_PASSED,
    ControlStatus.FAILED: pb.CONTROL_STATUS_FAILED,
    ControlStatus.ABSENT: pb.CONTROL_STATUS_ABSENT,
}


def control_message(control: ResultControl) -> pb.Control:
    return pb.Control(
        status=STATUSES[control.status],
        cores=[core_message(core) for core in control.cores],
        withheld=control.withheld,
        detail=control.detail,
        staining_run=control.staining_run,
        run_result_id="" if control.run is None else control.run.result_id,
        is_slide=control.is_slide,
    )


def found_message(control: Control) -> pb.Control:
    """Of tissue that was judged outside an order."""
    cores = [core_message(core) for core in control.cores]
    return pb.Control(status=STATUSES[control.status], cores=cores, detail=control.detail)


def core_message(core: CoreFound) -> pb.ControlCore:
    return pb.ControlCore(
        expected=core.expected,
        found=core.found,
        passed=core.passed,
        measure=core.measure,
        value=core.value if isinstance(core.value, int | float) else None,
        category=core.value if isinstance(core.value, str) else "",
        low=core.low,
        high=core.high,
        expected_category=core.category or "",
        n=core.n,
    )


def range_in(asked: service_pb.ControlRange, lab: str) -> ControlRange:
    """Raises Refused FIELD_MISSING, ARGUMENT_INVALID, ASSAY_UNSUPPORTED."""
    valid_from, valid_until = (fields.day(getattr(asked, n), f"range.{n}") for n in ("valid_from", "valid_until"))
    if valid_from is not None and valid_until is not None and valid_until < valid_from:
        fields.invalid("range.valid_until lies before range.valid_from")
    numbers = {name: _finite(asked, name) for name in ("low", "high", "target", "deviation")}
    if numbers["deviation"] is not None and numbers["deviation"] <= 0:
        fields.invalid("range.deviation must be above 0")
    if (numbers["target"] is None) is not (numbers["deviation"] is None):
        fields.invalid("range.target and range.deviation belong together: give both, or none")
    return ControlRange(
        lab=lab,
        marker=assay_of(fields.text(asked.marker, "range.marker", least=1), "range.marker").marker,
        kind=fields.text(asked.kind, "range.kind", least=1, most=20),
        measure=fields.text(asked.measure, "range.measure", least=1),
        category=fields.text(asked.category, "range.category") or None,
        least_cells=fields.number(asked.least_cells, "range.least_cells", 0, 100_000) or 20,
        staining_run=fields.text(asked.staining_run, "range.staining_run") or ANY,
        clone=fields.text(asked.clone, "range.clone") or ANY,
        stainer=fields.text(asked.stainer, "range.stainer") or ANY,
        valid_from=valid_from,
        valid_until=valid_until,
        source=fields.text(asked.source, "range.source", most=500),
        low=numbers["low"],
        high=numbers["high"],
        target=numbers["target"],
        deviation=numbers["deviation"],
    )


def _finite(asked: service_pb.ControlRange, name: str) -> float | None:
    if not asked.HasField(name):
        return None
    value: float = getattr(asked, name)
    if not math.isfinite(value):
        fields.invalid(f"range.{name} is no number")
    return value


def range_message(one: ControlRange) -> service_pb.ControlRange:
    return service_pb.ControlRange(
        id=one.id,
        marker=one.marker,
        kind=one.kind,
        staining_run=one.staining_run,
        clone=one.clone,
        stainer=one.stainer,
        measure=one.measure,
        low=one.low,
        high=one.high,
        category=one.category or "",
        least_cells=one.least_cells,
        target=one.target,
        deviation=one.deviation,
        valid_from="" if one.valid_from is None else one.valid_from.isoformat(),
        valid_until="" if one.valid_until is None else one.valid_until.isoformat(),
        source=one.source,
        retired=one.retired,
        created_by=one.created_by,
        create_time=fields.stamp(one.created_at),
    )


def key_in(asked: service_pb.ControlChartKey) -> ChartKey:
    return ChartKey(
        marker=assay_of(fields.text(asked.marker, "key.marker", least=1), "key.marker").marker,
        kind=fields.text(asked.kind, "key.kind", least=1, most=20),
        measure=fields.text(asked.measure, "key.measure", least=1),
        clone=fields.text(asked.clone, "key.clone"),
        stainer=fields.text(asked.stainer, "key.stainer"),
    )


def chart_message(found: KeyedChart, *, newest: bool = False) -> service_pb.ControlChart:
    """`newest`: of its points the last alone."""
    key, chart = found.key, found.chart
    points = [_point(charted) for charted in (chart.charted[-1:] if newest else chart.charted)]
    limits = chart.limits
    return service_pb.ControlChart(
        key=service_pb.ControlChartKey(
            marker=key.marker, kind=key.kind, measure=key.measure, clone=key.clone, stainer=key.stainer
        ),
        target=None if limits is None else limits.target,
        deviation=None if limits is None else limits.deviation,
        established=0 if limits is None else limits.established,
        points=points,
        alarms=list(chart.alarms),
    )


def _point(charted: Charted) -> service_pb.ControlPoint:
    point = charted.point
    return service_pb.ControlPoint(
        time=fields.stamp(point.at),
        result_id=point.result_id,
        value=point.value,
        n=point.n,
        passed=point.passed,
        staining_run=point.staining_run,
        deviations=charted.deviations,
        broken=list(charted.broken),
    )
