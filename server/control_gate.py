"""The step before a case is scored: its controls are measured, and one that failed withholds the score.

Control tissue lies where the laboratory's rules say, or where whoever scores has drawn it; the control slide of a
staining run was ordered before, as a slide of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import structlog

from inference.analyzers.outlined import needs_outlines
from inference.area import Area
from inference.assay import Assay
from inference.calibration.cores import scale_of_cores
from inference.cells.histograms import Histograms
from inference.control import Control, ControlStatus, Core, CoreFound, control_of, judged
from inference.control_kind import ControlKind
from inference.control_tissue import measured, placed
from inference.criteria import Criteria
from inference.errors import Reason
from inference.infer import Engine
from inference.slide import Slide
from server.domain.choice import Preparation
from server.domain.control import (
    AbsentControl,
    ChartKey,
    ControlPoint,
    ControlRange,
    ControlRules,
    ControlWarning,
    CoreCells,
    ResultControl,
    RunControl,
    current,
    expected_of,
    kind_of,
)
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Specimen
from server.domain.ports import ControlRecords
from server.domain.profile import Profile, built_in, by_controls
from server.domain.result import Result
from server.domain.westgard import Rule, chart_of

log = structlog.get_logger()

CHARTED = 60
"""Earlier controls that a new one is charted with."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Gate:
    """What the controls of a case came to: `control` stands in its result, `areas` aren't the case's tissue; `profile`
    is the one to score by, where they have told its scale.
    """

    control: ResultControl = field(default_factory=ResultControl)
    cores: tuple[CoreCells, ...] = ()
    areas: tuple[Area, ...] = ()
    warnings: tuple[str, ...] = ()
    profile: Profile | None = None

    @property
    def open(self) -> bool:
        return not self.control.withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of which case: its laboratory, marker, order's words, preparation; by which rules, on which day and time."""

    lab: str
    assay: Assay
    specimen: Specimen
    preparation: Preparation
    rules: ControlRules
    today: date
    now: datetime


def gate_of(slide: Slide, engine: Engine, profile: Profile, cores: Sequence[Core], assay: Assay) -> Gate:
    """By cores that are drawn, as of a command."""
    return _own(slide, engine, profile, cores, assay)


def gate_of_order(slide: Slide, engine: Engine, profile: Profile, asked: Asked, records: ControlRecords) -> Gate:
    """By the laboratory's rules, and what is kept of its controls.

    Raises Refused CONTROL_INVALID for rules that don't fit the slide, CONTROL_PENDING while the control slide of the
    run waits to be scored.
    """
    assay, specimen = asked.assay, asked.specimen
    found = placed(slide, [rule.place for rule in asked.rules.places if rule.is_of(assay)], assay.analyzer.controls)
    ranges = records.control_ranges(asked.lab, assay.marker)
    try:
        cores = [replace(core, kind=_expected(core.kind, ranges, asked)) for core in found.cores]
        gate = _own(slide, engine, profile, cores, assay)
    except _OutOfDate as why:
        gate = Gate(control=ResultControl(own=Control(detail=str(why))))
    run, why_none = (None, "") if specimen.is_control else _run_of(asked, records)
    control = replace(
        gate.control,
        run=run,
        staining_run=specimen.staining_run,
        clone=asked.preparation.clone,
        stainer=asked.preparation.stainer,
        is_slide=specimen.is_control,
    )
    control = _withheld(control, asked.rules, why_none)
    drift = tuple(dict.fromkeys(_drifts(control, asked, records, ranges)))
    return replace(gate, control=control, areas=found.areas, warnings=(*found.warnings, *_said(control, asked), *drift))


def of_control_slide(
    gate: Gate, histograms: Histograms, criteria: Criteria, asked: Asked, records: ControlRecords
) -> Gate:
    """Of a control slide on which no core was told apart: all its cells are one, of the kind that its order names."""
    if gate.cores or not asked.specimen.is_control:
        return gate
    assay = asked.assay
    ranges, cores = records.control_ranges(asked.lab, assay.marker), tuple[CoreCells, ...]()
    try:
        kind = _expected(_named_kind(asked), ranges, asked)
        core = CoreCells(judged(kind, histograms, assay.analyzer, assay.measures, criteria), histograms)
        own, cores = control_of([core.found], _displays(assay)), (core,)
    except _OutOfDate as why:
        own = Control(detail=str(why))
    control = replace(gate.control, own=own, detail=own.detail)
    drift = tuple(dict.fromkeys(_drifts(control, asked, records, ranges)))
    return Gate(control=control, cores=cores, areas=gate.areas, warnings=(*_said(control, asked), *drift))


