"""What the services ask of a store: one Protocol a kind of thing.

Every call names its Caller; an implementation shows an actor nothing of another laboratory (it is as if it were not
there), and keeps nothing when the actor has gone meanwhile (Failed CANCELLED).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from inference.measures import Measure
from server.domain.access import Caller
from server.domain.control import ChartKey, ControlPoint, ControlRange
from server.domain.estimate import Compared, Estimate, EstimateFilter, Said
from server.domain.job import Job, JobId, JobKind, Json
from server.domain.order import Order, OrderId, Request
from server.domain.ports import Delivery, OrderView
from server.domain.profile import Profile
from server.domain.result import Result, ResultId
from server.domain.session import Session
from server.domain.validation import Computed, Validation, ValidationId
from server.domain.views import (
    AuditEntry,
    AuditFilter,
    AuditVerdict,
    CaseView,
    CohortFilter,
    DeliveryFilter,
    DeliveryView,
    DestinationView,
    Entry,
    LabView,
    OrderFilter,
    Page,
    PageKey,
    ProfileFilter,
    ProfileView,
    ResultFilter,
    ResultView,
    Revision,
    SlideName,
    StateChange,
    SummaryView,
)
from server.domain.work import Comment, WorkFilter, WorkItem


class OrderRepository(Protocol):
    """Orders. Raises Refused ORDER_UNKNOWN for what isn't the actor's laboratory's."""

    def create(self, actor: Caller, request: Request) -> tuple[OrderView, bool]:
        """The order and whether it is new.

        Raises Refused REQUEST_ID_REUSED for another order under the same message id.
        """
        ...

    def get(self, actor: Caller, order_id: OrderId, *, patient: bool = False) -> OrderView:
        """`patient`: the patient will be shown, which is noted in the audit."""
        ...

    def list(self, actor: Caller, wanted: OrderFilter, limit: int, after: PageKey) -> Page[OrderView]:
        """Newest first."""
        ...

    def cancel(self, actor: Caller, order_id: OrderId, etag: str) -> OrderView:
        """Raises Refused ORDER_STATE, ETAG_MISMATCH (an empty etag fits)."""
        ...

    def retry(self, actor: Caller, order_id: OrderId, etag: str) -> OrderView:
        """QUEUED again, with all its attempts. Raises Refused ORDER_STATE, ETAG_MISMATCH."""
        ...


class ResultRepository(Protocol):
    """Results. Raises Refused RESULT_UNKNOWN for what isn't the actor's laboratory's."""

    def get(self, actor: Caller, result_id: ResultId) -> ResultView: ...

    def order_of(self, actor: Caller, result_id: ResultId) -> Order | None:
        """The order that a result answers, with its patient."""
        ...

    def list(self, actor: Caller, wanted: ResultFilter, limit: int, after: PageKey) -> Page[SummaryView]:
        """Newest first."""
        ...

    def history(self, actor: Caller, slide: SlideName, limit: int) -> Sequence[SummaryView]:
        """Of one slide, oldest first."""
        ...

    def case(self, actor: Caller, order_id: OrderId) -> Sequence[CaseView]:
        """Of each order of the same patient and accession number, study or specimen, if it is DONE, the result that
        counts; the oldest order first. Raises Refused ORDER_UNKNOWN.
        """
        ...

    def keep(self, actor: Caller, result: Result, lab: str) -> ResultView:
        """Add a result, or return the one of its id that is there."""
        ...

    def heed(self, actor: Caller, request_id: str, result_id: ResultId, profile: str) -> None:
        """Remember that a request asks for a result to be scored anew by a profile (its label).

        Raises Refused REQUEST_ID_REUSED where it asked for another.
        """
        ...

    def cohort(self, actor: Caller, wanted: CohortFilter, limit: int) -> Sequence[ResultId]:
        """Of each order that is DONE the result that counts: the signed one, else the order's; the oldest first."""
        ...

    def several(self, actor: Caller, result_ids: Sequence[ResultId]) -> Sequence[ResultView]:
        """Whole, in a few statements however many they are; in no order."""
        ...

    def record(
        self, actor: Caller, entries: Sequence[Entry], deliveries: Sequence[Delivery], *, unless_signed: bool = False
    ) -> ResultView:
        """Say all of it, or nothing; `deliveries` are of the first entry's result. Returns the first as it is then.

        `unless_signed`: they are left out where a result of the order is signed, and its receivers know that one.
        Raises Refused RESULT_STATE, ETAG_MISMATCH; Failed DELIVERY_FAILED when a file to be sent is missing.
        """
        ...


