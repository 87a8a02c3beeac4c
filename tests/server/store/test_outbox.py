"""INTEROP.md R-8: first in first out for each destination, one dead destination delays no other, at least once, same
bytes.
"""

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.ports import Delivery
from server.store import outbox as sending
from server.store.outbox import Patience, PostgresOutbox
from tests.integration.processes import until
from tests.server.store.peer import DOWN, ERROR, LIS, REJECTED, Peer, Queue, run, states

HANGS_S = 60
"""What isn't done by then never will be."""


@given(st.integers(1, 10_000))
def test_waits_grow_from_five_seconds_to_a_quarter_of_an_hour(attempts: int) -> None:
    wait = Patience().wait_s(attempts)
    assert 5 <= wait <= 900
    assert attempts < 9 or wait >= 450


def test_waits_differ_so_that_peers_are_not_asked_in_step() -> None:
    assert len({Patience().wait_s(9) for _ in range(20)}) == 20


@pytest.mark.postgres
def test_each_destination_gets_everything_once_and_in_order(engine: sa.Engine, queue: Queue, peer: Peer) -> None:
    for _ in range(5):
        queue("archive", "lis", "archive")
    assert PostgresOutbox(engine, peer).send_due() == 15
    assert peer.ids("lis") == [f"{n}-1" for n in range(5)]
    assert peer.ids("archive") == [f"{n}-{i}" for n in range(5) for i in (0, 2)]
    assert PostgresOutbox(engine, peer).waiting() == 0
    assert PostgresOutbox(engine, peer).send_due() == 0


