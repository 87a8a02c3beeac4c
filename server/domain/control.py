"""Controls of a laboratory: what its rules ask, what it expects of a control, what a result's control came to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from inference.analyzers.analyzer import Analyzer
from inference.assay import Assay
from inference.cells.histograms import Histograms
from inference.control import Control, ControlStatus, CoreFound
from inference.control_kind import ControlKind, Place
from inference.errors import Reason
from inference.measures import ALL
from server.domain.choice import Preparation, same
from server.domain.errors import Refused
from server.domain.profile import ANY

KEY_PARTS = ("staining_run", "clone", "stainer")
"""What a range may be for beside marker and kind; what comes first counts more."""


class ControlWarning(StrEnum):
    """Words of a result's warnings that its control gives cause for."""

    CONTROL_FAILED = "CONTROL_FAILED"
    CONTROL_ABSENT = "CONTROL_ABSENT"
    CONTROL_DRIFT = "CONTROL_DRIFT"
    SCALE_BY_CONTROLS = "SCALE_BY_CONTROLS"  # of membranes: told by the slide's own cores, by no laboratory's slides


class AbsentControl(StrEnum):
    """What becomes of a case without a control."""

    FLAG = "flag"  # scored, with a warning
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRule:
    """Where control tissue is on slides of some `markers` (none named: of each that knows these kinds)."""

    place: Place
    markers: tuple[str, ...] = ()

    def is_of(self, assay: Assay) -> bool:
        if self.markers:
            return assay.marker in self.markers
        return set(self.place.kinds) <= {kind.name for kind in assay.analyzer.controls}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRules:
    """Of a laboratory. `expected`: a case without a control is warned of, or withheld as `absent` says.

    A control slide of the run counts for `slide_hours` after it was scored.
    """

    expected: bool = False
    absent: AbsentControl = AbsentControl.FLAG
    slide_hours: float = 24.0
    places: tuple[PlaceRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRange:
    """What a laboratory expects of a kind of control, of one staining run, clone and stainer or of any (ANY).

    `low`, `high` in the unit of `measure` (inclusive, None open), or one `category`. `target` and `deviation` draw the
    control chart, where they are known. The newest of a key counts; one that is `retired` stands for none.
    """

    id: int = 0
    lab: str
    marker: str
    kind: str
    measure: str
    low: float | None = None
    high: float | None = None
    category: str | None = None
    least_cells: int = 20
    target: float | None = None
    deviation: float | None = None
    staining_run: str = ANY
    clone: str = ANY
    stainer: str = ANY
    valid_from: date | None = None
    valid_until: date | None = None
    source: str = ""
    retired: bool = False
    created_by: str = ""
    created_at: datetime | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return self.marker, self.kind, self.staining_run, self.clone, self.stainer

    def expectation(self, analyzer: Analyzer) -> ControlKind:
        """Raises Refused CONTROL_INVALID where it fits no such assay, or no control could show it."""
        if self.kind not in {kind.name for kind in analyzer.controls}:
            known = ", ".join(kind.name for kind in analyzer.controls) or "none"
            raise Refused(Reason.CONTROL_INVALID, f"kind {self.kind!r} is none of this stain's controls: {known}")
        measure = next((m for m in analyzer.measures if m.code == self.measure), None)
        if measure is None:
            known = ", ".join(m.code for m in analyzer.measures)
            raise Refused(Reason.CONTROL_INVALID, f"measure {self.measure!r} is none of this stain's: {known}")
        return ControlKind(
            name=self.kind,
            measure=measure,
            low=self.low,
            high=self.high,
            category=self.category,
            least_cells=self.least_cells,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunControl:
    """The control slide of a case's staining run: its result, and what was found on it then."""

    result_id: str
    measured_at: datetime
    status: ControlStatus
    cores: tuple[CoreFound, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultControl:
    """A result's control. `own` was measured on its slide; `run` is what the control slide of its staining run showed.

    `withheld` (CONTROL_FAILED, CONTROL_ABSENT) says why there is no score, empty: there is one. `is_slide`: the result
    is of a control slide.
    """

    own: Control = field(default_factory=Control)
    run: RunControl | None = None
    withheld: str = ""
    detail: str = ""
    staining_run: str = ""
    clone: str = ""
    stainer: str = ""
    is_slide: bool = False

    @property
    def status(self) -> ControlStatus:
        """Of both together: one that failed fails it, one that passed is enough otherwise."""
        seen = {self.own.status, *([] if self.run is None else [self.run.status])}
        order = (ControlStatus.FAILED, ControlStatus.PASSED)
        return next((status for status in order if status in seen), ControlStatus.ABSENT)

    @property
    def cores(self) -> tuple[CoreFound, ...]:
        return (*self.own.cores, *(() if self.run is None else self.run.cores))


NO_CONTROL = ResultControl()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPoint:
    """A control as it was measured at some time: what a chart shows."""

    at: datetime
    result_id: str
    value: float
    n: int
    passed: bool
    staining_run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartKey:
    """Which controls belong to one chart."""

    marker: str
    kind: str
    measure: str
    clone: str = ""
    stainer: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CoreCells:
    """A core's verdict beside the histograms that any criteria judge it anew from."""

    found: CoreFound
    histograms: Histograms


def expected_of(
    kind: ControlKind, ranges: Sequence[ControlRange], assay: Assay, preparation: Preparation, run: str, today: date
) -> ControlKind:
    """What the laboratory expects of a kind, by its most specific range; without one, what ships.

    Raises Refused CONTROL_INVALID where that range isn't valid today: a control out of date judges nothing.
    """
    known = {"staining_run": run, "clone": preparation.clone, "stainer": preparation.stainer}
    fitting = [r for r in current(ranges) if r.marker == assay.marker and r.kind == kind.name and _fits(r, known)]
    if not fitting:
        return kind
    best = max(fitting, key=lambda r: ([getattr(r, part) != ANY for part in KEY_PARTS], r.id))
    if best.valid_until is not None and today > best.valid_until:
        raise Refused(
            Reason.CONTROL_INVALID,
            f"the range expected of control {kind.name} was valid until {best.valid_until}: set it anew",
        )
    if best.valid_from is not None and today < best.valid_from:
        raise Refused(
            Reason.CONTROL_INVALID, f"the range expected of control {kind.name} is valid from {best.valid_from} on"
        )
    return best.expectation(assay.analyzer)


def current(ranges: Sequence[ControlRange]) -> list[ControlRange]:
    """The newest of each key, but for those that are retired."""
    newest: dict[tuple[str, ...], ControlRange] = {}
    for one in sorted(ranges, key=lambda r: r.id):
        newest[one.key] = one
    return [one for one in newest.values() if not one.retired]


def kind_of(found: CoreFound, analyzer: Analyzer) -> ControlKind | None:
    """What was expected of a core; None where the assay no longer gives the measure."""
    measure = next((m for m in analyzer.measures if m.code == found.measure), None)
    if measure is None:
        return None
    category = found.category if measure.categorical else None
    return ControlKind(
        name=found.expected,
        measure=measure,
        region=found.region or ALL,
        low=found.low,
        high=found.high,
        category=category,
        least_cells=found.least_cells,
    )


def _fits(one: ControlRange, known: dict[str, str]) -> bool:
    return all(getattr(one, part) == ANY or same(getattr(one, part), value) for part, value in known.items())
