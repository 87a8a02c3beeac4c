"""What every call goes through before a servicer sees it: who, may they, how often, how long, how large; and errors
after it.

All of it happens on one event loop, where a call without a token, or without its message, costs no thread: only what a
caller may do, and has sent, is given to a pool. Health is answered on the loop itself.
"""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import grpc
import structlog

from server import metrics
from server.api.errors import abort, told
from server.api.messages import Messages
from server.api.methods import IMAGE_SERVICE, PUBLIC, TAKE_IMAGES, Handler, operation_of
from server.api.receive import Waiting, only_message, parsed
from server.api.work import Steps, outcome
from server.domain.access import Authenticate, Caller
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.services import permissions
from server.services.limits import Places, Rate

LONGEST_STREAM_S = 3600.0
LARGEST_IMAGE_CALL = 17 << 20
LARGEST_CALL = 1 << 20
MOST_WATCHES = 64
"""Of health, at once: nobody is asked for a token."""
MOST_PUBLIC_WAITING = 512
AUTHENTICATING_THREADS = 4

T = TypeVar("T")
NoteRefusal = Callable[[Caller, str], None]
"""Writes down that a caller may not call a method; raises nothing."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that may be made: what servicers get in place of gRPC's context."""

    actor: Caller
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where calls of one kind run: the places that there are, the threads, and how long a message may take to come."""

    places: Places
    pool: ThreadPoolExecutor
    receive_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Ordinary calls, pictures and streams take no place from one another. `idle_s` ends a stream where nothing
    happens, `deadline_s` a call.
    """

    calls: Room
    images: Room
    streams: Room
    deadline_s: float
    idle_s: float

    def of(self, method: str) -> Room:
        return self.images if method.startswith(IMAGE_SERVICE) else self.calls

    def close(self) -> None:
        for room in (self.calls, self.images, self.streams):
            room.pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True, kw_only=True)
