"""Control tissue: measured before the case; one core that isn't what it should be fails it, and there is no score.

A core is an area and what must be found in it. What is found is the assay's own rows of the core's cells, so that one
gate serves every kind of assay. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from inference.analyzers.analyzer import Analyzer
from inference.area import Area
from inference.cells.histograms import Histograms, histograms_of
from inference.cells.values import Cells
from inference.control_kind import ControlKind
from inference.criteria import Criteria
from inference.errors import Reason, Refused
from inference.measures import ALL, NONE, Measure, Score, find, value_text


class ControlStatus(StrEnum):
    """ABSENT: there was no control to be measured."""

    PASSED = "passed"
    FAILED = "failed"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """Control tissue on a slide: where it lies, what must be found there."""

    area: Area
    kind: ControlKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreFound:
    """What was found in a core: `expected` and `found` are names of kinds, `found` NONE where there are too few cells,
    `value` (a number in the measure's unit, or a category as text) of `measure`, that of `n` cells.

    `low`, `high`, `category`, `region`, `least_cells`: what was expected, as `ControlKind` has it.
    """

    expected: str
    found: str
    passed: bool
    measure: str
    n: int
    value: float | str | None = None
    low: float | None = None
    high: float | None = None
    category: str | None = None
    region: str = ALL
    least_cells: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What is known of a slide's control. `detail` tells a person why it failed or is absent."""

    status: ControlStatus = ControlStatus.ABSENT
    cores: tuple[CoreFound, ...] = ()
    detail: str = ""


ABSENT = Control()


def cores_of(areas: Sequence[Area], kinds: Sequence[ControlKind]) -> list[Core]:
    """Areas by their class; see `classes`. Raises KeyError for another class."""
    by_class = {kind.class_name: kind for kind in kinds}
    return [Core(area=area, kind=by_class[area.name]) for area in areas]


def classes(kinds: Sequence[ControlKind]) -> tuple[str, ...]:
    """Those that annotations of an assay's controls may have."""
    return tuple(kind.class_name for kind in kinds)


def kind_named(name: str, kinds: Sequence[ControlKind]) -> ControlKind:
    """Raises Refused CONTROL_INVALID for one that isn't among an assay's."""
    for kind in kinds:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in kinds) or "none"
    raise Refused(Reason.CONTROL_INVALID, f"control tissue is named {name!r}; this stain knows {known}")


def core_found(
    kind: ControlKind, cells: Cells, analyzer: Analyzer, measures: Sequence[Measure], criteria: Criteria
) -> CoreFound:
    """Judge the cells of one core."""
    return judged(kind, histograms_of(cells, analyzer.histograms), analyzer, measures, criteria)


def judged(
    kind: ControlKind, histograms: Histograms, analyzer: Analyzer, measures: Sequence[Measure], criteria: Criteria
) -> CoreFound:
    """The same from the histograms of a core's cells."""
    wanted = list(dict.fromkeys([kind.measure, *(other.measure for other in analyzer.controls), *measures]))
    rows = analyzer.scores(wanted, analyzer.counts(histograms, criteria), None)
    row = find(rows, kind.measure, kind.region)
    return CoreFound(
        expected=kind.name,
        found=_named(rows, kind, analyzer.controls),
        passed=kind.accepts(row),
        measure=kind.measure.code,
        n=0 if row is None else row.n,
        value=None if row is None else (row.category if row.category is not None else row.value),
        low=kind.low,
        high=kind.high,
        category=kind.category,
        region=kind.region,
        least_cells=kind.least_cells,
    )


def _named(rows: Sequence[Score], expected: ControlKind, kinds: Sequence[ControlKind]) -> str:
    """By the kinds that ship: what a laboratory expects may be narrower than what the tissue is."""
    row = find(rows, expected.measure, expected.region)
    if row is None or row.absent or row.n < expected.least_cells:
        return NONE
    named = (kind.name for kind in kinds if kind.accepts(find(rows, kind.measure, kind.region)))
    return next(named, value_text(row))


def control_of(found: Sequence[CoreFound], displays: Mapping[str, str] | None = None) -> Control:
    """Passed where every core is; absent where there are none. `displays` names measures for a person."""
    if not found:
        return ABSENT
    failed = [core for core in found if not core.passed]
    status = ControlStatus.FAILED if failed else ControlStatus.PASSED
    return Control(status=status, cores=tuple(found), detail="; ".join(_why(core, displays or {}) for core in failed))


def _why(core: CoreFound, displays: Mapping[str, str]) -> str:
    measure = displays.get(core.measure, core.measure)
    value = core.value if isinstance(core.value, str) else NONE if core.value is None else f"{core.value:.1f}"
    wanted = {(False, True): f", not {_g(core.low)} or more", (True, False): f", not {_g(core.high)} or less"}
    range_ = wanted.get((core.low is None, core.high is None), f", not {_g(core.low)} to {_g(core.high)}")
    bounded = "" if core.low is None and core.high is None else range_
    few = ", too few to judge" if core.found == NONE else ""
    return (
        f"the control expected {core.expected} was found {core.found}: {measure} {value}{bounded}, {core.n} cells{few}"
    )


def _g(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
