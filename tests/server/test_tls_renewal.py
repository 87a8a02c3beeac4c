"""Certificates and authorities that are renewed under a running service, over real connections."""

import socket
import ssl
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from server import reloading
from server.demo.lis import ReceivingLis, order_message
from server.domain.errors import Failed, Refused
from server.hl7.er7 import END, START
from server.hl7.listener import MllpListener
from server.hl7.sender import send
from server.settings import Lis, Mllp, Tls
from server.tls import api_credentials, listener_context, sender_context
from tests.server.api.issuer import Authority, Pair

MESSAGE = order_message(placer_number="P", marker="ER", control_id="M-7", container_id="INVENTED")


@pytest.fixture(autouse=True)
def looked_at_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "LOOK_S", 0.0)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Path:
    """ca and client-ca, and cert and key of a server."""
    (tmp_path / "ca").write_bytes(authority.pem)
    (tmp_path / "client-ca").write_bytes(authority.pem)
    put(tmp_path, authority.issue("first", server=True))
    return tmp_path


def put(folder: Path, pair: Pair, name: str = "") -> None:
    (folder / f"{name}cert").write_bytes(pair.cert)
    (folder / f"{name}key").write_bytes(pair.key)


@contextmanager
def mllp(folder: Path, *, mutual: bool = False) -> Iterator[int]:
    files = {"tls_cert": folder / "cert", "tls_key": folder / "key"} | (
        {"tls_client_ca": folder / "client-ca"} if mutual else {}
    )
    (folder / "received").mkdir()
    listener = MllpListener(ReceivingLis(folder / "received"), tls=listener_context(Mllp(**files)))  # type: ignore[arg-type]
    try:
        yield listener.start()
    finally:
        listener.stop(5)


@contextmanager
def api(folder: Path, *, mutual: bool = False) -> Iterator[int]:
    files = {"cert": folder / "cert", "key": folder / "key"} | ({"client_ca": folder / "client-ca"} if mutual else {})
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_secure_port("127.0.0.1:0", api_credentials(Tls(**files)))
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def connected(port: int, folder: Path) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=folder / "ca")
    context.set_alpn_protocols(["h2"])  # as gRPC demands; the MLLP listener takes no notice
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost")


def shown(port: int, folder: Path) -> str:
    """The certificate that a new connection is shown, PEM."""
    with closing(connected(port, folder)) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"").strip()


def answered(connection: ssl.SSLSocket) -> bool:
    seen = b""
    with suppress(OSError):  # who isn't believed learns it only after his own part of the handshake
        connection.sendall(START + MESSAGE + END)
        while not seen.endswith(END) and (chunk := connection.recv(65536)):
            seen += chunk
    return b"MSA|AA|M-7" in seen


def warnings(logs: list[MutableMapping[str, Any]]) -> list[str]:
    return [log["said"] for log in logs if log["event"] == "certificate_not_taken"]


Serve = Callable[..., AbstractContextManager[int]]
both = pytest.mark.parametrize("serve", [mllp, api])


@both
def test_a_renewed_certificate_is_shown_to_the_next_connection_and_told_once(
    serve: Serve, folder: Path, authority: Authority
) -> None:
    with serve(folder) as port, capture_logs() as logs:
        first = shown(port, folder)
        assert first == (folder / "cert").read_text().strip()
        for name in ("second", "third"):
            put(folder, authority.issue(name, server=True))
            for _ in range(3):
                assert shown(port, folder) == (folder / "cert").read_text().strip() != first
    assert [log["event"] for log in logs if "certificate" in log["event"]] == ["certificate_taken"] * 2


def test_files_are_not_looked_at_again_within_the_seconds_said(
    folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "LOOK_S", 3600.0)
    with mllp(folder) as port:
        first = shown(port, folder)
        put(folder, authority.issue("second", server=True))
        assert shown(port, folder) == first


BROKEN: dict[str, Callable[[Pair, Path], dict[str, bytes | None]]] = {
    "the certificate is there and its key isn't yet": lambda new, _: {"cert": new.cert},
    "the key is there and its certificate isn't yet": lambda new, _: {"key": new.key},
    "half of the certificate": lambda new, _: {"cert": new.cert[:200], "key": new.key},
    "half of the key": lambda new, _: {"cert": new.cert, "key": new.key[:100]},
    "empty": lambda _new, _: {"cert": b""},
    "no certificate": lambda _new, _: {"cert": b"TEST-INVENTED"},
    "gone": lambda _new, _: {"key": None},
    "half of the authority": lambda new, f: {
        "cert": new.cert,
        "key": new.key,
        "client-ca": (f / "ca").read_bytes()[:300],
    },
    "the authority gone": lambda new, _: {"cert": new.cert, "key": new.key, "client-ca": None},
}
"""What the files are, None: there is none."""


@both
@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_half_written_or_wrong_leaves_the_old_in_use_and_is_told_once(
    serve: Serve, broken: str, folder: Path, authority: Authority
) -> None:
    second = authority.issue("second", server=True)
    with serve(folder, mutual=True) as port, capture_logs() as logs:
        first = shown(port, folder)
        for name, data in BROKEN[broken](second, folder).items():
            (folder / name).unlink() if data is None else (folder / name).write_bytes(data)
        assert [shown(port, folder) for _ in range(3)] == [first] * 3
        (warning,) = warnings(logs)
        assert warning.startswith("CHROMOGEN_")
        assert "INVENTED" not in str(logs)
        put(folder, second)
        (folder / "client-ca").write_bytes(authority.pem)
        assert shown(port, folder) == second.cert.decode().strip()
    assert len(warnings(logs)) == 1


