"""Takes an order, or its cancellation, from its bytes into the store, and only then says so.

Whatever goes wrong is answered, never raised.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from server import metrics, traces
from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.clock import Clock, utc_now
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.order import Order, Request
from server.hl7.acknowledge import Answer, acknowledgments
from server.hl7.er7 import DEFAULT_CHARSET, Message, Segment, codec_of, read, read_header
from server.hl7.oml import cancellation_of, control_of, request_of
from server.hl7.order_reply import CANCELLING, OrderReply, cancelled, imaging_of, taken

Accept = Callable[[Request], tuple[Order, bool]]
"""`ports.Store.accept`: commits, then returns the order and whether it is new."""

Cancel = Callable[[Cancellation], CancelOutcome]
"""`ports.Store.cancel`: commits, then returns what came of it."""

_BYTE_FOR_BYTE = "8859/1"
"""Where a message can't be decoded, its header's bytes are returned as they came."""

log = structlog.get_logger()


class Intake:
    """The MLLP listener's handler: a message's bytes in, the acknowledgments due out (often one, at
    times none or two).
    """

    def __init__(
        self, accept: Accept, cancel: Cancel, *, default_charset: str = DEFAULT_CHARSET, now: Clock = utc_now
    ) -> None:
        codec_of(default_charset)
        self._accept, self._cancel, self._now = accept, cancel, now
        self._default_charset = default_charset

    def __call__(self, message: bytes) -> tuple[bytes, ...]:
        header, charset, began_ns = _readable_header(message), _BYTE_FOR_BYTE, time.time_ns()
        try:
            order_message = read(message, self._default_charset)
            header, charset = order_message.header, order_message.charset
            reply = self._heeded(order_message, began_ns)
            answer = Answer(reply=replace(reply, imaging=imaging_of(order_message)))
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
        return acknowledgments(header, answer, charset=charset, now=self._now())

    def _heeded(self, message: Message, began_ns: int) -> OrderReply:
        control = control_of(message)
        if control in CANCELLING:
            return self._cancelled(message, control)
        order, new = self._accept(request_of(message))
        log.info("order_taken", order=order.id, new=new, run=order.run)
        metrics.MESSAGES.labels("TAKEN" if new else "REPEATED").inc()
        traces.accepted(order.id, began_ns, "HL7")
        return taken(order)

    def _cancelled(self, message: Message, control: str) -> OrderReply:
        asked = cancellation_of(message)
        outcome = self._cancel(asked)
        reply = cancelled(control, asked, outcome)
        log.info("order_cancelled_by_message", order=reply.order_id, answer=reply.control, reason=reply.reason)
        metrics.MESSAGES.labels("CANCELLED" if outcome.cancelled else "NOT_CANCELLED").inc()
        return reply

    def refuse(self, message: bytes, error: ChromogenError) -> tuple[bytes, ...]:
        """Acknowledgments of a message that can't even be read, such as one above the frame limit (its beginning
        suffices).
        """
        metrics.MESSAGES.labels(str(error.reason)).inc()
        log.warning("order_not_taken", reason=str(error.reason), retryable=error.retryable)
        header = _readable_header(message)
        return acknowledgments(header, Answer(error=error), charset=_BYTE_FOR_BYTE, now=self._now())


def _readable_header(message: bytes) -> Segment | None:
    try:
        return read_header(message)
    except Refused:
        return None
