"""The issuer's keys from a real https server with an authority of its own: rotation, cache, and an issuer that is away
or odd.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from server.api.auth import AuthenticateByToken
from server.api.keys import AGAIN_AFTER_S, KeySet, reader_of
from server.domain.errors import ChromogenError, Refused, ServiceReason
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer
from tests.server.api.test_keys import Clock, reason

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class KeyServer:
    """Answers each request as `answer` says; counts them."""

    url: str
    authority: Path
    answer: Answer
    asked: list[str] = field(default_factory=list)


def gives(data: bytes, *, code: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)

    return answer


def no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"TEST-INVENTED\r\n\r\n")


def cut_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(b'{"keys":')


@pytest.fixture
def server(tmp_path: Path, issuer: Issuer) -> Iterator[KeyServer]:
    authority = Authority()
    pair = authority.issue("issuer", server=True)
    for name, data in {"ca": authority.pem, "cert": pair.cert, "key": pair.key}.items():
        (tmp_path / name).write_bytes(data)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            made.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    made = KeyServer(f"https://localhost:{httpd.server_port}/jwks", tmp_path / "ca", gives(issuer.jwks()))
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield made
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_token_is_taken_by_keys_that_are_fetched_once_and_again_when_they_are_old(
    server: KeyServer, issuer: Issuer
) -> None:
    clock = Clock()
    keys = KeySet(reader_of(server.url, server.authority), refresh_s=300, clock=clock)
    caller = AuthenticateByToken(issuer=ISSUER, audience=AUDIENCE, keys=keys, leeway_s=0)
    for algorithm in ("ES256", "RS256"):
        token = issuer.token("lis", algorithm=algorithm)
        assert caller((("authorization", f"Bearer {token}"),), None).lab == "LAB-A"
    assert server.asked == ["/jwks"]
    clock.now += 301
    keys.key("ec-1", "ES256")
    assert len(server.asked) == 2


def test_a_rotated_key_is_fetched_at_its_first_token_and_the_old_one_is_not_taken_any_more(
    server: KeyServer, issuer: Issuer
) -> None:
    clock = Clock()
    keys = KeySet(reader_of(server.url, server.authority), refresh_s=3000, clock=clock)
    keys.key("ec-1", "ES256")
    rotated = json.loads(Issuer().jwks())
    rotated["keys"] = [key | {"kid": "ec-2"} for key in rotated["keys"] if key["kid"] == "ec-1"]
    server.answer = gives(json.dumps(rotated).encode())
    clock.now += AGAIN_AFTER_S
    keys.key("ec-2", "ES256")
    assert len(server.asked) == 2
    assert reason(lambda: keys.key("ec-1", "ES256")) == ServiceReason.TOKEN_INVALID


@pytest.mark.parametrize(
    "wrong",
    [
        gives(b"no", code=500),
        gives(b"", code=404),
        gives(b"not json"),
        gives(b""),
        no_http,
        cut_off,
        gives(b"[" * 100_000),
        gives(b'{"keys":"' + b"x" * (2 << 20)),
        gives(b"", code=302, Location="https://localhost:1/elsewhere"),
        gives(b"", code=302, Location="file:///etc/passwd"),
    ],
    ids=["500", "404", "text", "empty", "no http", "cut off", "too deep", "too large", "elsewhere", "a file"],
)
def test_an_issuer_that_is_odd_leaves_the_keys_that_there_are_and_is_its_own_trouble_where_there_are_none(
    server: KeyServer, issuer: Issuer, wrong: Answer
) -> None:
    clock = Clock()
    keys = KeySet(reader_of(server.url, server.authority), refresh_s=300, clock=clock)
    good, server.answer = server.answer, wrong
    assert reason(lambda: keys.key("ec-1", "ES256")) == ServiceReason.KEYS_UNREACHABLE
    server.answer = good
    clock.now += AGAIN_AFTER_S
    keys.key("ec-1", "ES256")
    server.answer = wrong
    clock.now += 400
    asked = len(server.asked)
    assert keys.key("ec-1", "ES256") is not None
    assert len(server.asked) == asked + 1


def test_an_issuer_that_is_not_there_at_the_start_is_found_when_it_is(tmp_path: Path, server: KeyServer) -> None:
    clock = Clock()
    where = [reader_of("https://localhost:1/jwks", server.authority), reader_of(server.url, server.authority)]
    keys = KeySet(lambda: where[0](), refresh_s=300, clock=clock)
    assert reason(lambda: keys.key("ec-1", "ES256")) == ServiceReason.KEYS_UNREACHABLE
    del where[0]
    clock.now += AGAIN_AFTER_S
    assert keys.key("ec-1", "ES256") is not None


def test_a_certificate_of_another_authority_or_for_another_name_gives_no_keys(
    tmp_path: Path, server: KeyServer
) -> None:
    (tmp_path / "other").write_bytes(Authority("Another authority (invented)").pem)
    for read in (
        reader_of(server.url, tmp_path / "other"),
        reader_of(server.url),
        reader_of(server.url.replace("localhost", "127.0.0.2"), server.authority),
    ):
        with pytest.raises(OSError):
            read()
    assert server.asked == []


@pytest.mark.parametrize(
    "url", ["http://localhost/jwks", "HTTP://localhost", "file:///etc/passwd", "ftp://localhost/jwks"]
)
def test_only_https_is_spoken(url: str) -> None:
    assert reason(lambda: reader_of(url)) == ServiceReason.SETTING_INVALID


def test_an_authority_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("x")
    for path in (tmp_path / "ca", tmp_path / "absent"):
        with pytest.raises(Refused, match="CHROMOGEN_OIDC_CA") as refused:
            reader_of("https://localhost/jwks", path)
        assert isinstance(refused.value, ChromogenError)