def test_a_connection_of_hl7_goes_on_across_a_renewal(folder: Path, authority: Authority) -> None:
    with mllp(folder) as port, closing(connected(port, folder)) as old:
        assert answered(old)
        put(folder, authority.issue("second", server=True))
        assert shown(port, folder) == (folder / "cert").read_text().strip()
        assert answered(old)


def test_a_connection_of_the_api_goes_on_across_a_renewal(folder: Path, authority: Authority) -> None:
    credentials = grpc.ssl_channel_credentials(root_certificates=authority.pem)
    with api(folder) as port, grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        stub, seen = health_pb2_grpc.HealthStub(channel), list[grpc.ChannelConnectivity]()
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == health_pb2.HealthCheckResponse.SERVING
        channel.subscribe(seen.append)
        foreign = Authority("Another authority (invented)")  # a new connection of this channel would not believe it
        put(folder, foreign.issue("second", server=True))
        (folder / "ca").write_bytes(foreign.pem)
        assert shown(port, folder) == (folder / "cert").read_text().strip()
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == health_pb2.HealthCheckResponse.SERVING
        assert set(seen) <= {grpc.ChannelConnectivity.READY}


def test_a_client_of_the_old_authority_is_not_heard_after_its_renewal_not_even_by_its_session(
    folder: Path, authority: Authority
) -> None:
    successor = Authority("Its successor (invented)")
    put(folder, authority.issue("old"), "old-")
    put(folder, successor.issue("new"), "new-")
    context = {who: sender_context(lis(folder, who)) for who in ("old-", "new-")}
    with mllp(folder, mutual=True) as port:
        send(MESSAGE, host="localhost", port=port, timeout_s=20, tls=context["old-"])
        old = context["old-"].newest if context["old-"] else None
        assert old is not None
        with closing(wrapped(old, port)) as connection:
            assert answered(connection)
            session = connection.session
        with closing(wrapped(old, port, session)) as connection:
            assert answered(connection)
            assert connection.session_reused
        (folder / "client-ca").write_bytes(successor.pem)
        send(MESSAGE, host="localhost", port=port, timeout_s=20, tls=context["new-"])
        with pytest.raises(Failed, match="can't be reached or broke off"):
            send(MESSAGE, host="localhost", port=port, timeout_s=20, tls=context["old-"])
        with closing(wrapped(old, port, session)) as connection:
            assert not answered(connection)


def wrapped(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost", session=session
    )


def lis(folder: Path, who: str) -> Lis:
    return Lis(host="localhost", tls_ca=folder / "ca", tls_cert=folder / f"{who}cert", tls_key=folder / f"{who}key")


def test_an_api_client_of_the_old_authority_is_not_heard_after_its_renewal(folder: Path, authority: Authority) -> None:
    successor = Authority("Its successor (invented)")

    def heard(own: Pair) -> bool:
        credentials = grpc.ssl_channel_credentials(authority.pem, private_key=own.key, certificate_chain=own.cert)
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            asked = health_pb2_grpc.HealthStub(channel).Check.future(health_pb2.HealthCheckRequest(), timeout=20)
            return {grpc.StatusCode.OK: True, grpc.StatusCode.UNAVAILABLE: False}[asked.code()]

    old, new = authority.issue("old"), successor.issue("new")
    with api(folder, mutual=True) as port:
        assert (heard(old), heard(new)) == (True, False)
        (folder / "client-ca").write_bytes(successor.pem)
        assert (heard(old), heard(new)) == (False, True)


def test_a_sender_shows_its_renewed_certificate_and_believes_the_renewed_authority(
    folder: Path, authority: Authority
) -> None:
    put(folder, authority.issue("own"), "own-")
    tls = sender_context(lis(folder, "own-"))
    successor = Authority("Its successor (invented)")
    with mllp(folder, mutual=True) as port:
        send(MESSAGE, host="localhost", port=port, timeout_s=20, tls=tls)
        (folder / "client-ca").write_bytes(successor.pem)
        put(folder, successor.issue("second", server=True))
        with pytest.raises(Failed, match="SSLCertVerificationError"):
            send(MESSAGE, host="localhost", port=port, timeout_s=20, tls=tls)
        (folder / "ca").write_bytes(successor.pem)
        with pytest.raises(Failed, match="can't be reached or broke off"):
            send(MESSAGE, host="localhost", port=port, timeout_s=20, tls=tls)
        put(folder, successor.issue("own"), "own-")
        send(MESSAGE, host="localhost", port=port, timeout_s=20, tls=tls)


@pytest.mark.parametrize(
    ("cert", "key", "ca", "said"),
    [
        ("cert", "own-key", None, "CHROMOGEN_TLS_CERT and CHROMOGEN_TLS_KEY: not a PEM certificate with its own key"),
        ("ca", "key", None, "CHROMOGEN_TLS_CERT and CHROMOGEN_TLS_KEY: not a PEM certificate with its own key"),
        ("cert", "cert", None, "CHROMOGEN_TLS_CERT and CHROMOGEN_TLS_KEY: not a PEM certificate with its own key"),
        ("cert", "key", "key", "CHROMOGEN_TLS_CLIENT_CA: .* holds no PEM certificate"),
    ],
)
def test_an_api_that_could_not_shake_hands_is_refused_by_the_setting_s_name(
    folder: Path, authority: Authority, cert: str, key: str, ca: str | None, said: str
) -> None:
    put(folder, authority.issue("own"), "own-")
    with pytest.raises(Refused, match=said):
        api_credentials(Tls(cert=folder / cert, key=folder / key, client_ca=ca and folder / ca))  # type: ignore[arg-type]
