"""What the API asks of the service: one Protocol a service, and the values that go through them.

Every call names its Actor; an implementation shows an actor nothing of another laboratory (it is as if it were not there),
and keeps nothing when the actor has gone meanwhile (Failed CANCELLED).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from inference.grade import Thresholds
from inference.nuclei import Nuclei
from server.domain.access import Actor
from server.domain.errors import Refused, ServiceReason
from server.domain.order import OrderId, Priority, Request
from server.domain.ports import OrderView
from server.domain.profile import Profile
from server.domain.result import Result, ResultId, ResultSummary
from server.domain.states import State

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

    states: tuple[State, ...] = ()
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


class OrderDesk(Protocol):
    """Orders. Raises Refused ORDER_UNKNOWN for what isn't the actor's laboratory's."""

    def create(self, actor: Actor, request: Request) -> tuple[OrderView, bool]:
        """The order and whether it is new. Raises Refused REQUEST_ID_REUSED for another order under the same message id."""
        ...

    def get(self, actor: Actor, order_id: OrderId, *, patient: bool = False) -> OrderView:
        """`patient`: the patient will be shown, which is noted in the audit."""
        ...

    def list(self, actor: Actor, wanted: OrderFilter, limit: int, after: PageKey) -> Page[OrderView]:
        """Newest first."""
        ...

    def cancel(self, actor: Actor, order_id: OrderId, etag: str) -> OrderView:
        """Raises Refused ORDER_STATE, ETAG_MISMATCH (an empty etag fits)."""
        ...

    def retry(self, actor: Actor, order_id: OrderId, etag: str) -> OrderView:
        """QUEUED again, with all its attempts. Raises Refused ORDER_STATE, ETAG_MISMATCH."""
        ...


class ResultState(StrEnum):
    """What a pathologist has said of a result."""

    PRELIMINARY = "PRELIMINARY"
    FINAL = "FINAL"
    REJECTED = "REJECTED"
    CORRECTED = "CORRECTED"
    SUPERSEDED = "SUPERSEDED"


