"""Who waits for whom: INTEROP.md R-8, issue 12, 4."""

import threading

import pytest
import sqlalchemy as sa

from server.store.outbox import Patience, PostgresOutbox
from tests.integration.processes import until
from tests.server.store.peer import DOWN, ERROR, Peer, Queue, run, states

HANGS_S = 60


@pytest.mark.postgres
def test_r8_a_message_of_an_order_never_overtakes_its_older_one_and_another_order_s_does_not_wait(
    engine: sa.Engine, queue: Queue, peer: Peer
) -> None:
    """Issue 12, 4."""
    queue("lis", "lis")
    queue("lis")
    peer.failing_ids["0-0"] = ERROR
    outbox = PostgresOutbox(engine, peer)
    assert outbox.send_due() == 1
    assert peer.ids("lis") == ["1-0"]
    peer.failing_ids.clear()
    run(engine, "UPDATE outbox SET due_at = now()")
    assert outbox.send_due() == 2
    assert peer.ids("lis") == ["1-0", "0-0", "0-1"]


@pytest.mark.postgres
def test_a_message_that_is_never_acknowledged_ends_by_number_and_others_go_out(
    engine: sa.Engine, queue: Queue, peer: Peer
) -> None:
    """Issue 12, 4: it held the queue of every laboratory up to 72 h. A destination that is away ends nothing."""
    peer.failing_ids["0-0"] = DOWN
    queue("lis")
    outbox = PostgresOutbox(engine, peer, patience=Patience(errors=3))
    for _ in range(6):
        outbox.send_due()  # nothing else was taken meanwhile: the destination is away, for all that is known
        run(engine, "UPDATE outbox SET due_at = now()")
    assert states(engine) == ["WAITING"]
    for number in range(1, 4):
        queue("lis")
        peer.rested(outbox)
        while peer.ids("lis") != [f"{n}-0" for n in range(1, number + 1)]:
            outbox.send_due()
            peer.rested(outbox)
        run(engine, "UPDATE outbox SET due_at = now() WHERE state = 'WAITING'")
        outbox.send_due()
    assert states(engine) == ["DEAD", "SENT", "SENT", "SENT"]


@pytest.mark.postgres
def test_once_a_destination_is_back_all_that_waited_for_it_goes_out_at_once(
    engine: sa.Engine, queue: Queue, peer: Peer
) -> None:
    outbox = PostgresOutbox(engine, peer)
    peer.failing["lis"] = DOWN
    for _ in range(3):
        queue("lis")
        outbox.send_due()
        peer.rested(outbox)
    run(engine, "UPDATE outbox SET due_at = now() + interval '10 min' WHERE id > (SELECT min(id) FROM outbox)")
    run(engine, "UPDATE outbox SET due_at = now() WHERE id = (SELECT min(id) FROM outbox)")
    peer.failing.clear()
    assert outbox.send_due() == 3


@pytest.mark.postgres
def test_one_laboratory_never_waits_for_another_s_messages(engine: sa.Engine, queue: Queue, peer: Peer) -> None:
    """Issue 12, 4: a message that hangs for half a minute, before a receiver that two laboratories share."""
    queue("lis")
    queue("lis")
    run(engine, "UPDATE outbox SET lab = 'OTHER' WHERE id = (SELECT max(id) FROM outbox)")
    peer.held_ids["0-0"] = threading.Event()
    stop = threading.Event()
    thread = threading.Thread(target=PostgresOutbox(engine, peer).run, args=(stop, 0.05))
    thread.start()
    try:
        until(lambda: peer.ids("lis") == ["1-0"], HANGS_S)
    finally:
        peer.held_ids["0-0"].set()
        until(lambda: states(engine) == ["SENT"] * 2, HANGS_S)
        stop.set()
        thread.join()
