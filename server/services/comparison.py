"""What two profiles make of the same stored results, from their histograms, without inference. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.assay import Assay
from inference.measures import ALL, PERCENT, Measure, Score, find
from server.domain.profile import Profile, check_kind
from server.domain.result import Result, ResultId


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureComparison:
    """A measure's rows of all cells under each profile; None where it has none."""

    measure: Measure
    first: Score | None
    second: Score | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of one result, and how many cells it has."""

    result_id: ResultId
    cells: int
    measures: tuple[MeasureComparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Second minus first of one measure, in its unit, over the `results` that have both."""

    measure: Measure
    results: int
    mean: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Of the `results` that have a category of a measure under both, those (`changed`) whose is another."""

    measure: Measure
    results: int
    changed: tuple[ResultId, ...]


def compared(result: Result, first: Profile, second: Profile) -> Comparison:
    """Of all cells together, but for what is of one region alone.

    Raises Refused PROFILE_INVALID where the result's assay isn't scored by such criteria.
    """
    measures = measures_of(result.assay)
    under = [_scored(result, measures, profile) for profile in (first, second)]
    where = [m.regions[0] if m.regions else ALL for m in measures]
    rows = tuple(
        MeasureComparison(measure=m, first=find(under[0], m, region), second=find(under[1], m, region))
        for m, region in zip(measures, where, strict=True)
    )
    return Comparison(result_id=result.id, cells=result.analysis.n, measures=rows)


def measures_of(assay: Assay) -> tuple[Measure, ...]:
    """The assay's first measure, its percentages, and its categories."""
    first, *others = assay.measures
    return (first, *(measure for measure in others if measure.unit == PERCENT or measure.categorical))


def differences(comparisons: Sequence[Comparison]) -> list[Difference]:
    """A measure at a time, in the order of the comparisons; none of one that no result has under both."""
    apart: dict[str, list[float]] = {}
    named: dict[str, Measure] = {}
    for row in (row for comparison in comparisons for row in comparison.measures):
        first, second = _value(row.first), _value(row.second)
        if first is not None and second is not None:
            apart.setdefault(row.measure.code, []).append(second - first)
            named.setdefault(row.measure.code, row.measure)
    return [_difference(named[code], values) for code, values in apart.items()]


def changes(comparisons: Sequence[Comparison]) -> list[Change]:
    """A measure with categories at a time, in the order of the comparisons."""
    seen: dict[str, list[tuple[ResultId, bool]]] = {}
    named: dict[str, Measure] = {}
    for comparison in comparisons:
        for row in (row for row in comparison.measures if row.measure.categorical):
            first, second = (None if s is None else s.category for s in (row.first, row.second))
            if first is not None and second is not None:
                seen.setdefault(row.measure.code, []).append((comparison.result_id, first != second))
                named.setdefault(row.measure.code, row.measure)
    return [
        Change(measure=named[code], results=len(of), changed=tuple(name for name, other in of if other))
        for code, of in seen.items()
    ]


def _value(row: Score | None) -> float | None:
    return None if row is None else row.value


def _difference(measure: Measure, values: Sequence[float]) -> Difference:
    mean, largest = sum(values) / len(values), max(map(abs, values))
    return Difference(measure=measure, results=len(values), mean=mean, largest=largest)


def _scored(result: Result, measures: tuple[Measure, ...], profile: Profile) -> tuple[Score, ...]:
    analyzer = result.assay.analyzer
    check_kind(profile, result.assay)
    return analyzer.scores(measures, analyzer.counts(result.analysis.histograms, profile.criteria), None)
