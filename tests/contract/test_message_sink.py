"""What every receiver of messages does (`server.domain.ports.MessageSink`): one set of checks on each implementation.

A new one is added to `sink` with the peer that it speaks to; what MLLP alone can suffer is in test_mllp_sender.py.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from server.demo.lis import order_message
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.ports import MessageSink
from server.hl7.acknowledge import Answer, acknowledgments
from server.hl7.er7 import read_header
from server.hl7.listener import MllpListener
from server.hl7.sender import MllpSink

MESSAGE = order_message(placer_number="P", marker="ER", control_id="M-7", container_id="C")


@dataclass(slots=True)
class Receiver:
    """Acknowledges what comes, or answers it with `error`; the handler of a listener."""

    got: list[bytes] = field(default_factory=list)
    error: ChromogenError | None = None

    def __call__(self, message: bytes) -> tuple[bytes, ...]:
        self.got.append(message)
        answer = Answer(error=self.error)
        return acknowledgments(read_header(message), answer, charset="ASCII", now=datetime.now(UTC))

    def refuse(self, message: bytes, error: ChromogenError) -> tuple[bytes, ...]:
        raise AssertionError(f"{len(message)} bytes are no message: {error.reason}")


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(params=["mllp"])
def sink(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[MessageSink]:
    listener = MllpListener(receiver, port=0)
    yield MllpSink(host="127.0.0.1", port=listener.start(), timeout_s=20)
    listener.stop()


@pytest.fixture(params=["mllp"])
def sink_away(request: pytest.FixtureRequest) -> MessageSink:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    return MllpSink(host="127.0.0.1", port=port, timeout_s=20)


def test_a_message_that_was_sent_is_there_to_the_byte(sink: MessageSink, receiver: Receiver) -> None:
    sink.send(MESSAGE)
    assert receiver.got == [MESSAGE]


def test_a_message_may_be_sent_again(sink: MessageSink, receiver: Receiver) -> None:
    for _ in range(2):
        sink.send(MESSAGE)
    assert receiver.got == [MESSAGE] * 2


@pytest.mark.parametrize(
    ("answer", "reason", "retryable"),
    [
        (ServiceReason.MESSAGE_INVALID, ServiceReason.RECEIVER_ERROR, True),
        (ServiceReason.MESSAGE_TYPE_UNSUPPORTED, ServiceReason.RECEIVER_REJECTED, False),
    ],
    ids=["error", "rejection"],
)
def test_an_error_is_tried_again_and_a_rejection_is_not(
    sink: MessageSink, receiver: Receiver, answer: ServiceReason, reason: ServiceReason, retryable: bool
) -> None:
    receiver.error = Refused(answer, "said by the test")
    with pytest.raises(Failed) as failed:
        sink.send(MESSAGE)
    assert (failed.value.reason, failed.value.retryable) == (reason, retryable)


def test_a_ping_sends_no_message(sink: MessageSink, receiver: Receiver) -> None:
    sink.ping()
    sink.send(MESSAGE)  # on a connection of its own, after the ping's
    assert receiver.got == [MESSAGE]


def test_a_receiver_that_is_away_is_tried_again(sink_away: MessageSink) -> None:
    for ask in (sink_away.ping, lambda: sink_away.send(MESSAGE)):
        with pytest.raises(Failed) as failed:
            ask()
        assert (failed.value.reason, failed.value.retryable) == (ServiceReason.DELIVERY_FAILED, True)