class _Passage:
    """One call on its way: when it must be over, and whether its caller has gone."""

    until: float
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def left_s(self) -> float:
        return self.until - time.monotonic()

    def still_there(self) -> bool:
        return not self.gone.is_set() and self.left_s > 0


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """One for a server."""

    def __init__(
        self, authenticate: Authenticate, *, rate: Rate, rooms: Rooms, note_refusal: NoteRefusal, certificates: bool
    ) -> None:
        """`certificates`: clients show one (where none is asked for, to look for it takes longer than the token)."""
        self._authenticate, self._rate, self._rooms, self._note_refusal = authenticate, rate, rooms, note_refusal
        self._certificates = certificates
        self._stopping = threading.Event()
        self._door = ThreadPoolExecutor(AUTHENTICATING_THREADS, thread_name_prefix="grpc-door")
        self._waiting = Waiting(MOST_PUBLIC_WAITING)
        self._watches = Places(2 * MOST_WATCHES, ServiceReason.TOO_MANY_STREAMS, "watches of health")

    def stop_streams(self) -> None:
        """Streams end at their next step, lest a watch hold up the stop; what is under way otherwise, goes on."""
        self._stopping.set()

    def close(self) -> None:
        """Once the server has stopped."""
        self._door.shutdown(wait=False, cancel_futures=True)
        self._rooms.close()

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Every method takes bytes, as a stream: gRPC would else await a message before anyone is asked who he is.

        One answer is returned, and goes out with the status: written, it would go alone.
        """
        found = await continuation(details)
        if found is None:
            return grpc.stream_stream_rpc_method_handler(self._unknown)
        handler = Handler.of(found)
        if details.method in PUBLIC:
            return self._public(handler)
        return (
            self._streamed(details.method, handler) if handler.answers_many else self._single(details.method, handler)
        )

    async def _unknown(self, _: object, context: grpc.aio.ServicerContext) -> None:
        """Which methods there are, too, is told only to who has a token."""
        try:
            await self._caller(context)
            raise Refused(ServiceReason.NOT_IMPLEMENTED, "there is no such method in this version")
        except ChromogenError as error:
            await abort(context, error)

    def _public(self, handler: Handler) -> Any:
        async def answer(_: object, context: grpc.aio.ServicerContext) -> None:
            try:
                data = await self._waiting.message(context, self._rooms.calls.receive_s)
                request = parsed(handler.parse, data, LARGEST_CALL)
                if not handler.answers_many:
                    await context.write(handler.serialize(await handler.behaviour(request, context)))
                    return
                await self._watched(handler, request, context)
            except ChromogenError as error:
                await abort(context, error)

        return grpc.stream_stream_rpc_method_handler(answer)

    async def _watched(self, handler: Handler, request: Any, context: grpc.aio.ServicerContext) -> None:
        release = self._watches.take("")
        try:
            async for message in handler.behaviour(request, context):
                await context.write(handler.serialize(message))
        finally:
            release()

    def _single(self, method: str, handler: Handler) -> Any:
        room, most = self._rooms.of(method), _most(method)

        async def answer(_: object, context: grpc.aio.ServicerContext) -> bytes:
            async with self._passing(method, context, self._rooms.deadline_s) as passage:
                call = await self._admitted(method, context, passage)
                release = room.places.take(call.actor.lab)
                try:
                    data = await only_message(context, room.receive_s)
                except BaseException:
                    release()
                    raise

                def work() -> bytes:
                    return handler.serialize(handler.behaviour(parsed(handler.parse, data, most), call))

                return await outcome(room.pool, work, passage.left_s, release)
            return b""  # nobody waits for it

        return grpc.stream_unary_rpc_method_handler(answer)

    def _streamed(self, method: str, handler: Handler) -> Any:
        room, most = self._rooms.streams, _most(method)

        async def answer(_: object, context: grpc.aio.ServicerContext) -> None:
            async with self._passing(method, context, LONGEST_STREAM_S) as passage:
                call = await self._admitted(method, context, passage)
                messages = Messages(context, call.go_on, handler.parse, most)
                steps = Steps(room.pool, _answers(handler, messages, call), room.places.take(call.actor.lab))
                try:
                    await messages.fetch(room.receive_s)
                    while (data := await steps.next(self._idle_s(passage))) is not None:
                        await context.write(data)
                        if handler.takes_many:
                            await messages.fetch(self._idle_s(passage))
                finally:
                    passage.gone.set()
                    steps.close()

        return grpc.stream_stream_rpc_method_handler(answer)

    def _idle_s(self, passage: _Passage) -> float:
        return min(self._rooms.idle_s, passage.left_s)

    @asynccontextmanager
    async def _passing(
        self, method: str, context: grpc.aio.ServicerContext, longest_s: float
    ) -> AsyncIterator[_Passage]:
        """Lets a call pass, or ends it; whatever it raises becomes a status.

        What came of it is logged before the caller hears of it.
        """
        passage, began = _Passage(until=time.monotonic() + longest_s), time.perf_counter()
        refusal: ChromogenError | None = None
        with structlog.contextvars.bound_contextvars(method=operation_of(method)):
            said = str(ServiceReason.CANCELLED)
            try:
                yield passage
                said = "OK"
            except Exception as error:
                gone = bool(context.cancelled())
                if isinstance(error, ChromogenError) or not gone:
                    refusal = told(error, still_there=not gone)
                    said = str(refusal.reason)
            finally:
                passage.gone.set()
                seconds = time.perf_counter() - began
                metrics.call(operation_of(method), said, seconds)
                log.info("call", outcome=said, seconds=round(seconds, 4))
        if refusal is not None:
            await abort(context, refusal)

    async def _admitted(self, method: str, context: grpc.aio.ServicerContext, passage: _Passage) -> Call:
        actor = await self._caller(context)
        self._rate.take(f"{actor.lab}/{actor.subject}")
        try:
            permissions.check(actor, operation_of(method))
        except Refused:
            await self._at_the_door(lambda: self._note_refusal(actor, method))
            raise
        return Call(actor=replace(actor, still_there=passage.still_there), stopping=self._stopping)

    async def _caller(self, context: grpc.aio.ServicerContext) -> Caller:
        """On the loop where the keys are at hand, else in a thread: few callers at once wait for them, for seconds."""
        metadata = tuple(context.invocation_metadata() or ())
        certificate = _certificate(context) if self._certificates else None
        if not self._authenticate.may_wait(metadata):
            return self._authenticate(metadata, certificate)
        return await self._at_the_door(lambda: self._authenticate(metadata, certificate))

    async def _at_the_door(self, work: Callable[[], T]) -> T:
        return await outcome(self._door, work, self._rooms.deadline_s, lambda: None)


def _answers(handler: Handler, messages: Messages, call: Call) -> Iterator[bytes]:
    """As bytes; made in the stream's thread, step by step."""
    for answer in handler.behaviour(messages if handler.takes_many else next(messages), call):
        yield handler.serialize(answer)


def _most(method: str) -> int:
    return LARGEST_IMAGE_CALL if method.startswith(TAKE_IMAGES) else LARGEST_CALL


def _certificate(context: grpc.aio.ServicerContext) -> bytes | None:
    """The client's, PEM; None where none was asked for."""
    found = list(context.auth_context().get("x509_pem_cert") or [])
    return found[0] if found else None
