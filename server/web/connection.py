"""uvicorn's HTTP connection with the limits that it lacks: who sends no request is not waited for, and no address takes
all places.
"""

import asyncio
import socket
import ssl
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.web.door import CERTIFICATE

REQUEST_S = 10.0
"""For the head of a request to arrive, and for a connection to say anything."""
MOST_CONNECTIONS = 256
MOST_OF_ADDRESS = 128


class BoundedConnection(H11Protocol):
    """One connection."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        if self._is_one_too_many():
            transport.abort()
            return
        _send_at_once(transport)
        self._hand_on_certificate()
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_one_too_many(self) -> bool:
        address = self.client[0] if self.client else ""
        same = sum(1 for other in self.connections if _address(other) == address)
        return len(self.connections) > MOST_CONNECTIONS or same > MOST_OF_ADDRESS

    def _wait_for_request(self) -> None:
        """A timer runs while no request does, from the end of the last one on: bytes one by one don't prolong it."""
        if self._is_in_request():
            self._stop_waiting()
        elif self._late is None:
            self._late = self.loop.call_later(REQUEST_S, self.transport.close)

    def _is_in_request(self) -> bool:
        """Its head has come, and not all of its answer has gone."""
        return self.cycle is not None and not self.cycle.response_complete and self.conn.their_state is not h11.IDLE

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _hand_on_certificate(self) -> None:
        secure: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object")
        shown = None if secure is None else secure.getpeercert(binary_form=True)
        if shown is None:
            return
        app, pem = self.app, ssl.DER_cert_to_PEM_cert(shown).encode()

        async def with_certificate(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, CERTIFICATE: pem}, receive, send)

        self.app = with_certificate


def _send_at_once(transport: asyncio.Transport) -> None:
    """Head and body are written apart: without this the second waits 40 ms for the first to be acknowledged.

    asyncio does so itself only for sockets that were made with IPPROTO_TCP, which `socket.create_server`'s weren't.
    """
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _address(connection: Any) -> str:
    return connection.client[0] if connection.client else ""
