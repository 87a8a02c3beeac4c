"""Sends what the outbox holds: an ORU by MLLP, DICOM objects to an archive. It builds nothing and knows no queue."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from server.domain.errors import Failed, ServiceReason
from server.domain.ports import Archive, Delivery

ORU = "ORU"
DICOM_KINDS = frozenset({"SR", "ANN", "SEG"})


class SendMllp(Protocol):
    """`server.hl7.sender.send`."""

    def __call__(
        self, message: bytes, *, host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A peer that takes HL7 by MLLP."""

    host: str
    port: int
    timeout_s: float = 30
    tls: ssl.SSLContext | None = None


class Deliverer:
    """Calls the sender that a delivery's kind and destination ask for; returns once it is taken.

    Raises Failed: as the sender did, or DELIVERY_FAILED (not retryable) where kind, destination or file don't fit.
    """

    def __init__(self, *, receivers: Mapping[str, Receiver], archives: Mapping[str, Archive], send: SendMllp) -> None:
        self._receivers, self._archives, self._send = dict(receivers), dict(archives), send

    def __call__(self, delivery: Delivery) -> None:
        if delivery.kind == ORU:
            self._message(delivery)
        elif delivery.kind in DICOM_KINDS:
            self._object(delivery)
        else:
            raise _failed(f"nothing sends the kind {delivery.kind}")

    def _message(self, delivery: Delivery) -> None:
        receiver = self._receivers.get(delivery.destination)
        if receiver is None:
            raise _failed(f"no MLLP receiver is called {delivery.destination}: set CHROMOGEN_LIS_HOST, then replay")
        try:
            message = delivery.path.read_bytes()
        except OSError as error:
            kind = type(error).__name__
            raise Failed(
                ServiceReason.DELIVERY_FAILED, f"{delivery.path.name} can't be read ({kind})", retryable=True
            ) from None
        self._send(message, host=receiver.host, port=receiver.port, timeout_s=receiver.timeout_s, tls=receiver.tls)

    def _object(self, delivery: Delivery) -> None:
        archive = self._archives.get(delivery.destination)
        if archive is None:
            raise _failed(f"no archive is called {delivery.destination}")
        archive.store([delivery.path])


def _failed(message: str) -> Failed:
    return Failed(ServiceReason.DELIVERY_FAILED, message)