def control_under(result: Result, criteria: Criteria) -> Gate:
    """A result's control under other criteria: its own cores are judged anew, that of its run stays what it was.

    Raises Refused CONTROL_INVALID where what was expected can't be said any more.
    """
    old, assay = result.control, result.assay
    if not result.cores:
        said = (ControlWarning.CONTROL_FAILED.value,) if old.status is ControlStatus.FAILED else ()
        return Gate(control=old, warnings=said)
    cores = tuple(_anew(core, criteria, assay) for core in result.cores)
    own = control_of([core.found for core in cores], _displays(assay))
    failed = own.status is ControlStatus.FAILED and not old.is_slide
    withheld = Reason.CONTROL_FAILED.value if failed else ""
    control = replace(old, own=own, withheld=withheld, detail=own.detail or old.detail)
    warnings = (ControlWarning.CONTROL_FAILED.value,) if control.status is ControlStatus.FAILED else ()
    return Gate(control=control, cores=cores, warnings=warnings)


def _anew(core: CoreCells, criteria: Criteria, assay: Assay) -> CoreCells:
    kind = kind_of(core.found, assay.analyzer)
    if kind is None:
        name = core.found.expected
        raise Refused(Reason.CONTROL_INVALID, f"control {name} was judged by what is no longer measured: order anew")
    return CoreCells(judged(kind, core.histograms, assay.analyzer, assay.measures, criteria), core.histograms)


class _OutOfDate(Exception):
    """What is expected of a control isn't valid today."""


def _own(slide: Slide, engine: Engine, profile: Profile, cores: Sequence[Core], assay: Assay) -> Gate:
    analyzer, outlines = assay.analyzer, needs_outlines(profile.criteria)
    cells = [measured(slide, engine, analyzer, core, outlines=outlines) for core in cores]
    kinds = [core.kind for core in cores]
    fitted = _by_cores(profile, assay, [(kind.category or "", c) for kind, c in zip(kinds, cells, strict=True)])
    criteria = (fitted or profile).criteria
    found = [
        CoreCells(judged(kind, histograms, analyzer, assay.measures, criteria), histograms)
        for kind, histograms in zip(kinds, cells, strict=True)
    ]
    own = control_of([core.found for core in found], _displays(assay))
    failed = own.status is ControlStatus.FAILED
    control = ResultControl(own=own, detail=own.detail, withheld=Reason.CONTROL_FAILED.value if failed else "")
    warnings = (ControlWarning.CONTROL_FAILED.value,) if failed else ()
    areas = tuple(core.area for core in cores)
    return Gate(control=control, cores=tuple(found), areas=areas, warnings=warnings, profile=fitted)


def profile_under(result: Result, profile: Profile) -> Profile:
    """By which a result is scored where a profile is asked for: the one that ships, at the scale its own cores show."""
    cores = [(core.found.category or "", core.histograms) for core in result.cores]
    return _by_cores(profile, result.assay, cores) or profile


def _by_cores(profile: Profile, assay: Assay, cores: Sequence[tuple[str, Histograms]]) -> Profile | None:
    """A laboratory's own profile was fitted to its slides: its cores judge it, and don't change it."""
    if profile.label != built_in(assay).label:
        return None
    criteria = scale_of_cores(profile.criteria, cores)
    return None if criteria is None else by_controls(profile, criteria)


def _expected(kind: ControlKind, ranges: Sequence[ControlRange], asked: Asked) -> ControlKind:
    try:
        return expected_of(kind, ranges, asked.assay, asked.preparation, asked.specimen.staining_run, asked.today)
    except Refused as error:
        raise _OutOfDate(error.message) from None


def _named_kind(asked: Asked) -> ControlKind:
    """Raises Refused CONTROL_INVALID."""
    kinds, name = asked.assay.analyzer.controls, asked.specimen.control_kind
    found = next((kind for kind in kinds if name in ("", kind.name)), None)
    if found is None:
        known = ", ".join(kind.name for kind in kinds) or "none"
        raise Refused(
            Reason.CONTROL_INVALID, f"the order names a kind of control that {asked.assay.marker} lacks: {known}"
        )
    return found


