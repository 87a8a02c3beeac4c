"""What tells whoever ordered that there will be no score: made before the end is committed, queued
in its transaction.
"""

from collections.abc import Callable, Sequence

import structlog

from server.domain.errors import Failed
from server.domain.order import Order
from server.domain.ports import Delivery
from server.store import outbox

Notify = Callable[[Order, str, str], Sequence[Delivery]]
"""Makes what tells whoever ordered that there is no score: reason, and a line for a person.

Its files are there on return.
"""

log = structlog.get_logger()


def notify_nobody(order: Order, reason: str, detail: str) -> Sequence[Delivery]:
    """Where nobody is to be told."""
    return ()


def notified(notify: Notify, order: Order, reason: str, detail: str) -> list[tuple[Delivery, str]]:
    """What goes out with an end, and its digests. Raises Failed DELIVERY_FAILED (retryable) while it can't be written.

    One that can't be made at all is logged, by the kind of its error alone: the order ends all the same.
    """
    try:
        return [(delivery, outbox.digest(delivery.path)) for delivery in notify(order, reason, detail)]
    except Exception as error:
        if isinstance(error, Failed) and error.retryable:
            raise
        log.error("orderer_not_notified", order=order.id, reason=reason, error=type(error).__name__)
        return []
