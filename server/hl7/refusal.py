"""What tells the LIS that an order ended without a score: the ORU in a file of its own, ready for the outbox.

It never sends.
"""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

import structlog

from server.domain.errors import Failed, ServiceReason
from server.domain.order import Order
from server.domain.ports import Delivery
from server.hl7.oru import build_bare_refusal, build_refusal, refusal_control_id

log = structlog.get_logger()


def refusal_to(order: Order, reason: str, detail: str, *, folder: Path, destination: str) -> Sequence[Delivery]:
    """For one receiver.

    Raises Failed: DELIVERY_FAILED (retryable) where it can't be written, INTERNAL where it can't be said.
    """
    control_id, message = refusal_control_id(order, reason), _message(order, reason, detail)
    content = hashlib.sha256(message).hexdigest()[
        :12
    ]  # a worker that lost the order may say the same reason in other words
    path = folder / order.id / "refused" / f"{control_id}-{content}.hl7"
    keep(path, message)
    return [Delivery(kind="ORU", destination=destination, path=path, message_id=control_id)]


def _message(order: Order, reason: str, detail: str) -> bytes:
    """Whatever stands in the order, its number and the reason can be said: without them the LIS would wait for ever."""
    try:
        return build_refusal(order, reason, detail)
    except Exception as error:  # its text may hold a patient's data
        log.error("refusal_said_barely", order=order.id, error=type(error).__name__)
        return build_bare_refusal(order, reason)


def keep(path: Path, message: bytes) -> None:
    """Write a message; it appears under its name when whole, and two may write it at once.

    Raises Failed DELIVERY_FAILED.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{uuid.uuid4()}.part")
        part.write_bytes(message)
        part.replace(path)
    except OSError:
        raise Failed(
            ServiceReason.DELIVERY_FAILED, "the report can't be written: is the disk full?", retryable=True
        ) from None
