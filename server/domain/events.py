"""What happens to an order and its result, what tells of it, and where that goes. Pure.

An event makes artifacts, each built by its reporter; a laboratory's routes say which of them go to which destinations.
What no route asks for isn't built.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from server.domain.artifact import Artifact, ArtifactKind, not_made
from server.domain.order import Order
from server.domain.result import Result, ResultId

ANY = "*"
RESULT_REJECTED = "RESULT_REJECTED"
"""The reason of WITHDRAWN."""


class EventKind(StrEnum):
    """ACCEPTED, STARTED are of an order; PRELIMINARY to SUPERSEDED of a result; REFUSED, CANCELLED: there is none."""

    ACCEPTED = "ACCEPTED"
    STARTED = "STARTED"
    PRELIMINARY = "PRELIMINARY"
    FINAL = "FINAL"
    CORRECTED = "CORRECTED"
    WITHDRAWN = "WITHDRAWN"  # a preliminary result that a pathologist rejected
    SUPERSEDED = "SUPERSEDED"  # a result in whose place another was signed
    REFUSED = "REFUSED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signed (a token's subject), when, and the signed event and result whose report this one replaces, if any."""

    by: str
    at: datetime
    replaces_result: ResultId
    replaces_event: EventKind = EventKind.PRELIMINARY
    replaces_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an order; `reason` (UPPER_SNAKE) and `detail` (for a person) where it ended badly.

    `not_made` says which artifacts of it couldn't be built, each with its reason: what is built after them tells of it.
    """

    kind: EventKind
    order: Order
    result: Result | None = None
    signing: Signing | None = None
    reason: str = ""
    detail: str = ""
    not_made: tuple[str, ...] = ()

    def without(self, kind: ArtifactKind, reason: str) -> "Event":
        """The same without an artifact that couldn't be built; its result is warned of that."""
        said = (*self.not_made, f"{kind.value} ({reason})")
        return replace(self, not_made=said, result=_warned(self.result, kind, missing=True))

    def having(self, kind: ArtifactKind) -> "Event":
        """The same with an artifact that was built: no longer missing, if it was."""
        return replace(self, result=_warned(self.result, kind, missing=False))


def _warned(result: Result | None, kind: ArtifactKind, *, missing: bool) -> Result | None:
    if result is None or (not_made(kind) in result.warnings) is missing:
        return result
    others = tuple(warning for warning in result.warnings if warning != not_made(kind))
    return replace(result, warnings=(*others, not_made(kind)) if missing else others)


class Reporter(Protocol):
    """Builds one kind of artifact, and never sends it."""

    @property
    def kind(self) -> ArtifactKind: ...

    @property
    def events(self) -> frozenset[EventKind]:
        """Those that it can tell of."""
        ...

    def build(self, event: Event) -> Artifact | None:
        """The artifact, its file written; None where the event holds nothing for it (an ANN of no cells).

        The same event makes the same file, to the byte. Identifier and path differ by result AND event: the outbox
        sends one of an identifier to a destination, so a FINAL under the identifier of its PRELIMINARY would never
        leave. Raises Refused or Failed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Of a laboratory (ANY: of each): artifacts of these events go to these destinations, by name."""

    laboratory: str = ANY
    events: frozenset[EventKind] = field(default_factory=lambda: frozenset(EventKind))
    artifacts: frozenset[ArtifactKind] = frozenset()
    to: tuple[str, ...] = ()


def destinations(routes: Iterable[Route], event: EventKind, laboratory: str, kind: ArtifactKind) -> Sequence[str]:
    """Where an artifact of an event goes, each destination once, in the order of the routes."""
    fitting = (r for r in routes if r.laboratory in (laboratory, ANY) and event in r.events and kind in r.artifacts)
    return list(dict.fromkeys(name for route in fitting for name in route.to))