@pytest.mark.postgres
def test_several_senders_at_once_send_each_thing_once_and_in_order(engine: sa.Engine, queue: Queue, peer: Peer) -> None:
    for _ in range(10):
        queue("lis", "lis")
    peer.slow["lis"] = 0.005
    threads = [threading.Thread(target=PostgresOutbox(engine, peer).send_due) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert peer.ids("lis") == [f"{n}-{i}" for n in range(10) for i in range(2)]


@pytest.mark.postgres
def test_a_destination_that_is_down_keeps_its_order_and_delays_no_other(
    engine: sa.Engine, queue: Queue, peer: Peer
) -> None:
    queue("lis", "archive")
    queue("lis", "archive")
    peer.failing["lis"] = DOWN
    outbox = PostgresOutbox(engine, peer)
    assert outbox.send_due() == 2
    assert peer.ids("archive") == ["0-1", "1-1"]
    assert peer.asked.count("lis") == 1  # while it is away, one message after another is no help
    peer.failing.clear()
    run(engine, "UPDATE outbox SET due_at = now()")
    assert PostgresOutbox(engine, peer).send_due() == 2
    assert peer.ids("lis") == ["0-0", "1-0"]


@pytest.mark.postgres
def test_a_destination_that_hangs_delays_no_other_while_running(engine: sa.Engine, queue: Queue, peer: Peer) -> None:
    queue("hanging", "archive")
    peer.held["hanging"] = threading.Event()
    stop = threading.Event()
    thread = threading.Thread(target=PostgresOutbox(engine, peer).run, args=(stop, 0.05))
    thread.start()
    try:
        until(lambda: peer.ids("archive") == ["0-1"], HANGS_S)
        queue("archive")
        until(lambda: peer.ids("archive") == ["0-1", "1-0"], HANGS_S)
        assert (peer.asked.count("hanging"), peer.ids("hanging")) == (1, [])
    finally:
        peer.held["hanging"].set()
        until(lambda: states(engine) == ["SENT"] * 3, HANGS_S)  # the held send ends before its database does
        stop.set()
        thread.join()


@pytest.mark.postgres
def test_what_is_rejected_is_dead_at_once_and_the_next_goes_out(engine: sa.Engine, queue: Queue, peer: Peer) -> None:
    queue("lis")
    peer.failing["lis"] = REJECTED
    outbox = PostgresOutbox(engine, peer)
    assert outbox.send_due() == 0
    peer.failing.clear()
    queue("lis")
    assert outbox.send_due() == 1
    assert peer.ids("lis") == ["1-0"]
    assert states(engine) == ["DEAD", "SENT"]
    assert outbox.dead() == 1


@pytest.mark.postgres
def test_what_the_receiver_answers_with_errors_is_given_up_by_number_and_the_next_goes_out(
    engine: sa.Engine, queue: Queue, peer: Peer
) -> None:
    """Beside it, being out of reach costs nothing of that number."""
    queue("lis")
    queue("lis")
    outbox = PostgresOutbox(engine, peer, patience=Patience(errors=3))
    for trouble in (ERROR, DOWN, DOWN, DOWN, ERROR, ERROR):
        assert states(engine) == ["WAITING", "WAITING"]
        peer.failing["lis"] = trouble
        run(engine, "UPDATE outbox SET due_at = now() + interval '1 h' WHERE id > (SELECT min(id) FROM outbox)")
        run(engine, "UPDATE outbox SET due_at = now() WHERE id = (SELECT min(id) FROM outbox)")
        outbox.send_due()
    assert states(engine) == ["DEAD", "WAITING"]
    with engine.connect() as connection:
        reason = "SELECT reason, errors, attempts FROM outbox WHERE state = 'DEAD'"
        assert tuple(connection.exec_driver_sql(reason).one()) == ("RECEIVER_ERROR", 3, 6)
    peer.failing.clear()
    run(engine, "UPDATE outbox SET due_at = now()")
    assert outbox.send_due() == 1
    assert peer.ids("lis") == ["1-0"]


@pytest.mark.postgres
def test_how_many_errors_end_a_message_is_its_destination_s_to_say(engine: sa.Engine, queue: Queue, peer: Peer) -> None:
    queue("strict", "patient")
    peer.failing |= {"strict": ERROR, "patient": ERROR}
    PostgresOutbox(engine, peer, patience=Patience(errors=2, errors_of={"strict": 1})).send_due()
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT destination, state FROM outbox").all()
    assert {tuple(row) for row in found} == {("strict", "DEAD"), ("patient", "WAITING")}


@pytest.mark.postgres
@pytest.mark.parametrize(("hours", "state"), [(71, "WAITING"), (73, "DEAD")])
def test_after_72_hours_it_is_given_up(engine: sa.Engine, queue: Queue, peer: Peer, hours: int, state: str) -> None:
    queue("lis")
    run(engine, f"UPDATE outbox SET created_at = now() - interval '{hours} hours'")
    peer.failing["lis"] = DOWN
    PostgresOutbox(engine, peer).send_due()
    assert states(engine) == [state]


@pytest.mark.postgres
def test_what_a_dead_sender_had_in_hand_is_sent_again_with_the_same_bytes(
    engine: sa.Engine, queue: Queue, peer: Peer
) -> None:
    queue("lis")

    def dies(delivery: Delivery) -> None:
        peer(delivery)
        raise SystemExit  # after the peer took it, before we noted that

    with pytest.raises(SystemExit):
        PostgresOutbox(engine, dies, patience=Patience(lease_s=60)).drain(LIS)
    assert PostgresOutbox(engine, peer).send_due() == 0
    run(engine, "UPDATE outbox SET lease_until = now() - interval '1 s'")
    assert PostgresOutbox(engine, peer).send_due() == 1
    assert peer.taken[0] == peer.taken[1]


HANGING = """
import sys, time
from pathlib import Path
from server.store.database import connect
from server.store.outbox import Channel, Patience, PostgresOutbox

def hang(_):
    Path(sys.argv[2]).touch()
    time.sleep(3600)

channel = Channel(destination="lis", lab=sys.argv[4])
PostgresOutbox(connect(sys.argv[1]), hang, patience=Patience(lease_s=float(sys.argv[3]))).drain(channel)
"""


@pytest.mark.postgres
def test_a_slow_sender_keeps_its_message_and_a_killed_one_is_replaced_within_its_lease(
    engine: sa.Engine, database_url: str, queue: Queue, peer: Peer, tmp_path: Path
) -> None:
    queue("lis")
    begun, lease = tmp_path / "begun", timedelta(seconds=3)
    given = [database_url, str(begun), str(lease.total_seconds()), LIS.lab]
    slow = subprocess.Popen([sys.executable, "-c", HANGING, *given])
    try:
        until(begun.exists, HANGS_S)
        first, _ = lease_until(engine)
        until(lambda: lease_until(engine)[0] > first + lease, HANGS_S)  # renewed beyond what it was given
        assert PostgresOutbox(engine, peer).send_due() == 0
    finally:
        slow.kill()
        slow.wait()
    ends, now = lease_until(engine)
    assert ends <= now + lease
    until(lambda: PostgresOutbox(engine, peer).send_due() == 1, HANGS_S)


def lease_until(engine: sa.Engine) -> tuple[datetime, datetime]:
    """When the only delivery's lease ends, and now: both by the database's clock."""
    with engine.connect() as connection:
        ends, now = connection.exec_driver_sql("SELECT lease_until, now() FROM outbox").one()
    return ends, now


@pytest.mark.postgres
def test_a_sender_that_was_replaced_while_it_stood_still_sends_nothing_when_it_goes_on(
    engine: sa.Engine, queue: Queue, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its preliminary result would come after the final one that was sent meanwhile."""
    queue("lis")
    queue("lis")
    successor, digest = Peer(), sending.digest

    def after_a_pause(path: Path) -> str:
        monkeypatch.setattr(sending, "digest", digest)
        run(engine, "UPDATE outbox SET lease_until = now() - interval '1 s' WHERE token IS NOT NULL")
        assert PostgresOutbox(engine, successor).drain(LIS) == 2
        return digest(path)

    monkeypatch.setattr(sending, "digest", after_a_pause)
    assert PostgresOutbox(engine, peer).drain(LIS) == 0
    assert (successor.ids("lis"), peer.asked) == (["0-0", "1-0"], [])
    assert states(engine) == ["SENT", "SENT"]


def test_a_database_that_refuses_just_before_the_sending_kills_no_message(
    engine: sa.Engine, queue: Queue, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue("lis")
    outbox = PostgresOutbox(engine, peer)

    def refuses(_: object) -> bool:
        raise Failed(ServiceReason.DATABASE_FAILED, "the database is read-only")

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "_renewed", refuses)
        assert outbox.drain(LIS) == 0
    assert (states(engine), peer.asked) == (["WAITING"], [])
    run(engine, "UPDATE outbox SET due_at = now()")
    assert outbox.drain(LIS) == 1


def test_a_dead_sender_is_replaced_within_a_quarter_of_a_minute() -> None:
    assert Patience().lease_s <= 15


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("harm", "state"),
    [
        (lambda p: p.write_bytes(b"other"), "DEAD"),
        (lambda p: p.unlink(), "DEAD"),
        (lambda p: p.parent.rename(p.parent.with_name("away")), "WAITING"),  # a share that is away comes back
    ],
    ids=["changed", "gone", "folder gone"],
)
def test_a_file_that_is_not_what_was_finished_is_not_sent(
    engine: sa.Engine, queue: Queue, peer: Peer, tmp_path: Path, harm: Callable[[Path], object], state: str
) -> None:
    queue("lis")
    harm(tmp_path / "0-0")
    assert PostgresOutbox(engine, peer).send_due() == 0
    assert (peer.taken, states(engine)) == ([], [state])


@pytest.mark.postgres
def test_a_fault_of_the_sender_is_retried_and_leaves_only_its_type(engine: sa.Engine, queue: Queue) -> None:
    queue("lis")

    def broken(_: Delivery) -> None:
        raise KeyError("TEST-INVENTED")

    PostgresOutbox(engine, broken).send_due()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT state, reason FROM outbox").one() == ("WAITING", "KeyError")


def test_a_kind_that_a_newer_version_queued_is_dead_at_once_and_holds_up_nothing(
    queue: Queue, peer: Peer, engine: sa.Engine
) -> None:
    queue("archive")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET kind = 'OF_TOMORROW'")
    queue("archive")

    def deliver(delivery: Delivery) -> None:
        if delivery.kind not in set(ArtifactKind):
            raise REJECTED
        peer(delivery)

    assert PostgresOutbox(engine, deliver).send_due() == 1
    with engine.connect() as connection:
        states = connection.exec_driver_sql("SELECT kind, state FROM outbox ORDER BY id").all()
    assert [tuple(row) for row in states] == [("OF_TOMORROW", "DEAD"), ("ORU", "SENT")]
