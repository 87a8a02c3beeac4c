"""A pathologist's work list: orders with the result that matters, and what was said beside. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domain.order import Priority
from server.domain.ports import OrderView
from server.domain.result import ResultId
from server.domain.states import SIGNED, OrderState, ResultState
from server.domain.views import SummaryView


class WorkState(StrEnum):
    """Where a case stands for a pathologist."""

    WAITING = "waiting"  # for a worker, or at one
    TO_SIGN = "to_sign"
    SIGNED = "signed"
    REJECTED = "rejected"
    FAILED = "failed"  # no result: reason kept


ORDER_STATES = {
    WorkState.WAITING: (OrderState.QUEUED, OrderState.RUNNING),
    WorkState.FAILED: (OrderState.REFUSED, OrderState.DEAD, OrderState.CANCELLED),
}
RESULT_STATES = {
    WorkState.TO_SIGN: (ResultState.PRELIMINARY,),
    WorkState.SIGNED: tuple(sorted(SIGNED)),
    WorkState.REJECTED: (ResultState.REJECTED, ResultState.SUPERSEDED),
}
"""Of the orders that are DONE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFilter:
    """Joined by AND; None and empty mean any.

    `text` is looked for in the order's number, slide, specimen and, for who sees patients, the patient's identifier and
    family name; `of` is a subject: cases that they signed, rejected, changed or commented on.
    """

    state: WorkState | None = None
    marker: str = ""
    priority: Priority | None = None
    text: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """An order, and of its results the signed one, else the newest that isn't rejected; None where it has none."""

    order: OrderView
    result: SummaryView | None

    @property
    def state(self) -> WorkState:
        for state, states in ORDER_STATES.items():
            if self.order.state in states:
                return state
        said = ResultState.PRELIMINARY if self.result is None else self.result.state
        return next(state for state, states in RESULT_STATES.items() if said in states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody said beside a result."""

    result_id: ResultId
    by: str
    at: datetime
    text: str
