"""What an event sends: the artifacts that the laboratory's routes ask for, each to each of its destinations."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.events import Event, EventKind, Route
from server.domain.order import Order, OrderId
from server.reporting import Reporting
from tests.server.test_site import order_of

ORU, SR, ANN = ArtifactKind.ORU, ArtifactKind.SR, ArtifactKind.ANN


@dataclass
class Kept:
    """A reporter that notes what it was asked for."""

    kind: ArtifactKind
    events: frozenset[EventKind] = frozenset({EventKind.PRELIMINARY, EventKind.REFUSED, EventKind.CANCELLED})
    nothing: bool = False
    identifier: str = "1.2"
    built: list[Event] = field(default_factory=list)

    def build(self, event: Event) -> Artifact | None:
        self.built.append(event)
        path = Path(f"{event.order.request.lab}-{self.kind}")
        return (
            None
            if self.nothing
            else Artifact(kind=self.kind, path=path, identifier=self.identifier and f"{self.identifier}.{self.kind}")
        )


def event_of(lab: str, kind: EventKind = EventKind.PRELIMINARY) -> Event:
    return Event(kind=kind, order=order(lab))


def order(lab: str) -> Order:
    return Order(id=OrderId("1"), request=order_of(lab), received_at=datetime(2026, 3, 1, tzinfo=UTC))


def test_each_laboratory_s_artifacts_go_where_its_own_routes_say() -> None:
    routes = (
        Route(laboratory="A", artifacts=frozenset({ORU}), to=("lis-a",)),
        Route(laboratory="B", artifacts=frozenset({ORU}), to=("lis-b", "copy")),
        Route(artifacts=frozenset({SR}), to=("archive", "copy")),
    )
    reporting = Reporting([Kept(ORU), Kept(SR)], routes)
    assert [(d.kind, d.destination, d.message_id) for d in reporting.report(event_of("B")).deliveries] == [
        (ORU, "lis-b", "1.2.ORU"),
        (ORU, "copy", "1.2.ORU"),
        (SR, "archive", "1.2.SR"),
        (SR, "copy", "1.2.SR"),
    ]
    assert [d.destination for d in reporting.report(event_of("A")).deliveries] == ["lis-a", "archive", "copy"]
    assert [a.kind for a in reporting.report(event_of("C")).artifacts] == [SR]


def test_what_no_route_asks_for_and_what_a_reporter_can_t_tell_of_is_not_built() -> None:
    oru, sr, ann = Kept(ORU), Kept(SR, events=frozenset({EventKind.FINAL})), Kept(ANN)
    routes = (Route(events=frozenset(EventKind) - {EventKind.REFUSED}, artifacts=frozenset({ORU, SR}), to=("x",)),)
    reporting = Reporting([oru, sr, ann], routes)
    assert reporting.report(event_of("A", EventKind.REFUSED)).deliveries == ()
    assert len(reporting.report(event_of("A")).deliveries) == 1
    assert ([e.kind for e in oru.built], sr.built, ann.built) == ([EventKind.PRELIMINARY], [], [])


def test_an_event_that_holds_nothing_for_a_reporter_sends_nothing_of_its_kind() -> None:
    routes = (Route(artifacts=frozenset({ORU, ANN}), to=("x",)),)
    reports = Reporting([Kept(ORU), Kept(ANN, nothing=True)], routes).report(event_of("A"))
    assert [a.kind for a in reports.artifacts] == [d.kind for d in reports.deliveries] == [ORU]


def test_what_leaves_without_an_identifier_is_an_error_that_names_the_reporter() -> None:
    """The outbox knows a message by it: the second without one would be taken for the first, and never sent."""
    reporting = Reporting([Kept(SR, identifier="")], (Route(artifacts=frozenset({SR}), to=("x",)),))
    with pytest.raises(Failed, match="Kept made SR of PRELIMINARY without an identifier") as failed:
        reporting.report(event_of("A"))
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.INTERNAL, False)


def test_an_order_that_ends_without_a_result_is_refused_or_cancelled() -> None:
    oru = Kept(ORU)
    reporting = Reporting([oru], (Route(artifacts=frozenset({ORU}), to=("lis",)),))
    (sent,) = reporting.notify(order("A"), "NO_TISSUE", "no tissue was found")
    assert sent.destination == "lis"
    reporting.notify(order("A"), str(ServiceReason.CANCELLED), "the order was cancelled")
    assert [(e.kind, e.reason) for e in oru.built] == [
        (EventKind.REFUSED, "NO_TISSUE"),
        (EventKind.CANCELLED, "CANCELLED"),
    ]
    assert oru.built[0].detail == "no tissue was found"
