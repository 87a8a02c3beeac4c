"""Sends what the outbox holds: messages by HL7, objects by DICOM. It builds nothing and knows no queue."""

from collections.abc import Mapping
from typing import assert_never

from server.domain.artifact import NATURES, ArtifactKind, Nature
from server.domain.errors import Failed, ServiceReason
from server.domain.ports import Delivery, MessageSink, ObjectSink


class Deliverer:
    """Gives a delivery to the sink of its destination; returns once it is taken.

    Raises Failed: as the sink did, or DELIVERY_FAILED (not retryable) where kind and destination don't fit.
    """

    def __init__(self, *, messages: Mapping[str, MessageSink], objects: Mapping[str, ObjectSink]) -> None:
        self._messages, self._objects = dict(messages), dict(objects)

    def __call__(self, delivery: Delivery) -> None:
        match _nature(delivery):
            case Nature.MESSAGE:
                self._message(delivery)
            case Nature.OBJECT:
                self._object(delivery)
            case Nature.KEPT:
                raise _failed(f"nothing sends the kind {delivery.kind}")
            case nature:
                assert_never(nature)

    def _message(self, delivery: Delivery) -> None:
        sink = self._messages.get(delivery.destination)
        if sink is None:
            raise _failed(_nowhere(delivery))
        try:
            message = delivery.path.read_bytes()
        except OSError as error:
            kind = type(error).__name__
            raise Failed(
                ServiceReason.DELIVERY_FAILED, f"{delivery.path.name} can't be read ({kind})", retryable=True
            ) from None
        sink.send(message)

    def _object(self, delivery: Delivery) -> None:
        sink = self._objects.get(delivery.destination)
        if sink is None:
            raise _failed(_nowhere(delivery))
        sink.store([delivery.path])


def _nature(delivery: Delivery) -> Nature:
    """A kind that isn't known any more is sent by nothing."""
    return NATURES[delivery.kind] if delivery.kind in set(ArtifactKind) else Nature.KEPT


def _nowhere(delivery: Delivery) -> str:
    name = delivery.destination
    return (
        f"no destination {name} takes {delivery.kind}: name it in the site file or set CHROMOGEN_LIS_HOST, then replay"
    )


def _failed(message: str) -> Failed:
    return Failed(ServiceReason.DELIVERY_FAILED, message)
