"""The listener over real sockets (I-3), and what it does to peers that do not keep to MLLP."""

import contextlib
import itertools
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.demo.lis import order_message
from server.domain.cancellation import CancelOutcome
from server.domain.errors import ChromogenError, Failed
from server.domain.order import Order, OrderId, Request
from server.hl7.er7 import END, START
from server.hl7.intake import Intake
from server.hl7.listener import MllpListener
from server.hl7.oml import parse_order
from server.hl7.sender import send


@dataclass
class Echo:
    """Answers each message with its own beginning; `refuse` with the reason. Keeps what it got."""

    got: list[bytes] = field(default_factory=list)
    pause_s: float = 0.0

    def __call__(self, message: bytes) -> tuple[bytes, ...]:
        time.sleep(self.pause_s)
        if message == b"break":
            raise ValueError("TEST-INVENTED")
        self.got.append(message)
        return (b"got " + message[:2000],) * (2 if message == b"twice" else 1)

    def refuse(self, message: bytes, error: ChromogenError) -> tuple[bytes, ...]:
        return (f"{error.reason} {message[:3].decode()}".encode(),)


Listen = Callable[..., tuple[Echo, int]]


@pytest.fixture
def listen() -> Iterator[Listen]:
    started: list[MllpListener] = []

    def start(pause_s: float = 0.0, **options: object) -> tuple[Echo, int]:
        handler = Echo(pause_s=pause_s)
        started.append(MllpListener(handler, **options))  # type: ignore[arg-type]
        return handler, started[-1].start()

    yield start
    for listener in started:
        listener.stop(grace_s=5)


def frames(connection: socket.socket, number: int) -> list[bytes]:
    """The next `number` frames, unwrapped; fewer where the peer closed."""
    seen = b""
    while seen.count(END) < number:
        chunk = connection.recv(65536)
        if not chunk:
            break
        seen += chunk
    return [f.removeprefix(START) for f in seen.split(END)[:-1]]


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def test_a_thousand_messages_on_one_connection_are_each_answered_in_order(listen: Listen) -> None:
    handler, port = listen()
    sent = [f"message {n}".encode() for n in range(1000)]
    with connect(port) as c:
        threading.Thread(target=c.sendall, args=(b"".join(START + m + END for m in sent),)).start()
        assert frames(c, 1000) == [b"got " + m for m in sent]
    assert handler.got == sent


