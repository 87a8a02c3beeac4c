"""What two profiles make of the same results, as messages. Pure."""

from collections.abc import Iterable

from chromogen.v1 import profile_service_pb2 as pb

from server.services.comparison import Change, Comparison, Difference, MeasureComparison


def comparison_message(found: Comparison) -> pb.ProfileComparison:
    measures = [_measure(row) for row in found.measures]
    return pb.ProfileComparison(result_id=found.result_id, cells=found.cells, measures=measures)


def difference_messages(found: Iterable[Difference]) -> list[pb.MeasureDifference]:
    """In their order."""
    return [
        pb.MeasureDifference(
            measure=apart.measure.code,
            display=apart.measure.display,
            results=apart.results,
            mean=apart.mean,
            largest=apart.largest,
        )
        for apart in found
    ]


def change_messages(found: Iterable[Change]) -> list[pb.CategoryChange]:
    """In their order."""
    return [
        pb.CategoryChange(
            measure=one.measure.code, display=one.measure.display, results=one.results, changed_ids=one.changed
        )
        for one in found
    ]


def _measure(row: MeasureComparison) -> pb.MeasureComparison:
    first, second = row.first, row.second
    return pb.MeasureComparison(
        measure=row.measure.code,
        display=row.measure.display,
        unit=row.measure.unit,
        first_value=None if first is None else first.value,
        second_value=None if second is None else second.value,
        first_category="" if first is None else first.category or "",
        second_category="" if second is None else second.category or "",
    )
