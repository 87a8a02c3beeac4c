"""What two profiles make of the same stored results, from their histograms, without inference. Pure."""

from collections.abc import Sequence

from chromogen.v1 import profile_service_pb2 as pb

from inference.assay import Assay
from inference.measures import PERCENT, Measure, Score, find
from server.domain.profile import Profile, check_kind
from server.domain.result import Result


def compared(result: Result, first: Profile, second: Profile) -> pb.ProfileComparison:
    """Of all cells together. Raises Refused PROFILE_INVALID where the result's assay isn't scored by such criteria."""
    assay = result.assay
    measures = measures_of(assay)
    tables = [_scored(result, measures, profile) for profile in (first, second)]
    rows = [_comparison(m, *(find(table, m) for table in tables)) for m in measures]
    return pb.ProfileComparison(result_id=result.id, cells=result.analysis.n, measures=rows)


def measures_of(assay: Assay) -> tuple[Measure, ...]:
    """The assay's first measure, and its percentages."""
    first, *others = assay.measures
    return (first, *(measure for measure in others if measure.unit == PERCENT))


def differences(rows: Sequence[pb.ProfileComparison]) -> list[pb.MeasureDifference]:
    """Second minus first, a measure at a time, over the results that have both."""
    apart: dict[str, list[float]] = {}
    named: dict[str, pb.MeasureComparison] = {}
    for measure in (measure for row in rows for measure in row.measures):
        if measure.HasField("first_value") and measure.HasField("second_value"):
            apart.setdefault(measure.measure, []).append(measure.second_value - measure.first_value)
            named.setdefault(measure.measure, measure)
    return [
        pb.MeasureDifference(
            measure=code,
            display=named[code].display,
            results=len(values),
            mean=sum(values) / len(values),
            largest=max(map(abs, values)),
        )
        for code, values in apart.items()
    ]


def _scored(result: Result, measures: tuple[Measure, ...], profile: Profile) -> tuple[Score, ...]:
    analyzer = result.assay.analyzer
    check_kind(profile, result.assay)
    return analyzer.scores(measures, analyzer.counts(result.analysis.histograms, profile.criteria), None)


def _comparison(measure: Measure, first: Score | None, second: Score | None) -> pb.MeasureComparison:
    return pb.MeasureComparison(
        measure=measure.code,
        display=measure.display,
        unit=measure.unit,
        first_value=None if first is None else first.value,
        second_value=None if second is None else second.value,
        first_category="" if first is None else first.category or "",
        second_category="" if second is None else second.category or "",
    )