SIGNED = frozenset({ResultState.FINAL, ResultState.CORRECTED})
RESULT_TRANSITIONS: dict[ResultState, frozenset[ResultState]] = {
    ResultState.PRELIMINARY: frozenset({ResultState.FINAL, ResultState.REJECTED, ResultState.CORRECTED}),
    ResultState.FINAL: frozenset({ResultState.SUPERSEDED}),
    ResultState.CORRECTED: frozenset({ResultState.SUPERSEDED}),
    ResultState.REJECTED: frozenset(),
    ResultState.SUPERSEDED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryView:
    """A result of a list, its laboratory, what was said of it last; `signed_by` empty and `signed_at` None while PRELIMINARY."""

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
class ResultView(SummaryView):
    """The result whole."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFilter:
    """Joined by AND; None and empty mean any."""

    order_id: OrderId | None = None
    state: ResultState | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideName:
    """A slide by its series UID or its container's identifier, exactly one of them given."""

    series_uid: str = ""
    container_id: str = ""


class ResultDesk(Protocol):
    """Results. Raises Refused RESULT_UNKNOWN for what isn't the actor's laboratory's."""

    def get(self, actor: Actor, result_id: ResultId) -> ResultView: ...

    def list(self, actor: Actor, wanted: ResultFilter, limit: int, after: PageKey) -> Page[SummaryView]:
        """Newest first."""
        ...

    def history(self, actor: Actor, slide: SlideName, limit: int) -> Sequence[SummaryView]:
        """Results of one slide, oldest first."""
        ...

    def rescore(self, actor: Actor, result_id: ResultId, profile: Profile) -> ResultView:
        """The stored nuclei under another profile, as a new result; the result there is, where that was done before."""
        ...

    def nuclei(self, actor: Actor, result_id: ResultId) -> Iterator[Nuclei]:
        """The nuclei of a result in batches. Raises Failed NUCLEI_MISSING where the file is gone."""
        ...

    def sign(self, actor: Actor, result_id: ResultId, etag: str) -> ResultView:
        """FINAL, and F queued for the LIS, in one transaction. Raises Refused RESULT_STATE, ETAG_MISMATCH.

        RESULT_STATE too where another result of the order is signed: that one is amended.
        """
        ...

    def reject(self, actor: Actor, result_id: ResultId, reason: str, etag: str) -> ResultView:
        """REJECTED. Raises Refused RESULT_STATE, ETAG_MISMATCH."""
        ...

    def amend(self, actor: Actor, result_id: ResultId, replacement: ResultId, reason: str, etag: str) -> ResultView:
        """The replacement, CORRECTED, C queued for the LIS; `result_id` SUPERSEDED. Raises Refused RESULT_STATE, ETAG_MISMATCH."""
        ...


class ProfileState(StrEnum):
    """DRAFT and RETIRED revisions are not chosen for orders."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """A revision and its state; `created_at` None for the profile that ships."""

    profile: Profile
    state: ProfileState
    created_at: datetime | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFilter:
    """Joined by AND; None and empty mean any."""

    marker: str = ""
    state: ProfileState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a new revision of a profile says anew; its key is the latest revision's."""

    thresholds: Thresholds
    source: str = ""
    valid_from: date | None = None
    valid_until: date | None = None


class ProfileDesk(Protocol):
    """Profiles. Raises Refused PROFILE_UNKNOWN for what isn't the actor's laboratory's."""

    def create(self, actor: Actor, profile: Profile, request_id: str) -> ProfileView:
        """Revision 1 as a DRAFT; a repeated request answers the first. Raises Refused PROFILE_CONFLICT where the name is taken."""
        ...

    def revise(self, actor: Actor, name: str, revision: Revision, request_id: str, etag: str) -> ProfileView:
        """The next revision as a DRAFT; a repeat of the request answers the first. Raises Refused ETAG_MISMATCH."""
        ...

    def get(self, actor: Actor, name: str, revision: int | None) -> ProfileView:
        """The latest revision for None."""
        ...

    def list(self, actor: Actor, wanted: ProfileFilter, limit: int, after: PageKey) -> Page[ProfileView]:
        """By name, the latest revision first; the profile that ships before all others."""
        ...

    def set_state(self, actor: Actor, name: str, revision: int, state: ProfileState, etag: str) -> ProfileView:
        """Raises Refused PROFILE_STATE, ETAG_MISMATCH."""
        ...


class DeliveryState(StrEnum):
    """As the outbox has it."""

    WAITING = "WAITING"
    SENT = "SENT"
    DEAD = "DEAD"


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
    waiting: int
    dead: int
    oldest_waiting_at: datetime | None


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


class AdminDesk(Protocol):
    """Laboratories, destinations and the outbox, as far as the actor's laboratory (or ALL_LABS) goes."""

    def labs(self, actor: Actor) -> Sequence[LabView]: ...

    def destinations(self, actor: Actor) -> Sequence[DestinationView]: ...

    def deliveries(self, actor: Actor, wanted: DeliveryFilter, limit: int, after: PageKey) -> Page[DeliveryView]:
        """Newest first."""
        ...

    def replay(self, actor: Actor, delivery_id: int | None, destination: str) -> int:
        """Dead letters that wait again, one or a destination's, but for those that a later message of their order overtook.

        Raises Refused DELIVERY_UNKNOWN, DELIVERY_STATE, DELIVERY_SUPERSEDED for the one.
        """
        ...


class AuditDesk(Protocol):
    """The audit, as far as the actor's laboratory (or ALL_LABS) goes."""

    def query(self, actor: Actor, wanted: AuditFilter, limit: int, after: PageKey) -> Page[AuditEntry]:
        """Newest first."""
        ...

    def verify(self, actor: Actor) -> AuditVerdict:
        """Computes the chain again."""
        ...
