"""Turns an event into what leaves: the artifacts that a laboratory's routes ask for, each to each destination.

It sends nothing; the outbox does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.artifact import Artifact
from server.domain.errors import Failed, ServiceReason
from server.domain.events import Event, EventKind, Reporter, Route, destinations
from server.domain.order import Order
from server.domain.ports import Delivery
from server.slides.quiet import quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Of one event; the files of all deliveries are those of the artifacts."""

    artifacts: tuple[Artifact, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


class Reporting:
    """`reporters` one a kind of artifact, in the order in which they are sent; `routes` of all laboratories."""

    def __init__(self, reporters: Sequence[Reporter] = (), routes: Sequence[Route] = ()) -> None:
        self._reporters, self._routes = tuple(reporters), tuple(routes)

    def report(self, event: Event) -> Reports:
        """Its files are there on return. Raises Refused or Failed, as the reporters do, and Failed INTERNAL."""
        artifacts, deliveries = list[Artifact](), list[Delivery]()
        for reporter in self._reporters:
            to = self._to(reporter, event)
            artifact = _built(reporter, event) if to else None
            if artifact is not None:
                artifacts.append(artifact)
                deliveries += [_delivery(artifact, name) for name in to]
        return Reports(artifacts=tuple(artifacts), deliveries=tuple(deliveries))

    def notify(self, order: Order, reason: str, detail: str) -> Sequence[Delivery]:
        """What says that an order ended without a result (`server.store.notify.Notify`)."""
        kind = EventKind.CANCELLED if reason == ServiceReason.CANCELLED else EventKind.REFUSED
        return self.report(Event(kind=kind, order=order, reason=reason, detail=detail)).deliveries

    def _to(self, reporter: Reporter, event: Event) -> Sequence[str]:
        """Empty where nobody wants it, or the reporter can't tell of such an event."""
        if event.kind not in reporter.events:
            return ()
        return destinations(self._routes, event.kind, event.order.request.lab, reporter.kind)


def _built(reporter: Reporter, event: Event) -> Artifact | None:
    """The one place where a report is made, and where one that can't be might be left out.

    Raises Failed INTERNAL where what was made has no identifier: the outbox would take the next one for the same.
    Libraries warn of what they are given, and quote it: a patient's name.
    """
    with quiet():
        artifact = reporter.build(event)
    if artifact is not None and not artifact.identifier:
        made = f"{type(reporter).__name__} made {artifact.kind} of {event.kind} without an identifier"
        raise Failed(ServiceReason.INTERNAL, f"{made}: give it one of its own by result and event")
    return artifact


def _delivery(artifact: Artifact, destination: str) -> Delivery:
    return Delivery(kind=artifact.kind, destination=destination, path=artifact.path, message_id=artifact.identifier)
