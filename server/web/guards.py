"""What every HTTP request passes before its address is looked at: the host that it asks for, the size of its body."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.domain.errors import Refused, ServiceReason
from server.web.answers import SECURITY_HEADERS, refusal

LARGEST_BODY = 1 << 20
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


class SecurityHeaders:
    """On every answer, errors too; one that has a header of its own keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sent)


class OwnHostOnly:
    """A page of another site whose name was pointed at this machine is not spoken to (DNS rebinding).

    `own` are the hosts that may be asked for; on loopback, its names besides. Empty beyond loopback: any.
    """

    def __init__(self, app: ASGIApp, own: frozenset[str], loopback: bool) -> None:
        self._app, self._hosts = app, own | (LOCAL_HOSTS if loopback else frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        if self._hosts and scope["type"] == "http" and not (len(hosts) == 1 and _name(hosts[0]) in self._hosts):
            error = Refused(ServiceReason.ARGUMENT_INVALID, "the host that is asked for is not this service's")
            await refusal(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BodyLimit:
    """Raises Refused MESSAGE_TOO_LARGE to who reads more than may be sent; what says so in its head is refused.

    `larger` gives the bytes of addresses that begin so, where LARGEST_BODY doesn't hold.
    """

    def __init__(self, app: ASGIApp, larger: Mapping[str, int]) -> None:
        self._app, self._larger = app, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, most = 0, self._most(scope.get("path", ""))
        said = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if not said.isdigit() or len(said) > 15 or int(said) > most:
            await refusal(_too_large(most))(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _too_large(most)
            return message

        await self._app(scope, counted, send)

    def _most(self, path: str) -> int:
        return max((most for prefix, most in self._larger.items() if path.startswith(prefix)), default=LARGEST_BODY)


def _name(host: str) -> str:
    """Without the port."""
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


def _too_large(most: int) -> Refused:
    return Refused(ServiceReason.MESSAGE_TOO_LARGE, f"the body is larger than {most >> 20} MiB")