def _run_of(asked: Asked, records: ControlRecords) -> tuple[RunControl | None, str]:
    """The control slide of the case's run, or why there is none that counts."""
    run, marker = asked.specimen.staining_run, asked.assay.marker
    if not run:
        return None, ""
    found = records.run_control(asked.lab, marker, run)
    if found is None:
        if records.control_pending(asked.lab, marker, run):
            message = f"the control slide of the staining run for {marker} is not scored yet: the case waits for it"
            raise Refused(ServiceReason.CONTROL_PENDING, message)
        return None, f"no control slide of its staining run was scored for {marker}"
    if asked.now - found.measured_at > timedelta(hours=asked.rules.slide_hours):
        hours = f"{asked.rules.slide_hours:g}"
        return None, f"the control slide of its staining run is out of date: scored more than {hours} hours ago"
    if found.status is ControlStatus.ABSENT:
        return None, "the control slide of its staining run could not be judged"
    return found, ""


def _withheld(control: ResultControl, rules: ControlRules, why_no_run: str) -> ResultControl:
    """A control slide's own scores say how it was stained: they are kept, whatever it came to."""
    failed_run = control.run is not None and control.run.status is ControlStatus.FAILED
    run_detail = "the control slide of its staining run failed" if failed_run else why_no_run
    detail = "; ".join(filter(None, (control.own.detail, run_detail)))
    if control.is_slide:
        return replace(control, detail=control.own.detail, withheld="")
    if control.status is ControlStatus.FAILED:
        return replace(control, detail=detail, withheld=Reason.CONTROL_FAILED.value)
    if control.status is ControlStatus.PASSED:
        return replace(control, detail=why_no_run, withheld="")
    absent = detail or ("no control tissue was found on the slide" if rules.expected else "")
    withheld = rules.expected and rules.absent is AbsentControl.WITHHOLD
    return replace(control, detail=absent, withheld=ControlWarning.CONTROL_ABSENT.value if withheld else "")


def _said(control: ResultControl, asked: Asked) -> tuple[str, ...]:
    if control.status is ControlStatus.FAILED:
        return (ControlWarning.CONTROL_FAILED.value,)
    is_missed = asked.rules.expected or bool(control.detail)
    return (ControlWarning.CONTROL_ABSENT.value,) if control.status is ControlStatus.ABSENT and is_missed else ()


def _drifts(
    control: ResultControl, asked: Asked, records: ControlRecords, ranges: Sequence[ControlRange]
) -> Sequence[str]:
    """A warning where a core, charted with those before it, breaks a rule that calls for a look."""
    found = []
    for core in control.own.cores:
        if isinstance(core.value, int | float):
            key = chart_key(core, asked.assay.marker, control)
            before = records.control_points(asked.lab, key, CHARTED)
            new = ControlPoint(at=asked.now, result_id="", value=float(core.value), n=core.n, passed=core.passed)
            if alarms := drifted([*before, new], key, ranges):
                said = {"marker": key.marker, "kind": key.kind, "clone": key.clone, "stainer": key.stainer}
                log.warning("control_drift", rules=", ".join(alarms), **said)
                found.append(ControlWarning.CONTROL_DRIFT.value)
    return found


def chart_key(core: CoreFound, marker: str, control: ResultControl) -> ChartKey:
    return ChartKey(
        marker=marker, kind=core.expected, measure=core.measure, clone=control.clone, stainer=control.stainer
    )


def drifted(points: Sequence[ControlPoint], key: ChartKey, ranges: Sequence[ControlRange]) -> tuple[Rule, ...]:
    target, deviation = set_limits(key, ranges)
    return chart_of(points, target, deviation).alarms


def set_limits(key: ChartKey, ranges: Sequence[ControlRange]) -> tuple[float | None, float | None]:
    """Target and deviation that the laboratory has set for a chart, by the newest range that has both."""
    fitting = [
        r
        for r in current(ranges)
        if (r.marker, r.kind, r.measure) == (key.marker, key.kind, key.measure)
        and r.clone in ("*", key.clone)
        and r.stainer in ("*", key.stainer)
        and r.target is not None
        and r.deviation is not None
    ]
    best = max(fitting, key=lambda r: (r.clone != "*", r.stainer != "*", r.id), default=None)
    return (None, None) if best is None else (best.target, best.deviation)


def _displays(assay: Assay) -> dict[str, str]:
    return {measure.code: measure.display for measure in assay.analyzer.measures}