def test_messages_may_be_cut_anywhere() -> None:
    handler = Echo()
    listener = MllpListener(handler)
    port = listener.start()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(
            st.binary(max_size=40).filter(lambda b: not set(b) & set(b"\x0b\x1c") and b != b"break"),
            min_size=1,
            max_size=4,
        ),
        st.lists(st.integers(0, 200), max_size=8),
    )
    def check(messages: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(START + m + END for m in messages)
        places = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
        with connect(port) as c:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for a, b in itertools.pairwise(places):
                c.sendall(stream[a:b])
            assert frames(c, len(messages)) == [b"got " + m for m in messages]

    try:
        check()
    finally:
        listener.stop()


def test_two_hundred_connections_are_served_side_by_side(listen: Listen) -> None:
    """I-3."""
    _, port = listen()
    connections = [connect(port) for _ in range(200)]
    try:
        for n, c in enumerate(connections):
            c.sendall(START + str(n).encode() + END)
        assert [frames(c, 1) for c in connections] == [[f"got {n}".encode()] for n in range(200)]
    finally:
        for c in connections:
            c.close()


def test_a_connection_above_the_cap_is_closed_and_the_others_go_on(listen: Listen) -> None:
    _, port = listen(connections=1)
    with connect(port) as first:
        first.sendall(START + b"1" + END)
        assert frames(first, 1) == [b"got 1"]
        with connect(port) as second:
            assert second.recv(10) == b""
        first.sendall(START + b"2" + END)
        assert frames(first, 1) == [b"got 2"]


def test_line_ends_between_frames_and_an_unfinished_frame_do_no_harm(listen: Listen) -> None:
    handler, port = listen()
    with connect(port) as c:
        c.sendall(START + b"one" + END + b"\r\n" + START + b"lost half" + START + b"two" + END)
        assert frames(c, 2) == [b"got one", b"got two"]
    assert handler.got == [b"one", b"two"]


ENDS = {"CR": END, "CR LF": END + b"\n", "nothing": END[:1], "LF": END[:1] + b"\n", "CR FS CR": END + END}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("together", [True, False])
def test_whatever_follows_the_end_byte_each_message_is_answered_and_the_connection_stays(
    listen: Listen, end: bytes, together: bool
) -> None:
    """Issue 12, 2f: a sender waits for its answer, and idles for longer than a frame may take, after each."""
    handler, port = listen(frame_timeout_s=1.0)
    with connect(port) as c:
        if together:
            c.sendall(b"".join(START + m + end for m in (b"one", b"two", b"three")))
            assert frames(c, 3) == [b"got one", b"got two", b"got three"]
        for message in (b"four", b"five"):
            c.sendall(START + message + end)
            assert frames(c, 1) == [b"got " + message]
            c.settimeout(1.5)
            with pytest.raises(TimeoutError):
                c.recv(10)
            c.settimeout(20)
    assert handler.got[-2:] == [b"four", b"five"]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_messages_that_come_byte_by_byte_are_the_same_whatever_their_end(listen: Listen, end: bytes) -> None:
    """I-3: any TCP split."""
    handler, port = listen()
    with connect(port) as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in (START + b"one" + end) + (START + b"two" + end):
            c.sendall(bytes([byte]))
        assert frames(c, 2) == [b"got one", b"got two"]
    assert handler.got == [b"one", b"two"]


def test_an_end_byte_within_a_text_does_not_cut_the_message(listen: Listen) -> None:
    """What would follow it could be the order's slide."""
    handler, port = listen(limit=1000)
    with connect(port) as c:
        c.sendall(START + b"one" + END[:1] + b"and more" + END)
        assert frames(c, 1) == [b"got one\x1cand more"]
        c.sendall((START + b"x" * 600 + END[:1] + b"y" * 600) + END)
        assert frames(c, 1)[0].startswith(b"MESSAGE_TOO_LARGE")
    assert handler.got == [b"one\x1cand more"]


def test_a_sender_that_closes_its_side_after_the_end_byte_is_answered(listen: Listen) -> None:
    _, port = listen()
    with connect(port) as c:
        c.sendall(START + b"last" + END[:1])
        c.shutdown(socket.SHUT_WR)
        assert frames(c, 1) == [b"got last"]
        assert c.recv(10) == b""


def test_a_message_without_a_start_byte_is_refused_not_dropped(listen: Listen) -> None:
    handler, port = listen()
    with connect(port) as c:
        c.sendall(b"MSH|^~\\&|" + END + START + b"next" + END)
        assert frames(c, 2) == [b"MESSAGE_INVALID ", b"got next"]
    assert handler.got == [b"next"]


@pytest.mark.parametrize(("size", "ended"), [(1001, True), (300_000, True), (300_000, False)])
def test_a_frame_above_the_limit_is_rejected_and_the_connection_closed(listen: Listen, size: int, ended: bool) -> None:
    """I-3. The answer arrives before the close, whether or not the frame ever ends."""
    handler, port = listen(limit=1000)
    with connect(port) as c:
        c.sendall(START + b"MSH" + b"x" * (size - 3) + END * ended)
        assert frames(c, 1) == [b"MESSAGE_TOO_LARGE \x0bMS"]
        c.shutdown(socket.SHUT_WR)
        assert c.recv(10) == b""
    assert handler.got == []


def test_a_frame_of_just_the_limit_is_taken(listen: Listen) -> None:
    handler, port = listen(limit=1000)
    with connect(port) as c:
        c.sendall(START + b"x" * 1000 + END)
        assert frames(c, 1) == [b"got " + b"x" * 1000]
    assert len(handler.got) == 1


@pytest.mark.timeout(60)
def test_a_message_of_16_mb_is_taken_and_read(listen: Listen) -> None:
    """I-3: as one field, and as hundreds of thousands of segments.

    In how many seconds: tests/benchmarks/messages.py.
    """
    handler, port = listen()
    order = order_message(placer_number="P", marker="ER", control_id="M", container_id="C")
    one = order + b"OBX|1|ED|X^Y^L||" + b"A" * (16 * 1024 * 1024 - len(order) - 16)
    many = order + b"OBX|1|ST|X^Y^L||hello world||||||F\r" * ((16 * 1024 * 1024 - len(order)) // 36)
    for message in (one, many):
        with connect(port) as c:
            c.sendall(START + message + END)
            assert frames(c, 1) == [b"got " + message[:2000]]
        assert parse_order(handler.got.pop()).placer_order_number.parts[:2] == ("P", "DEMO-LIS")


def test_a_handler_that_breaks_closes_its_connection_unanswered_and_no_other(listen: Listen) -> None:
    _, port = listen()
    with connect(port) as other, connect(port) as c:
        c.sendall(START + b"break" + END)
        assert c.recv(10) == b""
        other.sendall(START + b"still" + END)
        assert frames(other, 1) == [b"got still"]


def test_two_acknowledgments_go_out_in_their_order(listen: Listen) -> None:
    _, port = listen()
    with connect(port) as c:
        c.sendall(START + b"twice" + END)
        assert frames(c, 2) == [b"got twice"] * 2


def test_a_peer_that_never_finishes_a_frame_is_let_go(listen: Listen) -> None:
    _, port = listen(frame_timeout_s=0.2)
    with connect(port) as c:
        c.sendall(START + b"half")
        assert c.recv(10) == b""


def test_stopping_answers_what_is_in_hand_and_closes_what_waits() -> None:
    handler = Echo(pause_s=0.3)
    listener = MllpListener(handler)
    port = listener.start()
    with connect(port) as busy, connect(port) as idle:
        busy.sendall(START + b"last" + END)
        time.sleep(0.1)
        listener.stop(grace_s=10)
        assert frames(busy, 1) == [b"got last"]
        assert idle.recv(10) == b""
    with pytest.raises(OSError):
        connect(port).close()


def test_a_port_in_use_is_a_failure_with_its_name(listen: Listen) -> None:
    _, port = listen()
    with pytest.raises(Failed, match=f"127.0.0.1:{port}"):
        MllpListener(Echo(), port=port).start()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += [
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
        str(path / "key"),
        "-out",
        str(path / "crt"),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except OSError:
        pytest.skip("openssl is not installed")
    return path


def contexts(path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Server and client, each of which wants the other's certificate."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path / "crt", path / "key")
        context.load_verify_locations(path / "crt")
        context.verify_mode = ssl.CERT_REQUIRED
    return server, client


def test_tls_with_client_certificates_carries_messages_and_refuses_strangers(listen: Listen, certificate: Path) -> None:
    server, client = contexts(certificate)
    handler, port = listen(tls=server)
    with client.wrap_socket(connect(port), server_hostname="localhost") as c:
        c.sendall(START + b"secret" + END)
        assert frames(c, 1) == [b"got secret"]
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.load_verify_locations(certificate / "crt")
    with contextlib.suppress(OSError), stranger.wrap_socket(connect(port), server_hostname="localhost") as c:
        c.sendall(START + b"stranger" + END)
        assert c.recv(10) == b""
    assert handler.got == [b"secret"]


def test_who_opens_a_connection_and_never_finishes_the_handshake_is_let_go(listen: Listen, certificate: Path) -> None:
    server, client = contexts(certificate)
    handler, port = listen(tls=server, handshake_timeout_s=0.3)
    with connect(port) as silent:
        assert silent.recv(10) == b""
    with client.wrap_socket(connect(port), server_hostname="localhost") as c:
        c.sendall(START + b"next" + END)
        assert frames(c, 1) == [b"got next"]
    assert handler.got == [b"next"]


def test_an_order_goes_in_over_tls_and_its_acknowledgment_is_matched(certificate: Path) -> None:
    """Sender, listener and intake together, each as the service runs it."""
    server, client = contexts(certificate)
    kept: list[Request] = []

    def accept(request: Request) -> tuple[Order, bool]:
        kept.append(request)
        return Order(
            id=OrderId("4d4f9c3e-0000-4000-8000-000000000000"), request=request, received_at=datetime.now(UTC)
        ), True

    listener = MllpListener(Intake(accept, lambda _: CancelOutcome()), tls=server)
    port = listener.start()
    try:
        order = order_message(placer_number="P", marker="PR", control_id="M-9", container_id="C")
        send(order, host="localhost", port=port, timeout_s=10, tls=client)
        assert [(k.marker, k.message_control_id) for k in kept] == [("PR", "M-9")]
        with pytest.raises(Failed, match="AE") as failed:
            send(order.replace(b"SAC|||C", b"SAC|||"), host="localhost", port=port, timeout_s=10, tls=client)
        assert failed.value.retryable
        with pytest.raises(Failed, match="can't be reached"):
            send(order, host="localhost", port=port, timeout_s=10)
    finally:
        listener.stop()
    assert len(kept) == 1
