"""Takes an order from its bytes into the store, and only then says so.

Whatever goes wrong is answered, never raised.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from server import metrics, traces
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.order import Order, Request
from server.hl7.acknowledge import Answer, acknowledgments
from server.hl7.er7 import DEFAULT_CHARSET, Segment, codec_of, read, read_header
from server.hl7.oml import request_of

Accept = Callable[[Request], tuple[Order, bool]]
"""`ports.Store.accept`: commits, then returns the order and whether it is new."""

_BYTE_FOR_BYTE = "8859/1"
"""Where a message can't be decoded, its header's bytes are returned as they came."""

log = structlog.get_logger()


class Intake:
    """The MLLP listener's handler: a message's bytes in, the acknowledgments due out (often one, at
    times none or two).
    """

    def __init__(self, accept: Accept, *, default_charset: str = DEFAULT_CHARSET) -> None:
        codec_of(default_charset)
        self._accept = accept
        self._default_charset = default_charset

    def __call__(self, message: bytes) -> tuple[bytes, ...]:
        header, charset, began_ns = _readable_header(message), _BYTE_FOR_BYTE, time.time_ns()
        try:
            order_message = read(message, self._default_charset)
            header, charset = order_message.header, order_message.charset
            order, new = self._accept(request_of(order_message))
            answer = Answer(order=order)
            log.info("order_taken", order=order.id, new=new, run=order.run)
            metrics.MESSAGES.labels("TAKEN" if new else "REPEATED").inc()
            traces.accepted(order.id, began_ns, "HL7")
        except ChromogenError as error:
            answer = Answer(error=error)
            metrics.MESSAGES.labels(str(error.reason)).inc()
            log.warning("order_not_taken", reason=str(error.reason), retryable=error.retryable)
        except Exception as error:  # a sender without an answer sends for ever; the text may hold a patient's data
            answer = Answer(
                error=Failed(
                    ServiceReason.INTERNAL, "the order could not be taken: ask for chromogen's log", retryable=True
                )
            )
            metrics.MESSAGES.labels(str(ServiceReason.INTERNAL)).inc()
            log.error("order_not_taken", reason=str(ServiceReason.INTERNAL), error=type(error).__name__)
        return acknowledgments(header, answer, charset=charset, now=datetime.now(UTC))

    def refuse(self, message: bytes, error: ChromogenError) -> tuple[bytes, ...]:
        """Acknowledgments of a message that can't even be read, such as one above the frame limit (its beginning
        suffices).
        """
        metrics.MESSAGES.labels(str(error.reason)).inc()
        log.warning("order_not_taken", reason=str(error.reason), retryable=error.retryable)
        header = _readable_header(message)
        return acknowledgments(header, Answer(error=error), charset=_BYTE_FOR_BYTE, now=datetime.now(UTC))


def _readable_header(message: bytes) -> Segment | None:
    try:
        return read_header(message)
    except Refused:
        return None
