"""Turns an event into what leaves: the artifacts that a laboratory's routes ask for, each to each destination.

It sends nothing; the outbox does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from server import metrics
from server.domain.artifact import NATURES, Artifact, ArtifactKind, Nature
from server.domain.errors import ChromogenError, Failed, ServiceReason
from server.domain.events import Event, EventKind, Reporter, Route, destinations
from server.domain.order import Order
from server.domain.ports import Delivery
from server.domain.result import Result
from server.slides.quiet import quiet

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Of one event; the files of all deliveries are those of the artifacts.

    `result` is the event's, warned of each artifact that couldn't be built.
    """

    artifacts: tuple[Artifact, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    result: Result | None = None


class Reporting:
    """`reporters` one a kind of artifact, in the order in which they are sent; `routes` of all laboratories."""

    def __init__(self, reporters: Sequence[Reporter] = (), routes: Sequence[Route] = ()) -> None:
        self._reporters, self._routes = tuple(reporters), tuple(routes)

    def report(self, event: Event) -> Reports:
        """Its files are there on return.

        A score outlives its reports: an object that can't be built is left out, and the messages, built after all
        objects, say so. Raises Refused or Failed, as the reporters do, where that isn't so (`_may_be_left_out`).
        """
        wanted = {reporter.kind: to for reporter in self._reporters if (to := self._to(reporter, event))}
        built = dict[ArtifactKind, Artifact]()
        for reporter in sorted(self._reporters, key=_is_message):
            if reporter.kind in wanted:
                artifact, event = _attempted(reporter, event)
                built |= {} if artifact is None else {reporter.kind: artifact}
        made = [(file, to) for kind, to in wanted.items() if kind in built for file in built[kind].files]
        return Reports(
            artifacts=tuple(artifact for artifact, _ in made),
            deliveries=tuple(_delivery(artifact, name) for artifact, to in made for name in to),
            result=event.result,
        )

    def notify(self, order: Order, reason: str, detail: str) -> Sequence[Delivery]:
        """What says that an order ended without a result (`server.store.notify.Notify`)."""
        kind = EventKind.CANCELLED if reason == ServiceReason.CANCELLED else EventKind.REFUSED
        return self.report(Event(kind=kind, order=order, reason=reason, detail=detail)).deliveries

    def _to(self, reporter: Reporter, event: Event) -> Sequence[str]:
        """Empty where nobody wants it, or the reporter can't tell of such an event."""
        if event.kind not in reporter.events:
            return ()
        return destinations(self._routes, event.kind, event.order.request.lab, reporter.kind)


def _is_message(reporter: Reporter) -> bool:
    return NATURES[reporter.kind] is Nature.MESSAGE


def _attempted(reporter: Reporter, event: Event) -> tuple[Artifact | None, Event]:
    """The artifact, and the event as whatever is built next tells of it.

    Libraries warn of what they are given, and quote it: a patient's name.
    """
    try:
        with quiet():
            artifact = reporter.build(event)
    except Exception as error:  # the text of a library's may hold a patient's data
        if not _may_be_left_out(reporter, event, error):
            raise
        reason = str(error.reason if isinstance(error, ChromogenError) else ServiceReason.INTERNAL)
        log.error("artifact_not_made", kind=str(reporter.kind), reason=reason, error=type(error).__name__)
        metrics.ARTIFACTS_NOT_MADE.labels(str(reporter.kind), reason).inc()
        return None, event.without(reporter.kind, reason)
    _check_identified(reporter, artifact, event)
    return artifact, event if artifact is None else event.having(reporter.kind)


def _may_be_left_out(reporter: Reporter, event: Event, error: Exception) -> bool:
    """An object of a result, unless another try may build it, or it would be of another patient's slide."""
    if event.result is None or _is_message(reporter):
        return False
    if not isinstance(error, ChromogenError):
        return True
    return not error.retryable and error.reason != ServiceReason.SPECIMEN_MISMATCH


def _check_identified(reporter: Reporter, artifact: Artifact | None, event: Event) -> None:
    """Raises Failed INTERNAL where what was made has no identifier: the outbox would take the next for the same."""
    if artifact is not None and not artifact.identifier:
        made = f"{type(reporter).__name__} made {artifact.kind} of {event.kind} without an identifier"
        raise Failed(ServiceReason.INTERNAL, f"{made}: give it one of its own by result and event")


def _delivery(artifact: Artifact, destination: str) -> Delivery:
    return Delivery(kind=artifact.kind, destination=destination, path=artifact.path, message_id=artifact.identifier)
