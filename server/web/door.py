"""What every operation by HTTP goes through: who, how often, may they; as the gate of the gRPC door does."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import structlog
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server import metrics
from server.domain.access import Authenticate, Caller
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.services import permissions
from server.services.limits import Places, Rate

T = TypeVar("T")
Json = Mapping[str, object]
Work = Callable[[Request, Caller], Json | Response]
"""Synchronous; runs in one of the door's threads. `body_of` gives what was sent."""
NoteRefusal = Callable[[Caller, str], None]

THREADS = 8
RECEIVE_S = 30.0
"""For a body to arrive."""
SMALL_BODY = 64 << 10
LARGE_BODIES = 32
"""Of more than that, at once: 128 connections of one caller with 4 MiB each took half a gigabyte."""
CREDENTIALS = frozenset({"authorization", "cookie", "x-csrf", "origin", "sec-fetch-site", "host"})
METHOD = ":method"
"""Of the request, among what an authentication is shown."""
CERTIFICATE = "chromogen.certificate"
"""In a connection's scope: the client's certificate (PEM)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An address and what it does; `name` as the table of permissions has it."""

    path: str
    method: str
    name: str
    work: Work


class Door:
    """One for a server."""

    def __init__(self, authenticate: Authenticate, *, rate: Rate, note_refusal: NoteRefusal) -> None:
        self._authenticate, self._rate, self._note_refusal = authenticate, rate, note_refusal
        self._threads = anyio.CapacityLimiter(THREADS)
        self._bodies = Places(LARGE_BODIES, ServiceReason.TOO_MANY_CALLS, "large bodies")

    def route(self, operation: Operation) -> Route:
        return Route(operation.path, self._endpoint(operation), methods=[operation.method], name=operation.name)

    async def admit(self, request: Request, name: str) -> Caller:
        """Who asks, for endpoints that are no Operation. Raises as the authentication does, RATE_LIMITED,
        PERMISSION_DENIED.
        """
        return await self._in_thread(self._admitted, name, request)

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            with said(operation.name):
                caller = await self.admit(request, operation.name)
                with self._room_for(request, caller):
                    await _received(request)
                    return await self._in_thread(self._answered, operation, request, caller)

        return answer

    @contextmanager
    def _room_for(self, request: Request, caller: Caller) -> Iterator[None]:
        """Raises Failed TOO_MANY_CALLS (retryable)."""
        said = request.headers.get("content-length", "0")
        chunked = "transfer-encoding" in request.headers
        small = not chunked and said.isdigit() and int(said) <= SMALL_BODY
        give_back = None if small else self._bodies.take(caller.lab)
        try:
            yield
        finally:
            if give_back is not None:
                give_back()

    async def _in_thread(self, work: Callable[..., T], *given: Any) -> T:
        return await to_thread.run_sync(work, *given, limiter=self._threads)

    def _answered(self, operation: Operation, request: Request, caller: Caller) -> Response:
        answer = operation.work(request, caller)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    def _admitted(self, name: str, request: Request) -> Caller:
        shown = [(key, value) for key, value in request.headers.items() if key in CREDENTIALS]
        metadata = [(METHOD, request.method), *shown]
        caller = self._authenticate(metadata, request.scope.get(CERTIFICATE))
        self._rate.take(f"{caller.lab}/{caller.subject}")
        try:
            permissions.check(caller, name)
        except Refused:
            self._note_refusal(caller, name)
            raise
        return caller


def body_of(request: Request) -> bytes:
    """Of an operation's request."""
    body: bytes = request.state.body
    return body


async def _received(request: Request) -> None:
    """Raises Failed DEADLINE_EXCEEDED, Refused MESSAGE_TOO_LARGE."""
    try:
        with anyio.fail_after(RECEIVE_S):
            request.state.body = await request.body()
    except TimeoutError:
        message = f"the body did not arrive within {RECEIVE_S:g} s"
        raise Failed(ServiceReason.DEADLINE_EXCEEDED, message, retryable=True) from None


@contextmanager
def said(name: str) -> Iterator[None]:
    """Log and metrics say how an operation ended."""
    began, outcome = time.perf_counter(), str(ServiceReason.INTERNAL)
    with structlog.contextvars.bound_contextvars(method=name, door="web"):
        try:
            yield
            outcome = "OK"
        except ChromogenError as error:
            outcome = str(error.reason)
            raise
        finally:
            seconds = time.perf_counter() - began
            metrics.call(name, outcome, seconds)
            log.info("call", outcome=outcome, seconds=round(seconds, 4))
