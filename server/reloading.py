"""What is made of files that are renewed while the service runs: certificates, keys, authorities."""

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from server.domain.errors import Refused

LOOK_S = 2.0
"""Files are looked at no more often, however many connections come."""

T = TypeVar("T")

log = structlog.get_logger()


class Renewed(Generic[T]):
    """What `make` makes of files, made anew for who asks after they changed. Safe for threads.

    `make` raises Refused where they can't be used: at first that is raised, later the last good one stays and a warning
    says so.
    """

    def __init__(self, name: str, files: tuple[Path | None, ...], make: Callable[[], T]) -> None:
        self._name, self._make = name, make
        self._files = tuple(path for path in files if path is not None)
        self._lock = threading.Lock()
        self._looked_at = time.monotonic()
        self._used = self._digests()  # before they are read: what changes meanwhile is seen at the next check
        self._refused: tuple[bytes, ...] = ()
        self._newest = make()

    def newest(self) -> T:
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_S:
                self._look()
                self._looked_at = time.monotonic()
            return self._newest

    def _look(self) -> None:
        found = self._digests()
        if found == self._used:
            self._refused = ()
            return
        try:
            self._newest = self._make()
        except Refused as refused:
            if found != self._refused:
                advice = "put good ones there; until then the ones before are used"
                log.warning("certificate_not_taken", setting=self._name, said=refused.message, advice=advice)
            self._refused = found
        else:
            self._used, self._refused = found, ()
            log.info("certificate_taken", setting=self._name)

    def _digests(self) -> tuple[bytes, ...]:
        """Of the content, not the time of change, which may be kept when a file is copied.

        Empty where one can't be read.
        """
        return tuple(_digest(path) for path in self._files)


class RenewedContext(ssl.SSLContext):
    """Stands for the newest context: each new connection is that one's, with its own sessions, so that none outlives a
    renewal.
    """

    def __new__(cls, protocol: int, _: Renewed[ssl.SSLContext]) -> "RenewedContext":
        return super().__new__(cls, protocol)

    def __init__(self, _: int, renewed: Renewed[ssl.SSLContext]) -> None:
        self._renewed = renewed

    @property
    def newest(self) -> ssl.SSLContext:
        return self._renewed.newest()

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        wrap = self.newest.wrap_socket
        return wrap(sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        return self.newest.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""
