"""What callers ask for and get back: filters, pages, views of what is kept, and the etags that tell
whether it changed.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar

from inference.criteria import Criteria
from server.domain.errors import Refused, ServiceReason
from server.domain.order import OrderId, Priority
from server.domain.ports import OrderView
from server.domain.profile import Profile
from server.domain.result import Result, ResultId, ResultSummary
from server.domain.states import DeliveryState, OrderState, ProfileState, ResultState

Item = TypeVar("Item")
PageKey = tuple[str, ...]
"""Where a page ended: values of the sort's columns as text; empty at the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some items of a list, and where the next page begins (None on the last)."""

    items: tuple[Item, ...]
    next: PageKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Joined by AND; None and empty mean any. Times: from inclusive, until exclusive."""

    states: tuple[OrderState, ...] = ()
    marker: str = ""
    container_id: str = ""
    placer_order_number: str = ""
    priority: Priority | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None


def etag_of(*parts: object) -> str:
    """A short digest that changes when a part does."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:16]


def order_etag(view: OrderView) -> str:
    return etag_of(view.order.id, view.state, view.attempt, view.progress, view.updated_at.isoformat())


def check_etag(given: str, now: str) -> None:
    """An empty etag fits. Raises Refused ETAG_MISMATCH."""
    if given and given != now:
        raise Refused(ServiceReason.ETAG_MISMATCH, "it has changed since its etag was read: read it again, then decide")


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryView:
    """A result of a list, its laboratory, what was said of it last.

    `signed_by` empty and `signed_at` None while PRELIMINARY.
    """

    result: ResultSummary
    lab: str
    state: ResultState
    signed_by: str = ""
    signed_at: datetime | None = None
    reason: str = ""

    @property
    def etag(self) -> str:
        return etag_of(self.result.id, self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """A result of a case: of which order, and of which specimen as that says it (empty: it doesn't)."""

    view: SummaryView
    order_id: OrderId
    specimen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView(SummaryView):
    """The result whole."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to be said of a result."""

    result_id: ResultId
    state: ResultState
    reason: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFilter:
    """Joined by AND; None and empty mean any."""

    order_id: OrderId | None = None
    state: ResultState | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    marker: str = ""
    first_only: bool = False
    """Not those that were scored from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortFilter:
    """Orders of a marker by when they were received, and by the profile that counts now; empty and None mean any."""

    marker: str
    received_from: datetime | None = None
    received_until: datetime | None = None
    profile: str = ""
    container_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideName:
    """A slide by its series UID or its container's identifier, exactly one of them given."""

    series_uid: str = ""
    container_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """A revision, valid as its activation says, and its state; `created_at` None for the profile that ships.

    `said_by` put it into that state at `said_at`, for a `reason`.
    """

    profile: Profile
    state: ProfileState
    created_at: datetime | None = None
    etag: str = ""
    said_by: str = ""
    said_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """Something to be said of a revision; dates are valid in place of its own while it is ACTIVE."""

    state: ProfileState
    reason: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFilter:
    """Joined by AND; None and empty mean any."""

    marker: str = ""
    state: ProfileState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a new revision of a profile says anew; its key is the latest revision's."""

    criteria: Criteria
    source: str = ""
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A row of the outbox, without its file."""

    id: int
    lab: str
    result_id: str
    destination: str
    kind: str
    message_id: str
    state: DeliveryState
    attempts: int
    reason: str
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Joined by AND; None and empty mean any."""

    state: DeliveryState | None = None
    destination: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabView:
    """A laboratory and how much it has here."""

    name: str
    orders: int
    open_orders: int
    results: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationView:
    """Where deliveries go, and what waits."""

    name: str
    waiting: int = 0
    dead: int = 0
    oldest_waiting_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit."""

    id: int
    at: datetime
    lab: str
    subject: str
    action: str
    object: str
    outcome: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Joined by AND; None and empty mean any."""

    subject: str = ""
    object: str = ""
    created_from: datetime | None = None
    created_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """`first_broken` is 0 where the chain holds."""

    entries: int
    first_broken: int
