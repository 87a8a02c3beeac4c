"""What the path of a case needs from the outside: small Protocols, owned here, implemented at the edge."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from inference.model import Resolution
from inference.slide import Slide
from server.domain.artifact import ArtifactKind
from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.control import ChartKey, ControlPoint, ControlRange, RunControl
from server.domain.order import Order, OrderId, Request, SlideReference
from server.domain.profile import Profile
from server.domain.result import Result, ResultId
from server.domain.states import OrderState
from server.domain.validation import Validation

LIS, ARCHIVE = "lis", "archive"
"""The destinations of an installation without a site file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideQuery:
    """The slide that an order means: by what it is found, and what tells it from others that are found with it.

    `marker`, `specimen_id` empty: not told. `resolution` is what the slide is to be read for: what that doesn't need
    may be left where it is; None: all of it is wanted. `labels`: what its label says is compared too.
    """

    slide: SlideReference
    marker: str = ""
    specimen_id: str = ""
    resolution: Resolution | None = None
    labels: bool = False


class SlideSource(Protocol):
    """Where slides are kept: a PACS, a folder."""

    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        """Bring the slide's instances to a local folder and name it.

        Raises Refused SLIDE_NOT_FOUND, SEVERAL_SLIDES, SPECIMEN_MISMATCH, SPOOL_TOO_SMALL; Failed ARCHIVE_UNREACHABLE,
        ARCHIVE_DENIED, ARCHIVE_ANSWER, SPOOL_FULL (all retryable).
        """
        ...

    def ping(self) -> None:
        """Raises Failed ARCHIVE_UNREACHABLE where it doesn't answer within seconds."""
        ...


class ObjectSink(Protocol):
    """Where DICOM objects are kept."""

    def store(self, objects: Sequence[Path]) -> None:
        """Keep DICOM files, and return once they can be found there; the same file twice is kept once.

        Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED, ARCHIVE_ANSWER (all retryable); OBJECT_REFUSED.
        """
        ...

    def ping(self) -> None:
        """Raises Failed ARCHIVE_UNREACHABLE where it doesn't answer within seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedObject:
    """An object in an archive."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str


class ObjectRemover(Protocol):
    """Where DICOM objects can be deleted."""

    def remove(self, named: NamedObject) -> None:
        """Delete an object, and return once it is gone; one that isn't there is gone.

        Raises as `ObjectSink.store`: OBJECT_REFUSED where nothing is ever deleted there.
        """
        ...


class Archive(SlideSource, ObjectSink, Protocol):
    """Both."""


class MessageSink(Protocol):
    """Who takes HL7 messages."""

    def send(self, message: bytes) -> None:
        """Send, and return once the receiver has acknowledged this very message.

        Raises Failed RECEIVER_ERROR (retryable), RECEIVER_REJECTED, DELIVERY_FAILED (retryable).
        """
        ...

    def ping(self) -> None:
        """Raises Failed DELIVERY_FAILED where it can't be reached within seconds."""
        ...


class OpenSlide(Protocol):
    """Opens a slide from a local path, to be read near the working resolution of the model that is to run.

    `server.slides.opening.open_slide`.
    """

    def __call__(self, path: Path, resolution: Resolution) -> Slide: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An order that a worker holds under `token`; whoever holds another token has lost it."""

    order: Order
    attempt: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One thing to be sent: the file that holds it, where to."""

    kind: ArtifactKind
    destination: str
    path: Path
    message_id: str
    """MSH-10 or SOP instance UID, derived from the result's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order with where it stands."""

    order: Order
    state: OrderState
    attempt: int
    reason: str
    detail: str
    progress: float
    result_id: ResultId | None
    updated_at: datetime


class ControlRecords(Protocol):
    """What is kept of a laboratory's controls. Each method is one transaction."""

    def control_ranges(self, lab: str, marker: str) -> Sequence[ControlRange]:
        """All that were ever set, the oldest first: `server.domain.control.current` says which count."""
        ...

    def run_control(self, lab: str, marker: str, staining_run: str) -> RunControl | None:
        """The newest of the control slides of a run, but for those that a pathologist rejected."""
        ...

    def control_pending(self, lab: str, marker: str, staining_run: str) -> bool:
        """Does a control slide of the run wait, or is it being scored?"""
        ...

    def control_points(self, lab: str, key: ChartKey, limit: int) -> Sequence[ControlPoint]:
        """The newest of a chart, the oldest first."""
        ...


class Store(ControlRecords, Protocol):
    """Orders, profiles, results and the outbox. Each method is one transaction, committed on return."""

    def accept(self, request: Request) -> tuple[Order, bool]:
        """Keep a request and put its job in; returns the order and whether it is new (a repeat returns the first).

        A repeat under a new message begins an order anew that ended without a result.
        """
        ...

    def cancel(self, asked: Cancellation) -> CancelOutcome:
        """Take an order back by a message, and say what came of it; a repeat is answered as the first was.

        Raises Refused MESSAGE_INVALID for reused identifiers, Failed DELIVERY_FAILED (retryable) while whoever else
        ordered it can't be told.
        """
        ...

    def claim(self, order_id: OrderId, lease_s: float) -> Claim | None:
        """Take a QUEUED order (or a RUNNING one whose lease is over); None when there is nothing to do.

        One that is abandoned, whose last permitted worker vanished, becomes DEAD; one whose end couldn't be told ends
        so now.
        """
        ...

    def take(self, lease_s: float) -> Claim | None:
        """Claim the most urgent due order; None when there is none that is free, and not abandoned (see `claim`)."""
        ...

    def progress(self, claim: Claim, share: float, lease_s: float) -> None:
        """Renew the lease and note progress (0 to 1). Raises Failed ATTEMPT_LOST when the claim is lost."""
        ...

    def finish(self, claim: Claim, result: Result, deliveries: Sequence[Delivery]) -> None:
        """Result, outbox and state DONE in one transaction, WHERE attempt = token.

        ATTEMPT_LOST when the claim is lost.
        """
        ...

    def end(self, claim: Claim, state: OrderState, reason: str, detail: str) -> OrderState:
        """REFUSED, or a failed attempt (QUEUED again, DEAD after MAX_ATTEMPTS), and what tells of an end, in one
        transaction.

        Returns the state reached: QUEUED too for a slide that isn't there yet, or while the database refuses a
        statement. Raises Failed ATTEMPT_LOST when the claim is lost.
        """
        ...

    def release(self, claim: Claim) -> None:
        """Give an order back unharmed (the worker stops): QUEUED at once, the attempt not counted.

        Raises Failed ATTEMPT_LOST.
        """
        ...

    def order(self, order_id: OrderId) -> OrderView: ...

    def orders(self, limit: int = 50) -> list[OrderView]: ...

    def due(self, limit: int = 10) -> list[OrderId]:
        """Orders that wait for a worker or whose lease is over, STAT first, then by age."""
        ...

    def profiles(self, lab: str, marker: str) -> list[Profile]: ...

    def add_profile(self, profile: Profile) -> None: ...

    def validations(self, lab: str, name: str, revision: int) -> Sequence[Validation]:
        """Of a profile's revision, newest first."""
        ...

    def result(self, result_id: ResultId) -> Result: ...


class Outbox(Protocol):
    """Deliveries that wait, FIFO per destination."""

    def send_due(self) -> int:
        """Try every destination's oldest waiting delivery, in turn until none is due.

        Returns how many were delivered.
        """
        ...

    def waiting(self) -> int: ...
