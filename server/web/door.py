"""What every operation by HTTP goes through: who, how often, may they; as the gate of the gRPC door does."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
import structlog
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server import metrics
from server.domain.access import Authenticate, Caller
from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.services import permissions
from server.services.limits import Rate

Json = Mapping[str, object]
Work = Callable[[Request, Caller], Json]
"""Synchronous; runs in one of the door's threads."""
NoteRefusal = Callable[[Caller, str], None]

THREADS = 8
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

    def route(self, operation: Operation) -> Route:
        return Route(operation.path, self._endpoint(operation), methods=[operation.method], name=operation.name)

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await to_thread.run_sync(self._answered, operation, request, limiter=self._threads)

        return answer

    def _answered(self, operation: Operation, request: Request) -> Response:
        began, said = time.perf_counter(), str(ServiceReason.INTERNAL)
        with structlog.contextvars.bound_contextvars(method=operation.name, door="web"):
            try:
                answer = JSONResponse(operation.work(request, self._admitted(operation, request)))
                said = "OK"
                return answer
            except ChromogenError as error:
                said = str(error.reason)
                raise
            finally:
                seconds = time.perf_counter() - began
                metrics.call(operation.name, said, seconds)
                log.info("call", outcome=said, seconds=round(seconds, 4))

    def _admitted(self, operation: Operation, request: Request) -> Caller:
        metadata = [(name, value) for name, value in request.headers.items() if name == "authorization"]
        caller = self._authenticate(metadata, request.scope.get(CERTIFICATE))
        self._rate.take(f"{caller.lab}/{caller.subject}")
        try:
            permissions.check(caller, operation.name)
        except Refused:
            self._note_refusal(caller, operation.name)
            raise
        return caller