class ProfileRepository(Protocol):
    """Profiles. Raises Refused PROFILE_UNKNOWN for what isn't the actor's laboratory's."""

    def create(self, actor: Caller, profile: Profile, request_id: str) -> ProfileView:
        """Revision 1 as a DRAFT; a repeated request answers the first.

        Raises Refused PROFILE_CONFLICT where the name is taken.
        """
        ...

    def revise(self, actor: Caller, name: str, revision: Revision, request_id: str, etag: str) -> ProfileView:
        """The next revision as a DRAFT; a repeat of the request answers the first. Raises Refused ETAG_MISMATCH."""
        ...

    def get(self, actor: Caller, name: str, revision: int | None) -> ProfileView:
        """The latest revision for None."""
        ...

    def list(self, actor: Caller, wanted: ProfileFilter, limit: int, after: PageKey) -> Page[ProfileView]:
        """By name, the latest revision first; the profile that ships before all others."""
        ...

    def set_state(self, actor: Caller, name: str, revision: int, change: StateChange) -> ProfileView:
        """Raises Refused PROFILE_STATE, ETAG_MISMATCH."""
        ...


class ValidationRepository(Protocol):
    """Validations of profiles. Raises Refused VALIDATION_UNKNOWN for what isn't the actor's laboratory's."""

    def keep(self, actor: Caller, computed: Computed, asked: Sequence[Json], request_id: str) -> Validation:
        """`asked`: the results that were named, and what a person scored them as.

        A repeat of the request answers the first. Raises Refused REQUEST_ID_REUSED.
        """
        ...

    def get(self, actor: Caller, validation_id: ValidationId) -> Validation: ...

    def list(self, actor: Caller, name: str, revision: int) -> Sequence[Validation]:
        """Newest first."""
        ...

    def sign(self, actor: Caller, validation_id: ValidationId) -> Validation:
        """Once a person: signing again changes nothing."""
        ...


class JobRepository(Protocol):
    """Jobs of the background. Raises Refused JOB_UNKNOWN for what isn't the actor's laboratory's."""

    def create(self, actor: Caller, kind: JobKind, given: Json, request_id: str) -> Job:
        """A repeat of the request answers the first. Raises Refused REQUEST_ID_REUSED."""
        ...

    def get(self, actor: Caller, job_id: JobId) -> Job: ...

    def list(self, actor: Caller, kind: JobKind, limit: int, after: PageKey) -> Page[Job]:
        """Newest first."""
        ...


class WorkRepository(Protocol):
    """What pathologists work through. Raises Refused RESULT_UNKNOWN for what isn't the actor's laboratory's."""

    def list(self, actor: Caller, wanted: WorkFilter, limit: int, after: PageKey) -> Page[WorkItem]:
        """The most urgent first, of those the newest."""
        ...

    def comment(self, actor: Caller, result_id: ResultId, text: str) -> Comment: ...

    def comments(self, actor: Caller, result_id: ResultId) -> Sequence[Comment]:
        """Of a result and of those of the same order, oldest first."""
        ...

    def note_read(self, actor: Caller, result_id: ResultId, what: str) -> None:
        """In the audit: the actor saw `what` of a result (`result`, `slide`, `report`)."""
        ...


