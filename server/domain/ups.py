"""Items of a worklist of Unified Procedure Steps (UPS, PS3.4 CC) that ask for a score, and what came of each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from server.domain.order import EntityIdentifier, OrderId, Patient, Priority
from server.domain.ports import OrderView
from server.domain.states import OrderState


class UpsState(StrEnum):
    """Procedure Step State."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class UpsOutcome(StrEnum):
    """How it ended for us; LOST: it is another performer's, or isn't there any more."""

    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"
    LOST = "LOST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded text, as the item has it."""

    value: str
    scheme: str
    meaning: str

    @property
    def components(self) -> tuple[str, str, str]:
        """As HL7's first three of a CWE."""
        return self.value, self.meaning, self.scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsItem:
    """What an item says. `codes`: the workitem's, then those of the procedures that were requested. `inputs`: study and
    series UID of each. `progress`: percent. `unwanted`: it holds a reason or a time of cancellation.
    """

    uid: str
    state: UpsState
    ready: bool = True
    label: str = ""
    stations: tuple[str, ...] = ()
    station_classes: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    priority: Priority = Priority.ROUTINE
    patient: Patient
    inputs: tuple[tuple[str, str], ...] = ()
    accession_number: str = ""
    placer: EntityIdentifier
    progress: float = 0
    unwanted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsClaim:
    """Our hold on an item: the Transaction UID that locks it, kept before it is sent; the order that it became."""

    lab: str
    worklist: str
    uid: str
    transaction_uid: str
    order_id: OrderId | None = None
    outcome: UpsOutcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An object that lies in an archive: retrieved from the AE title `aet`, or at `url`; neither: from a folder."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    aet: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """What was done of an item."""

    code: Code
    began_at: datetime
    ended_at: datetime
    outputs: Sequence[Output]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Why an item ends without a score, as a person reads it; `state` of its order, None: it never became one."""

    why: str
    at: datetime
    state: OrderState | None = None


class Worklist(Protocol):
    """Where the items are.

    Every method raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED, ARCHIVE_ANSWER (all retryable).
    """

    def scheduled(self) -> Sequence[str]:
        """UIDs of the items that wait for whom we are."""
        ...

    def item(self, uid: str) -> UpsItem | None:
        """None: it isn't there."""
        ...

    def claim(self, uid: str, transaction_uid: str) -> bool:
        """Whether it is ours now, or was already."""
        ...

    def subscribe(self, uid: str) -> None:
        """Be told when somebody asks to cancel it."""
        ...

    def progress(self, uid: str, transaction_uid: str, percent: float) -> bool:
        """False: it isn't ours any more."""
        ...

    def complete(self, uid: str, transaction_uid: str, done: Performed) -> bool:
        """False: it isn't ours any more."""
        ...

    def cancel(self, uid: str, transaction_uid: str, given_up: GivenUp) -> bool:
        """False: it isn't ours any more."""
        ...


class UpsClaims(Protocol):
    """What is kept of items. Each method one transaction."""

    def of(self, lab: str, worklist: str, uid: str) -> UpsClaim:
        """The claim of an item, made where there is none."""
        ...

    def open(self, lab: str, worklist: str) -> Sequence[UpsClaim]:
        """Those without an outcome, the oldest first."""
        ...

    def ordered(self, claim: UpsClaim, order_id: OrderId) -> None: ...

    def end(self, claim: UpsClaim, outcome: UpsOutcome) -> None: ...

    def outputs(self, lab: str, view: OrderView) -> Sequence[Output] | None:
        """The objects of an order's result that archives have taken; None while one still waits to be sent."""
        ...
