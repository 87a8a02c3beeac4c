"""Pathologists' own estimates: entered before the score is shown where the laboratory wants that, kept, compared."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason
from server.domain.estimate import (
    Compared,
    Estimate,
    EstimateFilter,
    Given,
    ReaderAgreement,
    agreements,
    asked_regions,
    check_estimate,
    counted,
)
from server.domain.repositories import EstimateRepository, ResultRepository
from server.domain.result import ResultId
from server.domain.states import ResultState
from server.domain.views import SummaryView

MOST_COMPARED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The estimates that count, oldest first, and how they agree with the scores; `more`: not all were compared.

    `told` are those that the caller may be told one by one: of scores that they have still to estimate, none.
    """

    compared: Sequence[Compared]
    told: Sequence[Compared]
    agreements: Sequence[ReaderAgreement]
    more: bool


class EstimateService:
    """`first` says of a laboratory whether its pathologists estimate before they see.

    Raises what the repositories do.
    """

    def __init__(self, estimates: EstimateRepository, results: ResultRepository, first: Callable[[str], bool]) -> None:
        self._estimates, self._results, self._first = estimates, results, first

    def keep(self, actor: Caller, result_id: ResultId, given: Mapping[str, Given]) -> Sequence[Estimate]:
        """All of the order, with the new ones. Raises Refused FIELD_MISSING, ARGUMENT_INVALID, RESULT_STATE."""
        view = self._results.get(actor, result_id)
        measure, values = check_estimate(view.result, given)
        if view.state is ResultState.REJECTED:
            raise Refused(ServiceReason.RESULT_STATE, "the result is rejected: estimate one that isn't")
        return self._estimates.keep(actor, result_id, measure, values, first=self._first(view.lab))

    def of(self, actor: Caller, result_id: ResultId) -> Sequence[Estimate]:
        """Those of a result's order, oldest first."""
        return self._estimates.of(actor, result_id)

    def hidden(self, actor: Caller, views: Iterable[SummaryView]) -> frozenset[ResultId]:
        """Results whose score the actor has to estimate before it is shown."""
        asked = [view.result.id for view in views if self._asked(actor, view) and asked_regions(view.result)]
        return frozenset(asked) - self._estimates.known(actor, asked) if asked else frozenset()

    def check_shown(self, actor: Caller, result_id: ResultId) -> None:
        """Raises Refused ESTIMATE_MISSING where the score is hidden from the actor."""
        if self._blind(actor) and self.hidden(actor, [self._results.get(actor, result_id)]):
            raise Refused(ServiceReason.ESTIMATE_MISSING, "the laboratory asks for your own estimate before the score")

    def note_shown(self, actor: Caller, views: Sequence[SummaryView]) -> None:
        """That the actor was told scores, signed ones too, where that matters: an estimate may follow."""
        if views and self._blind(actor):
            self._estimates.note_shown(actor, [view.result.id for view in views])

    def compare(self, actor: Caller, wanted: EstimateFilter) -> Comparison:
        """Of the newest. That the actor was told scores is noted: an estimate that follows wasn't made before."""
        found = self._estimates.compared(actor, wanted, MOST_COMPARED + 1)
        those = counted(found[-MOST_COMPARED:])
        told = [one for one in those if one.estimate.by == actor.subject] if self._blind(actor) else those
        if told and self._blind(actor):
            self._estimates.note_shown(actor, [one.estimate.result_id for one in told])
        more = len(found) > MOST_COMPARED
        return Comparison(compared=those, told=told, agreements=agreements(those), more=more)

    def _asked(self, actor: Caller, view: SummaryView) -> bool:
        return self._blind(actor) and view.state is ResultState.PRELIMINARY

    def _blind(self, actor: Caller) -> bool:
        return Role.PATHOLOGIST in actor.roles and self._first(actor.lab)
