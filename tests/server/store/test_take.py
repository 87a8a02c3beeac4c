"""Workers that take the most urgent order each in one statement.

INTEROP.md R-4 (one owner), R-7 (abandoned orders), R-9 (STAT).
"""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from server.domain.order import OrderId, Priority, Request
from server.domain.states import OrderState
from server.metrics import REGISTRY
from server.store.database import connect, transaction
from server.store.store import PostgresStore
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(engine: sa.Engine) -> PostgresStore:
    return PostgresStore(engine)


def taken(store: PostgresStore) -> OrderId:
    claim = store.take(60)
    assert claim is not None
    return claim.order.id


def test_stat_is_taken_before_what_is_older_and_equals_by_age(store: PostgresStore) -> None:
    kinds = [Priority.ROUTINE, Priority.ASAP, Priority.ROUTINE, Priority.STAT, Priority.STAT]
    ids = [store.accept(request(i, priority=p))[0].id for i, p in enumerate(kinds)]
    assert [taken(store) for _ in ids] == [ids[3], ids[4], ids[1], ids[0], ids[2]]
    assert store.take(60) is None


def ordered_again(number: int, priority: Priority) -> Request:
    return replace(request(number, priority=priority), message_control_id=f"again-{number}-{priority}")


def test_an_order_that_comes_again_more_urgent_goes_before_older_ones_and_workers_hear_of_it(
    store: PostgresStore, engine: sa.Engine
) -> None:
    ids = [store.accept(request(i))[0].id for i in range(3)]
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM procrastinate_jobs")
    assert store.accept(ordered_again(2, Priority.STAT))[0].request.priority is Priority.STAT
    with engine.connect() as connection:
        jobs = connection.exec_driver_sql("SELECT priority, args ->> 'order_id' FROM procrastinate_jobs").all()
    assert [tuple(job) for job in jobs] == [(0, ids[2])]
    assert [taken(store) for _ in ids] == [ids[2], ids[0], ids[1]]


@pytest.mark.parametrize("again", [Priority.ROUTINE, Priority.ASAP])
def test_an_order_that_comes_again_less_urgent_stays_as_urgent_as_it_was(store: PostgresStore, again: Priority) -> None:
    order, _ = store.accept(request(1, priority=Priority.ASAP))
    before = store.order(order.id)
    store.accept(ordered_again(1, again))
    assert store.order(order.id) == before


def test_a_running_order_that_comes_again_more_urgent_is_so_at_its_next_attempt(store: PostgresStore) -> None:
    order, _ = store.accept(request(1))
    store.accept(request(2, priority=Priority.ASAP))
    running = store.claim(order.id, 0.0)
    assert running is not None
    store.accept(ordered_again(1, Priority.STAT))
    again = store.take(60)
    assert again is not None
    assert (again.order.id, again.order.request.priority) == (order.id, Priority.STAT)


def test_a_taken_order_is_held_as_a_claimed_one(store: PostgresStore) -> None:
    order, _ = store.accept(request())
    claim = store.take(60)
    assert claim is not None
    assert (claim.order, claim.attempt) == (order, 1)
    assert store.order(order.id).state is OrderState.RUNNING
    assert store.claim(order.id, 60) is None
    store.finish(claim, result(order.id), [])
    assert store.order(order.id).state is OrderState.DONE


def test_a_lapsed_order_is_taken_over_and_one_that_waits_for_its_next_attempt_is_not(store: PostgresStore) -> None:
    lapsed, failed = (store.accept(request(i))[0].id for i in (1, 2))
    assert store.claim(lapsed, 0.0) is not None
    claim = store.claim(failed, 60)
    assert claim is not None
    store.end(claim, OrderState.QUEUED, "ENGINE_FAILED", "")
    again = store.take(60)
    assert again is not None
    assert (again.order.id, again.attempt) == (lapsed, 2)
    assert store.take(60) is None


def test_a_spent_order_is_passed_over_and_left_to_be_buried(store: PostgresStore) -> None:
    abandoned, other = (store.accept(request(i))[0].id for i in (1, 2))
    for _ in range(3):
        assert store.claim(abandoned, 0.0) is not None
    assert taken(store) == other
    assert store.take(60) is None
    assert store.order(abandoned).state is OrderState.RUNNING


def test_an_order_that_is_buried_is_counted_once(store: PostgresStore) -> None:
    """An alarm on DEAD cases must hear of those whose workers all vanished, too."""

    def dead() -> float:
        return REGISTRY.get_sample_value("chromogen_cases_total", {"outcome": "DEAD", "reason": "WORKER_LOST"}) or 0.0

    order, _ = store.accept(request())
    before = dead()
    for _ in range(3):
        assert store.claim(order.id, 0.0) is not None
    assert dead() == before
    for _ in range(2):
        assert store.claim(order.id, 0.0) is None
    assert (store.order(order.id).state, dead()) == (OrderState.DEAD, before + 1)


def test_a_worker_kept_for_urgent_orders_takes_no_other(store: PostgresStore, engine: sa.Engine) -> None:
    store.accept(request(1))
    kept = PostgresStore(engine, stat_only=True)
    assert kept.take(60) is None
    urgent, _ = store.accept(request(2, priority=Priority.STAT))
    assert taken(kept) == urgent.id


def test_twenty_workers_take_twenty_orders_each_once_and_none_waits_for_another(
    store: PostgresStore, engine: sa.Engine
) -> None:
    ids = {store.accept(request(i))[0].id for i in range(21)}
    start = threading.Barrier(20)

    def one(_: int) -> OrderId:
        start.wait()
        return taken(store)

    with engine.connect() as other, ThreadPoolExecutor(20) as pool:
        held = other.execute(
            sa.text("SELECT id FROM orders ORDER BY rank, received_at, id LIMIT 1 FOR UPDATE")
        ).scalar_one()
        found = [future.result(timeout=30) for future in [pool.submit(one, i) for i in range(20)]]
    assert len(set(found)) == 20
    assert ids - set(found) == {OrderId(str(held))}


