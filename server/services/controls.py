"""What callers do with controls: what is expected of them, and how they were over time."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.assay import assay_of
from server.control_gate import set_limits
from server.domain.access import Caller
from server.domain.control import ChartKey, ControlRange
from server.domain.repositories import ControlRepository
from server.domain.views import Page, PageKey
from server.domain.westgard import Chart, chart_of

NEWEST = 60
"""Controls of a chart, where nobody says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedChart:
    """A chart and which controls are in it."""

    key: ChartKey
    chart: Chart


class ControlService:
    """Raises what `ControlRepository` does."""

    def __init__(self, controls: ControlRepository) -> None:
        self._controls = controls

    def set(self, actor: Caller, wanted: ControlRange, request_id: str) -> ControlRange:
        """Raises Refused CONTROL_INVALID where no control of the stain could show it, REQUEST_ID_REUSED."""
        wanted.expectation(assay_of(wanted.marker).analyzer)
        return self._controls.set(actor, wanted, request_id)

    def retire(self, actor: Caller, number: int, reason: str, request_id: str) -> ControlRange:
        """Raises Refused CONTROL_RANGE_UNKNOWN where it doesn't count any more."""
        return self._controls.retire(actor, number, reason, request_id)

    def ranges(self, actor: Caller, marker: str, limit: int, after: PageKey, *, all_: bool) -> Page[ControlRange]:
        return self._controls.ranges(actor, marker, limit, after, all_=all_)

    def charts(self, actor: Caller, marker: str) -> Sequence[KeyedChart]:
        return [self.chart(actor, key, NEWEST) for key in self._controls.charts(actor, marker)]

    def chart(self, actor: Caller, key: ChartKey, limit: int) -> KeyedChart:
        target, deviation = set_limits(key, self._controls.all_ranges(actor, key.marker))
        return KeyedChart(key=key, chart=chart_of(self._controls.points(actor, key, limit), target, deviation))
