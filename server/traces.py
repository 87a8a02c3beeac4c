"""Spans for OpenTelemetry, where CHROMOGEN_TRACES_ENDPOINT asks for them; without it nothing of OpenTelemetry is even
imported.

A trace is an order: its id is the order's own, without the dashes. So what intake, API and workers did for an order, in
each attempt, is one trace, and nothing has to be handed on from one to the other. Attributes are the order's id,
attempt, priority and reasons; never a text of an exception, which may quote a patient.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING

from inference.errors import ChromogenError
from server.domain.errors import Refused, ServiceReason
from server.domain.order import OrderId
from server.settings import Traces

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

TIMEOUT_S = 5.0

_tracer: "Tracer | None" = None
_order: ContextVar[OrderId | None] = ContextVar("order", default=None)


@contextmanager
def traced(wanted: Traces, process: str) -> Iterator[None]:
    """Send the spans of this process meanwhile; what waits is sent at the end. Raises Refused SETTING_INVALID."""
    global _tracer
    if not wanted.endpoint:
        yield
        return
    provider = _provider(wanted, process)
    _tracer = provider.get_tracer("chromogen", version("chromogen"))
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


@contextmanager
def order_span(name: str, order_id: OrderId, **attributes: str | int) -> Iterator[None]:
    """What is done for an order; spans inside it are its children."""
    if _tracer is None:
        yield
        return
    from opentelemetry.context import Context

    token = _order.set(order_id)
    try:
        given = {"chromogen.order": order_id} | {f"chromogen.{key}": value for key, value in attributes.items()}
        with (
            _tracer.start_as_current_span(
                name, Context(), attributes=given, record_exception=False, set_status_on_exception=False
            ) as current,
            _noted(current),
        ):
            yield
    finally:
        _order.reset(token)


@contextmanager
def span(name: str) -> Iterator[None]:
    """A stage of what is done for an order; outside of one nothing is sent."""
    if _tracer is None or _order.get() is None:
        yield
        return
    with (
        _tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as current,
        _noted(current),
    ):
        yield


def accepted(order_id: OrderId, began_ns: int, by: str) -> None:
    """An order was taken, `by` HL7 or API; `began_ns` as time.time_ns tells: before it came its id wasn't known."""
    if _tracer is None:
        return
    from opentelemetry.context import Context

    token = _order.set(order_id)
    try:
        attributes = {"chromogen.order": order_id, "chromogen.by": by}
        _tracer.start_span("accept", Context(), start_time=began_ns, attributes=attributes).end()
    finally:
        _order.reset(token)


@contextmanager
def _noted(current: "Span") -> Iterator[None]:
    """What goes wrong is noted by its reason, or its type."""
    try:
        yield
    except BaseException as error:
        note(current, str(error.reason) if isinstance(error, ChromogenError) else type(error).__name__)
        raise


def note(current: "Span", reason: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    current.set_status(Status(StatusCode.ERROR, reason))


def ended(reason: str) -> None:
    """The present span of an order went wrong, by a reason that isn't raised."""
    if _tracer is not None and _order.get() is not None:
        from opentelemetry.trace import get_current_span

        note(get_current_span(), reason)


def _provider(wanted: Traces, process: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class OrderIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            order_id = _order.get()
            return super().generate_trace_id() if order_id is None else uuid.UUID(order_id).int

    if wanted.ca is not None and not wanted.ca.is_file():
        raise Refused(ServiceReason.SETTING_INVALID, f"CHROMOGEN_TRACES_CA: {wanted.ca} can't be read")
    exporter = OTLPSpanExporter(
        endpoint=wanted.endpoint, timeout=TIMEOUT_S, certificate_file=None if wanted.ca is None else str(wanted.ca)
    )
    resource = Resource.create({"service.name": f"chromogen-{process}", "service.version": version("chromogen")})
    provider = TracerProvider(resource=resource, id_generator=OrderIds(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