def add_orders(engine: sa.Engine, state: str, number: int) -> None:
    """So many like the one that is there."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "SET LOCAL session_replication_role = replica"
        )  # no audit of rows that nobody ordered
        columns = [c["name"] for c in sa.inspect(connection).get_columns("orders") if "computed" not in c]
        own = {"id": "gen_random_uuid()", "token": "NULL", "lease_until": "NULL", "state": f"'{state}'"}
        numbered = dict.fromkeys(("message_control_id", "placer_order_number"), f"'{state}' || i")
        made = ", ".join((own | numbered).get(c, c) for c in columns)
        rows = f"(SELECT * FROM orders LIMIT 1) one, generate_series(1, {number}) i"
        connection.exec_driver_sql(f"INSERT INTO orders ({', '.join(columns)}) SELECT {made} FROM {rows}")


EVERY_CASE = """
    INSERT INTO orders ({columns})
    SELECT {made} FROM (SELECT * FROM orders LIMIT 1) one,
        unnest(ARRAY['QUEUED', 'RUNNING', 'REFUSED', 'DEAD', 'CANCELLED']) a_state,
        unnest(ARRAY[interval '-1 hour', interval '1 hour']) until_due,
        unnest(ARRAY[interval '-1 hour', interval '1 hour']) until_lapsed,
        unnest(ARRAY[0, 2, 3, 4]) an_attempt,
        unnest(ARRAY[NULL, 'DEAD', 'REFUSED']) an_ending,
        unnest(ARRAY[0, 1, 2]) a_rank
"""


@pytest.mark.parametrize("stat_only", [False, True])
def test_what_one_statement_takes_is_what_is_due_and_can_be_claimed_in_the_same_order(
    engine: sa.Engine, stat_only: bool
) -> None:
    """The rule of what can be had stands twice, in `chromogen_take` and in the store: over every state of an order they
    agree.
    """
    store = PostgresStore(engine, stat_only=stat_only)
    store.accept(request())
    of_case = {
        "id": "gen_random_uuid()",
        "message_control_id": "gen_random_uuid()::text",
        "placer_order_number": "''",
        "state": "a_state",
        "due_at": "now() + until_due",
        "attempt": "an_attempt",
        "ending": "an_ending",
        "rank": "a_rank",
        "token": "CASE a_state WHEN 'RUNNING' THEN gen_random_uuid() END",
        "lease_until": "CASE a_state WHEN 'RUNNING' THEN now() + until_lapsed END",
    }
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        columns = [c["name"] for c in sa.inspect(connection).get_columns("orders") if "computed" not in c]
        made = ", ".join(of_case.get(c, c) for c in columns)
        connection.exec_driver_sql(EVERY_CASE.format(columns=", ".join(columns), made=made))
        connection.exec_driver_sql(
            "CREATE TABLE as_it_was AS SELECT id, state, token, lease_until, attempt, ending FROM orders"
        )
    in_one = [claim.order.id for claim in iter(lambda: store.take(60), None)]
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        before = "state = b.state, token = b.token, lease_until = b.lease_until, attempt = b.attempt, ending = b.ending"
        connection.exec_driver_sql(f"UPDATE orders o SET {before} FROM as_it_was b WHERE o.id = b.id")
    one_by_one = [order_id for order_id in store.due(1000) if store.claim(order_id, 60) is not None]
    assert in_one == one_by_one
    assert len(in_one) == (1 if stat_only else 3) * (24 + 4) + (0 if stat_only else 1)


@pytest.mark.parametrize("number", [2_000, 20_000])
def test_the_most_urgent_of_many_orders_is_found_by_an_index(service_url: str, engine: sa.Engine, number: int) -> None:
    """R-9: however many wait, taking one reads few pages; under row-level security, and before there are statistics."""
    bound = connect(service_url)
    store = PostgresStore(bound)
    first, _ = store.accept(request())
    assert taken(store) == first.id
    add_orders(engine, "QUEUED", number)
    taken(store)  # what is planned once a connection reads the catalogue
    with transaction(bound, subject="worker") as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) SELECT * FROM chromogen_take('worker', 60, 3, 2, gen_random_uuid())"
        )
        lines = plan.scalars().all()
    bound.dispose()
    pages = re.findall(r"(?:hit|read)=(\d+)", lines[1])
    assert "rows=1" in lines[0]
    assert sum(map(int, pages)) < 60, lines


def test_due_orders_are_listed_from_the_index_of_those_alone(service_url: str, engine: sa.Engine) -> None:
    """The rule is a function of the database: it is inlined, or the index of live orders wouldn't serve."""
    bound = connect(service_url)
    store = PostgresStore(bound)
    claim = store.claim(store.accept(request())[0].id, 60)
    assert claim is not None
    store.end(claim, OrderState.REFUSED, "NO_TISSUE", "")
    add_orders(engine, "REFUSED", 5_000)
    waits, _ = store.accept(request("waits"))
    asked: list[tuple[str, object]] = []
    sa.event.listen(bound, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    assert store.due() == [waits.id]
    statement, given = asked[-1]
    keda = "SELECT count(*) FROM orders WHERE state = 'RUNNING' OR chromogen_is_due(state, due_at, lease_until)"
    with transaction(bound) as connection:
        for question, values in ((statement, given), (keda, {})):
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {question}", values).scalars())  # type: ignore[arg-type]
            assert "orders_due_idx" in plan, plan
            assert "Seq Scan" not in plan, plan
    bound.dispose()
