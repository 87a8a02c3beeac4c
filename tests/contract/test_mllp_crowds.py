"""Who sends nothing keeps nobody out: idle connections, unfinished messages, floods (issue 12, 7 and 8)."""

import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from server.hl7.er7 import END, START
from server.hl7.listener import MllpListener
from server.hl7.places import Place, Places
from tests.contract.test_mllp_listener import Echo, connect, frames
from tests.integration.processes import until


def listening(**options: int) -> tuple[Echo, MllpListener, int]:
    handler = Echo()
    listener = MllpListener(handler, **options)  # type: ignore[arg-type]
    return handler, listener, listener.start()


@pytest.fixture
def crowd() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def answered(port: int) -> bool:
    with closing(connect(port)) as c:
        c.sendall(START + b"order" + END)
        try:
            return frames(c, 1) == [b"got order"]
        except (OSError, IndexError, AssertionError, StopIteration):
            return False


@pytest.mark.parametrize("sent", [b"", START + b"half a message"], ids=["idle", "unfinished"])
def test_connections_that_send_nothing_give_their_places_to_the_next(crowd: ExitStack, sent: bytes) -> None:
    handler, listener, port = listening(connections=20)
    crowd.callback(listener.stop)
    for _ in range(30):
        quiet = crowd.enter_context(closing(connect(port)))
        quiet.sendall(sent)
    until(lambda: answered(port), 10)
    assert all(answered(port) for _ in range(30))
    assert set(handler.got) == {b"order"}


def test_who_talks_keeps_the_place(crowd: ExitStack) -> None:
    _, listener, port = listening(connections=4)
    crowd.callback(listener.stop)
    talking = crowd.enter_context(closing(connect(port)))
    for number in range(30):
        crowd.enter_context(closing(connect(port)))
        talking.sendall(START + b"%d" % number + END)
        assert frames(talking, 1) == [b"got %d" % number]


def test_unfinished_messages_hold_no_more_memory_than_is_set_aside(crowd: ExitStack) -> None:
    limit = 1 << 20
    _, listener, port = listening(limit=limit, connections=40)
    crowd.callback(listener.stop)
    tracemalloc.start()
    crowd.callback(tracemalloc.stop)
    for _ in range(40):
        half = crowd.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=1)))
        try:
            half.sendall(START + b"x" * (limit - 100))
        except OSError:
            continue  # not read any more, or closed for another's sake
    until(lambda: answered(port), 20)
    assert tracemalloc.get_traced_memory()[1] < 25 * limit  # 4 messages, what 40 streams buffer, and copies in hand


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_quietest_of_the_address_that_has_most_gives_way() -> None:
    clock, closed = Clock(), list[str]()
    places = Places(most=3, most_bytes=100, now=clock)

    def enter(address: str, name: str) -> Place | None:
        clock.now += 1
        return places.enter(address, lambda: closed.append(name))

    kept = [enter("lis", "first"), enter("crowd", "second"), enter("crowd", "third")]
    assert enter("other", "fourth") is not None
    assert closed == ["second"]
    assert None not in kept
    kept[0].busy = True  # type: ignore[union-attr]
    clock.now += 9
    assert enter("crowd", "fifth") is not None
    assert closed == ["second", "third"]


def test_a_message_in_hand_is_never_given_up_for_another_s_bytes() -> None:
    clock, closed = Clock(), list[str]()
    places = Places(most=3, most_bytes=100, now=clock)
    busy, slow, new = (places.enter("lis", lambda name=name: closed.append(name)) for name in ("busy", "slow", "new"))
    assert busy
    assert slow
    assert new
    assert places.hold(busy, 60)
    assert places.hold(slow, 30)
    busy.busy = True
    assert not places.hold(new, 20)  # nobody is quiet yet
    clock.now += 5
    assert places.hold(new, 40)
    assert closed == ["slow"]
    assert not places.hold(new, 10)
    places.handled(busy)
    assert places.hold(new, 60)
