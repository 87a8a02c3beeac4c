"""The HTTP door: who is let in, what is said of health, in which shape errors come, what it doesn't wait for."""

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from server import settings
from server.domain.access import Caller, Metadata, Role
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.services import permissions
from server.services.health import Dependency, Health
from server.services.limits import Rate
from server.web import connection, door, guards
from server.web import server as web_server
from server.web.app import PUBLIC, app, operations
from server.web.door import Door, Operation, body_of
from server.web.groups import RouteGroup
from server.web.server import WebServer, context_of
from tests.integration.processes import until
from tests.server.api.issuer import Authority, Pair


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Known:
    """Authenticates one token, and remembers what it was shown."""

    certificate: bytes | None = None

    def __call__(self, metadata: Metadata, certificate: bytes | None) -> Caller:
        self.certificate = certificate
        if ("authorization", "Bearer good") not in metadata:
            raise Refused(ServiceReason.UNAUTHENTICATED, "the call carries no token that is known")
        return Caller(subject="dr-invented", lab="LAB", roles=frozenset({Role.PATHOLOGIST, Role.LIS}))


@contextmanager
def served(
    tls: settings.Tls | None = None,
    *,
    up: bool = True,
    known: Known | None = None,
    rate: float = 1000,
    groups: Sequence[RouteGroup] = (),
) -> Iterator[int]:
    answers = {"database": up}
    health = Health((Dependency(name="database", answers=lambda: answers["database"]),))
    wanted = settings.Settings(web=settings.Web(port=0), tls=tls or settings.Tls(), grpc=settings.Grpc(rate=rate))
    server = WebServer(wanted, health, known or Known(), lambda *_: None, lambda _: groups)
    port = server.start()
    try:
        yield port
    finally:
        health.stop()
        server.stop()


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request(method, path, body, headers)
    return _answer(client)


def _answer(client: http.client.HTTPConnection) -> Answer:
    found = client.getresponse()
    answer = Answer(found.status, json.loads(found.read()), {k.lower(): v for k, v in found.getheaders()})
    client.close()
    return answer


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served() as made:
        yield made


def test_who_has_a_token_is_told_who_the_token_says_he_is(port: int) -> None:
    answer = ask(port, "/api/me", authorization="Bearer good")
    assert answer.status == 200
    assert answer.body == {"subject": "dr-invented", "laboratory": "LAB", "roles": ["lis", "pathologist"]}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer bad"}])
def test_who_has_none_is_refused_with_a_reason_and_what_to_do(port: int, headers: dict[str, str]) -> None:
    answer = ask(port, "/api/me", **headers)
    assert (answer.status, answer.body["reason"]) == (401, "UNAUTHENTICATED")
    assert set(answer.body) == {"reason", "message", "advice"}
    assert answer.headers["www-authenticate"] == "Bearer"


def test_health_needs_no_token_and_names_each_dependency(port: int) -> None:
    assert ask(port, "/healthz").body == {"serving": True}
    ready = ask(port, "/readyz")
    assert (ready.status, ready.body) == (200, {"serving": True, "dependencies": {"database": True}})


def test_without_its_database_the_process_lives_and_is_not_ready() -> None:
    with served(up=False) as port:
        assert ask(port, "/healthz").status == 200
        ready = ask(port, "/readyz")
        assert (ready.status, ready.body) == (503, {"serving": False, "dependencies": {"database": False}})


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/api/me", 405), ("DELETE", "/healthz", 405)]
)
def test_what_there_is_not_says_so_in_the_one_shape_of_errors(port: int, method: str, path: str, status: int) -> None:
    answer = ask(port, path, method)
    assert (answer.status, set(answer.body)) == (status, {"reason", "message", "advice"})