class EstimateRepository(Protocol):
    """Pathologists' own estimates. Raises Refused RESULT_UNKNOWN for what isn't the actor's laboratory's."""

    def keep(
        self, actor: Caller, result_id: ResultId, measure: Measure, values: Mapping[str, Said], *, first: bool
    ) -> Sequence[Estimate]:
        """Add values by region; returns all of the order, oldest first.

        They count as made before the score was shown where `first`, and the audit knows of no look at it.
        """
        ...

    def of(self, actor: Caller, result_id: ResultId) -> Sequence[Estimate]:
        """Of a result and of those of the same order, oldest first."""
        ...

    def known(self, actor: Caller, result_ids: Sequence[ResultId]) -> frozenset[ResultId]:
        """Those of whose order the actor estimated, or was shown, a result."""
        ...

    def note_shown(self, actor: Caller, result_ids: Sequence[ResultId]) -> None:
        """In the audit: the actor was told these scores; once."""
        ...

    def compared(self, actor: Caller, wanted: EstimateFilter, limit: int) -> Sequence[Compared]:
        """The newest so many with the score of their result, oldest first."""
        ...


class SessionRepository(Protocol):
    """Sessions of browsers, whatever process answers them."""

    def begin(self, caller: Caller, key: str) -> Session: ...

    def find(self, key: str) -> Session | None: ...

    def touch(self, session: Session) -> Session:
        """It was used now."""
        ...

    def end(self, session: Session) -> None: ...

    def forget(self, before: datetime) -> int:
        """Delete those that were last used before; how many."""
        ...


class AdminRepository(Protocol):
    """Laboratories, destinations and the outbox, as far as the actor's laboratory (or ALL_LABS) goes."""

    def labs(self, actor: Caller) -> Sequence[LabView]: ...

    def destinations(self, actor: Caller) -> Sequence[DestinationView]: ...

    def deliveries(self, actor: Caller, wanted: DeliveryFilter, limit: int, after: PageKey) -> Page[DeliveryView]:
        """Newest first."""
        ...

    def replay(self, actor: Caller, delivery_id: int | None, destination: str) -> int:
        """Dead letters that wait again, one or a destination's, but for those that a later message of their order
        overtook.

        Raises Refused DELIVERY_UNKNOWN, DELIVERY_STATE, DELIVERY_SUPERSEDED for the one.
        """
        ...


class AuditRepository(Protocol):
    """The audit, as far as the actor's laboratory (or ALL_LABS) goes."""

    def query(self, actor: Caller, wanted: AuditFilter, limit: int, after: PageKey) -> Page[AuditEntry]:
        """Newest first."""
        ...

    def verify(self, actor: Caller) -> AuditVerdict:
        """Computes the chain again."""
        ...


class ControlRepository(Protocol):
    """Ranges that controls are judged by, and the controls themselves."""

    def set(self, actor: Caller, wanted: ControlRange, request_id: str) -> ControlRange:
        """A repeat of the request answers the first. Raises Refused REQUEST_ID_REUSED."""
        ...

    def retire(self, actor: Caller, number: int, reason: str, request_id: str) -> ControlRange:
        """Raises Refused CONTROL_RANGE_UNKNOWN, REQUEST_ID_REUSED."""
        ...

    def ranges(self, actor: Caller, marker: str, limit: int, after: PageKey, *, all_: bool) -> Page[ControlRange]:
        """The newest first; of each key the last alone, and none that is retired, unless `all_`."""
        ...

    def all_ranges(self, actor: Caller, marker: str) -> Sequence[ControlRange]:
        """All of a marker that were ever set, the oldest first."""
        ...

    def charts(self, actor: Caller, marker: str) -> Sequence[ChartKey]:
        """Those that there are controls of; of every marker for an empty one."""
        ...

    def points(self, actor: Caller, key: ChartKey, limit: int) -> Sequence[ControlPoint]:
        """The newest of a chart, the oldest first."""
        ...
