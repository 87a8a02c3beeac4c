"""The markers of one case side by side, and the proportion of ER to PR by compartment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.analyzers.nuclear import H_SCORE, PERCENT_POSITIVE
from server.domain.access import Caller
from server.domain.order import OrderId
from server.domain.repositories import ResultRepository
from server.domain.states import SIGNED, ResultState
from server.domain.views import CaseView, SummaryView

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
    chosen = by_marker(results.case(actor, order_id), order_id)
    return CaseMarkers(views=tuple(chosen[m].view for m in sorted(chosen)), ratios=tuple(_ratios(chosen)))


def by_marker(found: Sequence[CaseView], asked: OrderId) -> dict[str, CaseView]:
    """Of results, oldest first, the one of each marker that stands beside the order that is asked for.

    Its own, else one of its specimen, else another's; of these the last that is signed, else the last.
    """
    specimen = next((one.specimen for one in found if one.order_id == asked), "")
    chosen: dict[str, CaseView] = {}
    ranks: dict[str, tuple[int, bool]] = {}
    for one in found:
        marker, near = one.view.result.marker, 2 if one.order_id == asked else int(one.specimen == specimen)
        rank = (near, one.view.state in SIGNED)
        if one.view.state is not ResultState.REJECTED and rank >= ranks.get(marker, rank):
            chosen[marker], ranks[marker] = one, rank
    return chosen


def _ratios(chosen: dict[str, CaseView]) -> Iterator[Ratio]:
    """Of slides of one specimen: the scores of two tumours aren't compared."""
    for marker, by in PAIRS:
        if marker not in chosen or by not in chosen or chosen[marker].specimen != chosen[by].specimen:
            continue
        for measure in MEASURES:
            for region in (region.name for region in chosen[marker].view.result.assay.analyzer.regions):
                pair = [chosen[m].view.result.score(measure, region) for m in (marker, by)]
                above, below = (None if row is None else row.value for row in pair)
                if above is not None and below is not None:
                    value = above / below if below else None
                    yield Ratio(marker=marker, by=by, measure=measure.code, region=region, value=value)
