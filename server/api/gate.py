"""What every call goes through before a servicer sees it: who, may they, how often, how long, how large; and errors
after it.

A call reaches us as bytes and is parsed only once its caller may make it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from server import metrics
from server.api import permissions
from server.api.auth import Authenticate
from server.api.errors import ADVICE, abort, unexpected
from server.api.limits import Rate, Slots
from server.domain.access import Caller
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason

LONGEST_STREAM_S = 3600.0
LARGEST_IMAGE_CALL = 17 << 20
LARGEST_CALL = 1 << 20
IMAGE_SERVICE = f"/{permissions.PACKAGE}.AnalysisService/"

Behaviour = Callable[[Any, "Call"], Any]
Parse = Callable[[bytes], Any]
NoteRefusal = Callable[[Caller, str], None]
"""Writes down that a caller may not call a method; raises nothing."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that may be made: what servicers get in place of gRPC's context."""

    actor: Caller
    context: grpc.ServicerContext
    stopping: threading.Event

    @property
    def wanted(self) -> bool:
        """Does the caller still wait, and is there time?"""
        return self.actor.still_there()

    def go_on(self) -> None:
        """Between the steps of a stream. Raises Failed CANCELLED where nobody waits any more, SERVER_STOPPING."""
        if self.stopping.is_set():
            raise Failed(ServiceReason.SERVER_STOPPING, "the server stops", retryable=True)
        if not self.wanted:
            raise Failed(ServiceReason.CANCELLED, "the caller has gone: nothing was kept")


class Gate(grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """One for a server."""

    def __init__(
        self, authenticate: Authenticate, *, rate: Rate, streams: Slots, deadline_s: float, note_refusal: NoteRefusal
    ) -> None:
        self._authenticate, self._rate, self._streams, self._deadline_s = authenticate, rate, streams, deadline_s
        self._note_refusal = note_refusal
        self._stopping = threading.Event()

    def stop_streams(self) -> None:
        """Streams end at their next step, lest a watch hold up the stop; what is under way otherwise, goes on."""
        self._stopping.set()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None:
            return grpc.unary_unary_rpc_method_handler(self._unknown)
        if details.method in permissions.PUBLIC:
            return handler
        return self._guarded(details.method, handler)

    def _unknown(self, request: bytes, context: grpc.ServicerContext) -> None:
        """Which methods there are, too, is told only to who has a token."""
        try:
            self._authenticate(tuple(context.invocation_metadata()), _certificate(context))
            raise Refused(ServiceReason.NOT_IMPLEMENTED, "there is no such method in this version")
        except ChromogenError as error:
            abort(context, error)

    def _guarded(self, method: str, handler: Any) -> Any:
        """The same handler, taking bytes."""
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        parse, serialize = handler.request_deserializer, handler.response_serializer

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            with self._passing(method, context, self._deadline_s) as call:
                return behaviour(self._parsed(method, parse, request, handler.request_streaming), call)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._passing(method, context, LONGEST_STREAM_S) as call, self._streams.one():
                yield from behaviour(self._parsed(method, parse, request, handler.request_streaming), call)

        match (handler.request_streaming, handler.response_streaming):
            case (False, False):
                return grpc.unary_unary_rpc_method_handler(one, None, serialize)
            case (False, True):
                return grpc.unary_stream_rpc_method_handler(many, None, serialize)
            case (True, False):
                return grpc.stream_unary_rpc_method_handler(one, None, serialize)
            case _:
                return grpc.stream_stream_rpc_method_handler(many, None, serialize)

    @contextmanager
    def _passing(self, method: str, context: grpc.ServicerContext, longest_s: float) -> Iterator[Call]:
        """Admits a call, or ends it; whatever it raises becomes a status."""
        began, said = time.perf_counter(), "OK"
        with structlog.contextvars.bound_contextvars(method=method.rsplit("/", 1)[-1]):
            try:
                yield self._admitted(method, context, longest_s)
            except ChromogenError as error:
                said = str(error.reason)
                abort(context, _as_told(error, context))
            except GeneratorExit:
                said = "LEFT"
                raise
            except Exception as error:
                if not context.is_active() and not isinstance(error, ChromogenError):
                    said = str(ServiceReason.CANCELLED)
                else:
                    said = str(ServiceReason.INTERNAL)
                    log.error("call_broke", error=type(error).__name__)
                abort(context, unexpected())
            finally:
                seconds = time.perf_counter() - began
                metrics.call(method.rsplit("/", 1)[-1], said, seconds)
                log.info("call", outcome=said, seconds=round(seconds, 4))

    def _admitted(self, method: str, context: grpc.ServicerContext, longest_s: float) -> Call:
        actor = self._authenticate(tuple(context.invocation_metadata()), _certificate(context))
        self._rate.take(f"{actor.lab}/{actor.subject}")
        self._permit(actor, method)
        until = time.monotonic() + longest_s

        def still_there() -> bool:
            return bool(context.is_active()) and time.monotonic() < until

        return Call(actor=replace(actor, still_there=still_there), context=context, stopping=self._stopping)

    def _permit(self, actor: Caller, method: str) -> None:
        try:
            permissions.check(actor, method)
        except Refused:
            self._note_refusal(actor, method)
            raise

    def _parsed(self, method: str, parse: Parse, request: Any, streaming: bool) -> Any:
        most = LARGEST_IMAGE_CALL if method.startswith(IMAGE_SERVICE) else LARGEST_CALL
        return (_message(parse, part, most) for part in request) if streaming else _message(parse, request, most)


def _certificate(context: grpc.ServicerContext) -> bytes | None:
    """The client's, PEM; None where none was asked for."""
    found: list[bytes] = context.auth_context().get("x509_pem_cert") or []
    return found[0] if found else None


def _message(parse: Parse, data: bytes, most: int) -> Any:
    if len(data) > most:
        raise Refused(ServiceReason.MESSAGE_TOO_LARGE, f"the message is larger than {most >> 20} MiB")
    try:
        return parse(data)
    except (DecodeError, ValueError):
        raise Refused(
            ServiceReason.ARGUMENT_INVALID, "the message is not one of this method: check the client's version"
        ) from None


def _as_told(error: ChromogenError, context: grpc.ServicerContext) -> ChromogenError:
    """CANCELLED is what a store says of a call that took too long, too.

    Its caller, who is still there, learns which.
    """
    if error.reason == ServiceReason.CANCELLED and context.is_active():
        return Failed(
            ServiceReason.DEADLINE_EXCEEDED, "the call took longer than is allowed: nothing was kept", retryable=True
        )
    return error if error.reason in ADVICE else unexpected()
