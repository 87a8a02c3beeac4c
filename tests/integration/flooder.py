"""A process that lets connections lie on the doors of a `serve`, idle and half open, and opens anew each one that is
closed, until its standard input ends. Each look it prints how many lie on each door, a JSON object a line.

Told by one argument, JSON: see `Flood`.
"""

import json
import select
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from server.hl7.er7 import START
from tests.server.api.half_open import HALF_A_MESSAGE, OPENING, call_begun

IDLE, HALF_OPEN = 200, 40
"""On each door."""
ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
"""Whence they come in turn: one address alone the HTTP door bounds already."""
LOOK_EVERY_S = 0.5
BEGIN_EVERY_S = 8.0
"""A call that was begun and ended for it, is begun anew."""
TIMEOUT_S = 5.0
SILENT_OF = 4
"""By TLS, one idle connection of so many doesn't shake hands."""
METHOD = "/chromogen.v1.OrderService/CreateOrder"
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half"
HALF_A_BODY = b"POST /api/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nhalf of it"
HALF_AN_ORDER = START + b"MSH|^~\\&|INVENTED|INVENTED|" + b"x" * 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """`doors`: their ports by name (mllp, grpc, http); `authority` a PEM file, empty: no TLS; `token` of a caller."""

    doors: dict[str, int]
    authority: str
    token: str

    def context(self, door: str) -> ssl.SSLContext | None:
        if not self.authority:
            return None
        made = ssl.create_default_context(cafile=self.authority)
        if door == "grpc":
            made.set_alpn_protocols(["h2"])
        return made


@dataclass(slots=True, kw_only=True)
class Lying:
    """The `number`th connection on a door."""

    flood: Flood
    door: str
    number: int
    context: ssl.SSLContext | None
    connection: socket.socket | None = None
    begun_at: float = 0.0
    _stream: int = field(default=1)

    @property
    def is_half_open(self) -> bool:
        return self.number >= IDLE

    def keep(self) -> bool:
        """Does it lie there?"""
        if self.connection is None:
            with suppress(OSError):
                self._open()
        elif self._is_closed():
            self.connection.close()
            self.connection = None
        elif self.door == "grpc" and self.is_half_open and time.monotonic() > self.begun_at + BEGIN_EVERY_S:
            self._begin(self.connection)
        return self.connection is not None

    def _open(self) -> None:
        address = ADDRESSES[self.number % len(ADDRESSES)]
        made = socket.create_connection(("127.0.0.1", self.flood.doors[self.door]), TIMEOUT_S, (address, 0))
        try:
            if self.context is not None and (self.is_half_open or self.number % SILENT_OF):
                made = self.context.wrap_socket(made, server_hostname="localhost")
            self._stream = 1
            made.sendall(self._first())
            made.setblocking(False)
        except OSError:
            made.close()
            raise
        self.connection = made

    def _first(self) -> bytes:
        match self.door, self.is_half_open:
            case "mllp", True:
                return HALF_AN_ORDER
            case "http", True:
                return HALF_A_BODY if self.number % 2 else HALF_A_HEAD
            case "grpc", True:
                return OPENING
        return b""

    def _begin(self, connection: socket.socket) -> None:
        token = self.flood.token if self.number % 2 else None
        scheme = "https" if self.context else "http"
        with suppress(OSError):
            connection.send(call_begun(self._stream, METHOD, token=token, data=HALF_A_MESSAGE, scheme=scheme))
        self._stream, self.begun_at = self._stream + 2, time.monotonic()

    def _is_closed(self) -> bool:
        assert self.connection is not None
        try:
            while self.connection.recv(65536):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            pass
        return True


def lie(flood: Flood) -> Iterator[Counter[str]]:
    """Endless."""
    lying = [
        Lying(flood=flood, door=door, number=number, context=flood.context(door))
        for door in flood.doors
        for number in range(IDLE + HALF_OPEN)
    ]
    while True:
        yield Counter(each.door for each in lying if each.keep())


def main(given: dict[str, Any]) -> None:
    for open_now in lie(Flood(**given)):
        print(json.dumps(open_now), flush=True)
        if select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
            return


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
