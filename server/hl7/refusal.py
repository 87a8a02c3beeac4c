"""What tells the LIS that an order ended without a score, ready for the outbox of one receiver."""

from collections.abc import Sequence
from pathlib import Path

from server.domain.events import Event, EventKind
from server.domain.order import Order
from server.domain.ports import Delivery
from server.hl7.reporter import OruReporter


def refusal_to(order: Order, reason: str, detail: str, *, folder: Path, destination: str) -> Sequence[Delivery]:
    """Raises Failed as OruReporter does."""
    event = Event(kind=EventKind.REFUSED, order=order, reason=reason, detail=detail)
    artifact = OruReporter(folder).build(event)
    assert artifact is not None, "a refusal can always be said"
    return [Delivery(kind=artifact.kind, destination=destination, path=artifact.path, message_id=artifact.identifier)]
