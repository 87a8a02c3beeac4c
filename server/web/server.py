"""The HTTP server: uvicorn in a thread, by the API's certificate and tokens."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from server.domain.access import Authenticate
from server.domain.errors import Failed, Refused, ServiceReason
from server.reloading import RenewedContext
from server.services.health import Health
from server.services.limits import Rate
from server.settings import Settings, is_loopback
from server.tls import web_context
from server.web.app import app
from server.web.connection import BoundedConnection
from server.web.door import Door, NoteRefusal
from server.web.groups import RouteGroup

STOP_GRACE_S = 10
START_S = 10.0
HANDSHAKE_S = 10.0
"""Of TLS, for which uvicorn has no setting."""
LARGEST_HEAD = 16 << 10


class _Loop(asyncio.SelectorEventLoop):
    """asyncio waits a minute for a TLS handshake, in which a connection counts among none that are capped."""

    async def create_server(self, *given: Any, **named: Any) -> asyncio.Server:
        if named.get("ssl") is not None:
            named["ssl_handshake_timeout"] = HANDSHAKE_S
        return await super().create_server(*given, **named)


class WebServer:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        settings: Settings,
        health: Health,
        authenticate: Authenticate,
        note: NoteRefusal,
        groups: Callable[[Door], Sequence[RouteGroup]] = lambda _: (),
    ) -> None:
        """Raises Refused SETTING_INVALID: an operation without permission, or beyond loopback without a certificate."""
        wanted = settings.web
        door = Door(authenticate, rate=Rate(settings.grpc.rate), note_refusal=note)
        self._host, self._port, self._health = wanted.host, wanted.port or 0, health
        secure = context_of(settings)
        config = uvicorn.Config(
            app(door, health, groups(door), loopback=is_loopback(wanted.host), hosts=hosts_of(wanted.address)),
            http=BoundedConnection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LARGEST_HEAD,
            timeout_graceful_shutdown=STOP_GRACE_S,
            ssl_context_factory=None if secure is None else lambda *_: secure,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None
        self.port = 0

    def start(self) -> int:
        """Listen; returns the port. Raises Failed SETTING_INVALID where it is taken."""
        listening = _listening(self._host, self._port)
        self.port = int(listening.getsockname()[1])
        self._health.start()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="web", daemon=True)
        self._thread.start()
        until = time.monotonic() + START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        if not self._server.started:
            raise Failed(ServiceReason.SETTING_INVALID, "the HTTP door doesn't start: see the log")
        return self.port

    def _run(self, listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(self._server.serve([listening]))

    def stop(self) -> None:
        """Take no more requests; those that run have STOP_GRACE_S to end."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_GRACE_S + 5)


def context_of(settings: Settings) -> RenewedContext | None:
    """None for plain HTTP, on loopback only. Raises Refused SETTING_INVALID."""
    if settings.tls.cert is not None or settings.tls.key is not None:
        return web_context(settings.tls)
    if not is_loopback(settings.web.host):
        raise Refused(
            ServiceReason.SETTING_INVALID,
            "CHROMOGEN_WEB_HOST is not loopback, and CHROMOGEN_TLS_CERT and _KEY are not set: tokens would be readable",
        )
    return None


def hosts_of(address: str) -> frozenset[str]:
    """The host of CHROMOGEN_WEB_ADDRESS, without its port; none where that is empty."""
    host = urlsplit(address).hostname
    return frozenset({f"[{host}]" if host and ":" in host else host or ""}) - {""}


def _listening(host: str, port: int) -> socket.socket:
    """Raises Failed SETTING_INVALID."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError:
        raise Failed(
            ServiceReason.SETTING_INVALID, f"CHROMOGEN_WEB_HOST and _PORT: {host}:{port} can't be listened at"
        ) from None
