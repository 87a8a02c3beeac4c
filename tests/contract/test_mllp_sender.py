"""Delivery by MLLP against real sockets: only the acknowledgment of this message counts."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.demo.lis import ReceivingLis, order_message
from server.domain.errors import Failed, ServiceReason
from server.domain.ports import MessageSink
from server.hl7.er7 import END, START
from server.hl7.oru import build_oru, control_id
from server.hl7.sender import MllpSink, send
from tests.made import made_order, made_result

MESSAGE = order_message(placer_number="P", marker="ER", control_id="M-7", container_id="C")
Peer = Callable[[Callable[[socket.socket], None]], int]


def acknowledgment(code: str, control_id: str = "M-7") -> bytes:
    return START + f"MSH|^~\\&|L||C||||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r".encode() + END


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A peer that takes one connection, reads one frame and then does as told; the port to send to."""
    threads: list[threading.Thread] = []
    servers: list[socket.socket] = []

    def start(behave: Callable[[socket.socket], None]) -> int:
        server = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                seen = b""
                while not seen.endswith(END):
                    seen += connection.recv(65536)
                behave(connection)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        servers.append(server)
        return int(server.getsockname()[1])

    yield start
    for thread in threads:
        thread.join()
    for server in servers:
        server.close()


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_an_acceptance_ends_the_delivery(peer: Peer, code: str) -> None:
    send(MESSAGE, host="127.0.0.1", port=peer(lambda c: c.sendall(acknowledgment(code))), timeout_s=5)


@pytest.mark.parametrize("code", ["AE", "CE", "AR", "CR"])
def test_errors_are_tried_again_and_rejections_are_not(peer: Peer, code: str) -> None:
    with pytest.raises(Failed, match=code) as failed:
        send(MESSAGE, host="127.0.0.1", port=peer(lambda c: c.sendall(acknowledgment(code))), timeout_s=5)
    error, rejected = (ServiceReason.RECEIVER_ERROR, True), (ServiceReason.RECEIVER_REJECTED, False)
    assert (failed.value.reason, failed.value.retryable) == (error if code.endswith("E") else rejected)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_an_acknowledgment_counts_whatever_follows_its_end_byte(peer: Peer, end: bytes) -> None:
    """Issue 12, 2f."""
    other, own = (acknowledgment("AA", control_id)[:-1] + end for control_id in ("M-6", "M-7"))
    send(MESSAGE, host="127.0.0.1", port=peer(lambda c: c.sendall(other + own)), timeout_s=5)


def test_an_acknowledgment_of_another_message_is_passed_over(peer: Peer) -> None:
    late = acknowledgment("AR", "M-6") + acknowledgment("AA", "M-70") + acknowledgment("AA", "")
    send(MESSAGE, host="127.0.0.1", port=peer(lambda c: c.sendall(late + acknowledgment("AA"))), timeout_s=5)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "answer",
    [acknowledgment("AA", "M-6"), acknowledgment("ZZ"), START + b"hello" + END, b"", acknowledgment("AA")[:-2]],
)
def test_without_its_own_acknowledgment_the_delivery_times_out_and_the_socket_is_closed(
    peer: Peer, answer: bytes
) -> None:
    closed: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        connection.sendall(answer)
        closed.append(connection.recv(10))

    with pytest.raises(Failed, match="did not acknowledge") as failed:
        send(MESSAGE, host="127.0.0.1", port=(port := peer(behave)), timeout_s=0.3)
    assert failed.value.retryable
    assert str(port) in failed.value.message
    while not closed:
        time.sleep(0.01)
    assert closed == [b""]


@pytest.mark.timeout(60)
def test_a_trickling_peer_cannot_hold_the_sender_longer_than_the_time_out(peer: Peer) -> None:
    """Only the sender can end it."""

    def trickle(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(acknowledgment("AA", "M-6"))
                time.sleep(0.05)
        except OSError:
            pass

    with pytest.raises(Failed, match="did not acknowledge"):
        send(MESSAGE, host="127.0.0.1", port=peer(trickle), timeout_s=0.3)


def test_an_acknowledgment_in_single_bytes_is_put_together(peer: Peer) -> None:
    def drip(connection: socket.socket) -> None:
        for byte in acknowledgment("AA"):
            connection.sendall(bytes([byte]))

    send(MESSAGE, host="127.0.0.1", port=peer(drip), timeout_s=10)


def test_a_peer_that_hangs_up_or_is_not_there_is_tried_again(peer: Peer) -> None:
    with pytest.raises(Failed) as failed:
        send(MESSAGE, host="127.0.0.1", port=peer(lambda c: None), timeout_s=5)
    assert failed.value.retryable
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(Failed, match="can't be reached") as failed:
        send(MESSAGE, host="127.0.0.1", port=port, timeout_s=5)
    assert failed.value.retryable


def test_a_receiver_is_sent_messages_and_answers_a_ping_while_it_is_there(tmp_path: Path) -> None:
    with ReceivingLis(tmp_path) as lis:
        sink: MessageSink = MllpSink(host="127.0.0.1", port=lis.port, timeout_s=5)
        sink.ping()
        sink.send(MESSAGE)
        assert [path.read_bytes() for path in lis.received] == [MESSAGE]
    with pytest.raises(Failed, match="DELIVERY_FAILED") as failed:
        sink.ping()
    assert failed.value.retryable


def test_a_message_without_a_control_id_is_not_sent() -> None:
    with pytest.raises(Failed, match="MSH-10") as failed:
        send(b"MSH|^~\\&|A", host="127.0.0.1", port=1, timeout_s=1)
    assert not failed.value.retryable


def test_a_result_reaches_the_receiving_lis_and_a_resend_is_kept_once(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=50)
    message = build_oru(result, made_order())
    with ReceivingLis(folder=tmp_path) as lis:
        for _ in range(2):
            send(message, host="127.0.0.1", port=lis.port, timeout_s=10)
    assert lis.received == [tmp_path / f"{control_id(result)}.hl7"]
    assert lis.received[0].read_bytes() == message


def test_the_receiving_lis_refuses_what_is_not_hl7(tmp_path: Path) -> None:
    with ReceivingLis(folder=tmp_path) as lis, socket.create_connection(("127.0.0.1", lis.port), timeout=5) as c:
        c.sendall(START + b"hello" + END)
        assert b"MSA|AE\r" in c.recv(65536)
    assert lis.received == []