@pytest.mark.parametrize("path", ["/healthz", "/api/me", "/nothing"])
def test_every_answer_has_the_headers_that_keep_a_browser_safe(port: int, path: str) -> None:
    headers = ask(port, path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert "server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_on_loopback_another_host_s_name_is_not_answered(port: int, host: str) -> None:
    answer = ask(port, "/api/me", Host=host, authorization="Bearer good")
    assert (answer.status, answer.body["reason"]) == (400, "ARGUMENT_INVALID")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:80"])
def test_loopback_s_own_names_are(port: int, host: str) -> None:
    assert ask(port, "/api/me", Host=host, authorization="Bearer good").status == 200


def test_a_body_that_is_too_large_is_refused_unread(port: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.putrequest("POST", "/api/me")
    client.putheader("content-length", str(guards.LARGEST_BODY + 1))
    client.endheaders()
    answer = _answer(client)
    assert (answer.status, answer.body["reason"]) == (413, "MESSAGE_TOO_LARGE")


def test_more_calls_than_a_caller_may_make_are_refused() -> None:
    with served(rate=1) as port:
        statuses = [ask(port, "/api/me", authorization="Bearer good").status for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_every_operation_of_this_door_is_in_the_table_of_permissions_and_goes_through_the_door() -> None:
    door = Door(Known(), rate=Rate(1), note_refusal=lambda *_: None)
    made = app(door, Health(()), loopback=True)
    guarded = {operation.path for operation in operations()}
    assert {route.path for route in made.routes} == guarded | PUBLIC  # type: ignore[attr-defined]
    for operation in operations():
        assert operation.name in permissions.ROLES or operation.name in permissions.ANYBODY


def test_a_role_that_may_not_by_grpc_may_not_by_http_either() -> None:
    noted: list[str] = []
    door = Door(Known(), rate=Rate(10), note_refusal=lambda _, name: noted.append(name))
    request = Request({"type": "http", "method": "GET", "headers": [(b"authorization", b"Bearer good")]})
    with pytest.raises(ChromogenError) as error:
        asyncio.run(door.admit(request, "VerifyAudit"))
    assert (error.value.reason, noted) == (ServiceReason.PERMISSION_DENIED, ["VerifyAudit"])


def echo(request: Request, _: Caller) -> Response:
    return Response(body_of(request)[-9:], headers={"content-security-policy": "default-src 'self'"})


def test_a_group_s_operations_pass_the_door_and_may_be_sent_more_than_others() -> None:
    long = guards.LARGEST_BODY + 1
    group = RouteGroup(
        operations=(Operation(path="/large/echo", method="POST", name=permissions.GET_ME, work=echo),),
        largest_bodies={"/large": 2 * guards.LARGEST_BODY},
    )
    with served(groups=[group]) as port:
        assert ask(port, "/large/echo", "POST", b"1").status == 401
        found = ask(port, "/large/echo", "POST", b"1" * long, authorization="Bearer good")
        assert (found.status, found.body) == (200, int("1" * 9))
        assert found.headers["content-security-policy"] == "default-src 'self'"
        assert ask(port, "/large/echo", "POST", b"1" * (2 * long), authorization="Bearer good").status == 413


def test_connections_that_ask_for_nothing_are_closed_and_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.5)
    with served() as port:
        silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(60)]
        for half in silent[30:]:
            half.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        assert ask(port, "/healthz").status == 200
        assert [found.recv(100) for found in silent] == [b""] * 60
        for found in silent:
            found.close()


def test_o7_large_bodies_of_one_laboratory_hold_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LARGE_BODIES", 4)
    operation = Operation(path="/data/try", method="POST", name=permissions.GET_ME, work=lambda *_: {"done": True})
    head = b"POST /data/try HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer good\r\n"
    with served(groups=[RouteGroup(operations=(operation,))]) as port, ExitStack() as half:
        for declared in (b"Content-Length: 1000000", b"Transfer-Encoding: chunked"):
            begun = half.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            begun.sendall(head + declared + b"\r\nExpect: 100-continue\r\n\r\n")
            assert begun.recv(100).startswith(b"HTTP/1.1 100")  # it is being read
        answer = ask(port, "/data/try", "POST", b"x" * 100_000, authorization="Bearer good")
        assert answer.status in (429, 503)
        assert answer.body["reason"] == ServiceReason.TOO_MANY_CALLS
        assert ask(port, "/data/try", "POST", b"x", authorization="Bearer good").body == {"done": True}
        half.close()
        until(lambda: ask(port, "/data/try", "POST", b"x" * 100_000, authorization="Bearer good").status == 200, 10)


def test_what_is_sent_waits_for_no_acknowledgment(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[int] = []
    send = connection._send_at_once

    def looked_at(transport: asyncio.Transport) -> None:
        send(transport)
        connected = transport.get_extra_info("socket")
        said.append(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(connection, "_send_at_once", looked_at)
    with served() as port:
        ask(port, "/healthz")
    assert said == [1]


def test_no_address_has_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_OF_ADDRESS", 3)
    with served() as port:
        held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        for each in held:
            each.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert each.recv(100).startswith(b"HTTP/1.1 200")
        with pytest.raises(OSError):
            ask(port, "/healthz")
        for each in held:
            each.close()


def test_by_tls_with_the_api_s_certificate_and_shows_the_client_s_to_who_authenticates(tmp_path: Path) -> None:
    authority = Authority()
    server, client = authority.issue("server", server=True), authority.issue("client")
    files = {"cert": server.cert, "key": server.key, "ca": authority.pem}
    paths = {name: tmp_path / name for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    known, tls = Known(), settings.Tls(cert=paths["cert"], key=paths["key"], client_ca=paths["ca"])
    with served(tls, known=known) as port:
        answer = by_tls(port, authority, client, tmp_path)
        assert answer.status == 200
        assert known.certificate is not None
        assert ssl.PEM_cert_to_DER_cert(known.certificate.decode()) == ssl.PEM_cert_to_DER_cert(client.cert.decode())
        with pytest.raises(OSError):
            ask(port, "/healthz")


def test_o8_who_begins_no_handshake_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as that lasts, a connection is none of those that are counted."""
    monkeypatch.setattr(web_server, "HANDSHAKE_S", 0.5)
    authority = Authority()
    pair = authority.issue("server", server=True)
    (tmp_path / "cert").write_bytes(pair.cert)
    (tmp_path / "key").write_bytes(pair.key)
    with served(settings.Tls(cert=tmp_path / "cert", key=tmp_path / "key")) as port, ExitStack() as silent:
        for _ in range(20):
            connected = silent.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            assert connected.recv(1) == b""
        assert by_tls(port, authority, authority.issue("client"), tmp_path).status == 200


def by_tls(port: int, authority: Authority, pair: Pair, folder: Path) -> Answer:
    (folder / "client.pem").write_bytes(pair.cert + pair.key)
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.load_cert_chain(folder / "client.pem")
    client = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
    client.request("GET", "/api/me", headers={"authorization": "Bearer good"})
    return _answer(client)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.invalid"])
def test_beyond_loopback_without_a_certificate_it_does_not_open(host: str) -> None:
    with pytest.raises(Refused, match="CHROMOGEN_WEB_HOST"):
        context_of(settings.Settings(web=settings.Web(host=host, port=0)))


def test_half_a_certificate_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="CHROMOGEN_TLS"):
        context_of(settings.Settings(tls=settings.Tls(key=tmp_path / "key")))


def test_a_port_that_is_taken_stops_the_start(port: int) -> None:
    wanted = settings.Settings(web=settings.Web(port=port))
    with pytest.raises(Failed, match="CHROMOGEN_WEB_HOST"):
        WebServer(wanted, Health(()), Known(), lambda *_: None).start()


def test_it_ends_with_no_thread_left() -> None:
    before = {thread.name for thread in threading.enumerate()}
    with served():
        pass
    assert "web" not in {thread.name for thread in threading.enumerate()} - before
