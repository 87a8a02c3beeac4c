"""The markers of one case side by side, and the proportion of ER to PR by compartment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.analyzers.nuclear import H_SCORE, PERCENT_POSITIVE
from server.domain.access import Caller
from server.domain.order import OrderId
from server.domain.repositories import ResultRepository
from server.domain.states import SIGNED, ResultState
from server.domain.views import SummaryView

PAIRS = (("ER", "PR"),)
MEASURES = (H_SCORE, PERCENT_POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A marker's score by another's; `value` is None where the other's is 0."""

    marker: str
    by: str
    measure: str
    region: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMarkers:
    """`views` has one result of each marker, by marker."""

    views: tuple[SummaryView, ...]
    ratios: tuple[Ratio, ...]


def case_markers(results: ResultRepository, actor: Caller, order_id: OrderId) -> CaseMarkers:
    """Raises Refused ORDER_UNKNOWN."""
    chosen = by_marker(results.case(actor, order_id))
    return CaseMarkers(views=tuple(chosen[m] for m in sorted(chosen)), ratios=tuple(_ratios(chosen)))


def by_marker(views: Sequence[SummaryView]) -> dict[str, SummaryView]:
    """Of results, oldest first, the one that counts of each marker: the last that is signed, else the last."""
    chosen: dict[str, SummaryView] = {}
    for view in views:
        known = chosen.get(view.result.marker)
        if view.state is ResultState.REJECTED or (known and known.state in SIGNED and view.state not in SIGNED):
            continue
        chosen[view.result.marker] = view
    return chosen


def _ratios(chosen: dict[str, SummaryView]) -> Iterator[Ratio]:
    for marker, by in PAIRS:
        if marker not in chosen or by not in chosen:
            continue
        for measure in MEASURES:
            for region in (region.name for region in chosen[marker].result.assay.analyzer.regions):
                pair = [chosen[m].result.score(measure, region) for m in (marker, by)]
                above, below = (None if row is None else row.value for row in pair)
                if above is not None and below is not None:
                    value = above / below if below else None
                    yield Ratio(marker=marker, by=by, measure=measure.code, region=region, value=value)
