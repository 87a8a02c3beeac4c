"""The MLLP listener: python-hl7's asyncio server in a thread of its own, its handler in a bounded pool of threads.

Frames are split wherever TCP cut them (`frames`). A connection's messages are handled one after the other, so
they are answered in their order; connections run side by side. hl7apy's own server takes one message a connection and
knows no TLS.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import structlog
from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.hl7.er7 import START
from server.hl7.frames import Frames, FrameTooLargeError
from server.hl7.places import Place, Places

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of the largest message, without its envelope."""

HEADER_KEPT = 64 * 1024
FRAME_TIMEOUT_S = 120.0
HANDSHAKE_TIMEOUT_S = 10.0
"""Of TLS: until it is over a connection doesn't count among those that are capped."""

CONNECTIONS = 256
WORKERS = 8
MESSAGES_AT_ONCE = 4
"""Of the largest there may be so many being received or in hand; of ordinary ones, thousands of times as many."""

STREAM_BUFFER = 64 * 1024
ROOM_EVERY_S = 0.05
"""Between two looks at whether there is room for a message's next bytes."""

log = structlog.get_logger()


class Handler(Protocol):
    """`server.hl7.intake.Intake`, or a peer of a test. Called in a thread of the pool."""

    def __call__(self, message: bytes) -> tuple[bytes, ...]: ...

    def refuse(self, message: bytes, error: ChromogenError) -> tuple[bytes, ...]: ...


class MllpListener:
    """Listens from `start` to `stop`; `port` 0 takes a free one.

    TLS with an ssl.SSLContext, client certificates by its mode; who shows one (DER) is handled by `handler_of` it.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limit: int = MESSAGE_LIMIT,
        workers: int = WORKERS,
        connections: int = CONNECTIONS,
        frame_timeout_s: float = FRAME_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
        handler_of: Callable[[bytes], Handler] | None = None,
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        self._handler, self._host, self._port, self._limit = handler, host, port, limit
        self._handler_of = handler_of
        self._frame_timeout_s = frame_timeout_s
        self._places = Places(most=connections, most_bytes=max(MESSAGES_AT_ONCE * limit, connections * STREAM_BUFFER))
        self._options = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": handshake_timeout_s}
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._idle: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._grace_s = 0.0
        self._trouble: BaseException | None = None

    def start(self) -> int:
        """Listen, and return the port. Raises Failed SETTING_INVALID where the address can't be had."""
        ready = threading.Event()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="mllp")
        self._thread = threading.Thread(target=self._run, args=(ready.set,), name="mllp-listener", daemon=True)
        self._thread.start()
        ready.wait()
        if self._trouble is not None:
            self._thread.join()
            self._pool.shutdown()
            raise Failed(
                ServiceReason.SETTING_INVALID, f"MLLP can't listen on {self._host}:{self._port}: is it in use?"
            )
        return self._port

    def stop(self, grace_s: float = 30.0) -> None:
        """Take no more messages; those in hand are handled and answered within `grace_s` seconds."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        self._grace_s = grace_s
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._thread = None

    def _run(self, ready: Callable[[], None]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:
            self._trouble = error
        finally:
            ready()

    async def _serve(self, ready: Callable[[], None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await start_hl7_server(self._connected, self._host, self._port, limit=STREAM_BUFFER, **self._options)
        self._port = server.sockets[0].getsockname()[1]
        ready()
        await self._stopping.wait()
        server.close()
        for task in tuple(self._idle):
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await server.wait_closed()

    async def _connected(self, reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        place = self._places.enter(_address(writer), partial(_cancel, task))
        try:
            if place is None:
                log.warning("mllp_connections_full", connections=self._places.most)
            else:
                _keep_alive(writer.get_extra_info("socket"))
                await self._converse(task, place, reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            log.info("mllp_connection_lost", error=type(error).__name__)
        except asyncio.CancelledError:
            pass  # `stop`, which waits for what is cleaned up below, or another's need of the place
        except Exception as error:  # the listener outlives any one connection; the text may hold a patient's data
            log.error("mllp_connection_failed", error=type(error).__name__)
        finally:
            if place is not None:
                self._places.leave(place)
            self._tasks.discard(task)
            self._idle.discard(task)
            writer.close()

    async def _converse(
        self, task: "asyncio.Task[None]", place: Place, reader: HL7StreamReader, writer: HL7StreamWriter
    ) -> None:
        assert self._stopping is not None
        frames = Frames(reader, self._limit, lambda n: self._held(place, n))
        handler = self._handler_for(writer)
        while not self._stopping.is_set():
            self._idle.add(task)
            first = await frames.begin()
            if not first:
                return
            try:
                frame = await asyncio.wait_for(frames.rest(first), self._frame_timeout_s)
            except FrameTooLargeError as error:
                self._idle.discard(task)
                await self._refuse_large(handler, error.beginning, reader, writer)
                return
            place.busy = True
            self._idle.discard(task)
            await self._answer(handler, frame, writer)
            self._places.handled(place)

    async def _held(self, place: Place, n: int) -> None:
        while not self._places.hold(place, n):
            await asyncio.sleep(ROOM_EVERY_S)

    def _handler_for(self, writer: HL7StreamWriter) -> Handler:
        secure: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        shown = None if secure is None else secure.getpeercert(binary_form=True)
        return self._handler if shown is None or self._handler_of is None else self._handler_of(shown)

    async def _answer(self, handler: Handler, frame: bytes, writer: HL7StreamWriter) -> None:
        start = frame.rfind(START)
        if start > 0:
            log.warning("mllp_frame_never_finished", left_bytes=start)
        if start < 0:
            error = Refused(ServiceReason.MESSAGE_INVALID, "no MLLP start byte (0x0B) before the message")
            replies = await self._in_pool(lambda: handler.refuse(b"", error))
        else:
            message = frame[start + len(START) :]
            replies = await self._in_pool(lambda: handler(message))
        await _write(replies, writer)

    async def _refuse_large(
        self, handler: Handler, beginning: bytes, reader: HL7StreamReader, writer: HL7StreamWriter
    ) -> None:
        error = Refused(
            ServiceReason.MESSAGE_TOO_LARGE,
            f"the message is larger than {self._limit} bytes: send images by DICOM, not in HL7",
        )
        await _write(await self._in_pool(lambda: handler.refuse(beginning, error)), writer)
        # closing with unread bytes would reset the connection, and the peer would lose the answer
        writer.write_eof() if writer.can_write_eof() else None
        await asyncio.wait_for(_drained(reader), timeout=5)

    async def _in_pool(self, call: Callable[[], tuple[bytes, ...]]) -> tuple[bytes, ...]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


async def _write(replies: tuple[bytes, ...], writer: HL7StreamWriter) -> None:
    for reply in replies:
        writer.writeblock(reply)
    await writer.drain()


async def _drained(reader: HL7StreamReader) -> None:
    while await reader.read(HEADER_KEPT):
        pass


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()


def _address(writer: HL7StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def _keep_alive(connection: socket.socket) -> None:
    """A peer that vanished without a word is noticed within minutes, and its place is free again."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
