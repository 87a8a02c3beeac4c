"""What lists of orders and results, the queue's metrics and a claim take when a laboratory has done so many orders.

    python -m tests.benchmarks.lists [--done 1000000] [--waiting 100000]

One JSON line: milliseconds of the slowest of three, as the service's account sees the tables, pages of 50.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from server.domain.access import Caller, Role
from server.domain.order import Priority
from server.domain.result import ResultId
from server.domain.states import OrderState
from server.domain.views import OrderFilter, ResultFilter, SlideName
from server.store import private, tables
from server.store.account_check import SERVICE
from server.store.database import as_role, connect
from server.store.migrate import migrate
from server.store.order_repository import PostgresOrderRepository
from server.store.queue_metrics import QueueMetrics
from server.store.result_repository import PostgresResultRepository
from server.store.store import PostgresStore
from tests.server.store.invented import request, result

PAGE = 50
ACTOR = Caller(subject="bench", lab="LAB", roles=frozenset({Role.LIS}))

# A second apart, each with its own numbers; the rest is the first order's, or its result's.
ORDERS = """
INSERT INTO orders ({columns}) SELECT {made} FROM orders o, generate_series(1, :number) i, CAST(:state AS text) wanted,
    jsonb_populate_record(o, jsonb_build_object(
        'id', gen_random_uuid(), 'message_control_id', wanted || i, 'placer_order_number', wanted || i, 'state', wanted,
        'received_at', o.received_at - make_interval(secs => i),
        'slide', jsonb_build_object('container_id', wanted || i),
        'result_id', CASE WHEN wanted = 'DONE' THEN gen_random_uuid() END
    )) made WHERE o.id = :first
"""
RESULTS = """
INSERT INTO results ({columns}) SELECT {made} FROM orders, results r, jsonb_populate_record(r, jsonb_build_object(
    'id', orders.result_id, 'order_id', orders.id, 'created_at', orders.received_at,
    'slide', r.slide || jsonb_build_object(
        'series_uid', orders.placer_order_number, 'container_id', orders.placer_order_number)
)) made WHERE orders.state = 'DONE' AND orders.id <> :first AND r.id = :first
"""
SCORES = """
INSERT INTO scores SELECT made.* FROM results, scores s,
    jsonb_populate_record(s, jsonb_build_object('result_id', results.id)) made
    WHERE results.id <> :first AND s.result_id = :first
    ORDER BY results.id, s.position
"""


def copying(statement: str, table: sa.Table) -> sa.TextClause:
    """With the names of those columns that aren't generated."""
    names = [column.name for column in table.c if column.computed is None]
    return sa.text(statement.format(columns=", ".join(names), made=", ".join(f"made.{name}" for name in names)))


def fill(engine: sa.Engine, store: PostgresStore, done: int, waiting: int) -> None:
    """So many done orders with their results, and so many that wait; no audit of them."""
    store.accept(request())
    claim = store.take(60)
    assert claim is not None
    store.finish(claim, replace(result(claim.order.id), id=ResultId(claim.order.id)), [])
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        first = {"first": claim.order.id}  # its result has its identifier
        connection.execute(copying(ORDERS, tables.orders), first | {"state": "DONE", "number": done})
        connection.execute(copying(RESULTS, tables.results), first)
        connection.execute(sa.text(SCORES), first)
        connection.execute(copying(ORDERS, tables.orders), first | {"state": "QUEUED", "number": waiting})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("VACUUM ANALYZE")


def slowest(act: Callable[[], object]) -> float:
    """Milliseconds."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return round(max(seconds) * 1e3, 1)


def measured(engine: sa.Engine, store: PostgresStore, done: int) -> dict[str, float]:
    orders, results = PostgresOrderRepository(engine), PostgresResultRepository(engine)
    after = orders.list(ACTOR, OrderFilter(), PAGE, ()).next
    middle = orders.list(ACTOR, OrderFilter(container_id=f"DONE{done // 2}"), PAGE, ()).items[0]
    deep = (middle.order.received_at.isoformat(), middle.order.id)
    acts: dict[str, Callable[[], object]] = {
        "orders_first": lambda: orders.list(ACTOR, OrderFilter(), PAGE, ()),
        "orders_second": lambda: orders.list(ACTOR, OrderFilter(), PAGE, after or ()),
        "orders_deep": lambda: orders.list(ACTOR, OrderFilter(), PAGE, deep),
        "orders_waiting": lambda: orders.list(ACTOR, OrderFilter(states=(OrderState.QUEUED,)), PAGE, ()),
        "orders_dead": lambda: orders.list(ACTOR, OrderFilter(states=(OrderState.DEAD, OrderState.REFUSED)), PAGE, ()),
        "orders_stat": lambda: orders.list(ACTOR, OrderFilter(priority=Priority.STAT), PAGE, ()),
        "orders_container": lambda: orders.list(ACTOR, OrderFilter(container_id=f"DONE{done // 2}"), PAGE, ()),
        "orders_number": lambda: orders.list(ACTOR, OrderFilter(placer_order_number=f"DONE{done // 2}"), PAGE, ()),
        "results_first": lambda: results.list(ACTOR, ResultFilter(), PAGE, ()),
        "results_slide": lambda: results.history(ACTOR, SlideName(series_uid=f"DONE{done // 2}"), PAGE),
        "results_container": lambda: results.history(ACTOR, SlideName(container_id=f"DONE{done // 2}"), PAGE),
        "newest": lambda: store.orders(PAGE),
        "queue_metrics": lambda: list(QueueMetrics(engine).collect()),
        "take": lambda: store.take(60),
    }
    return {name: slowest(act) for name, act in acts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--done", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chromogen-bench-"))
    server = private.start(folder)
    try:
        migrate(server.url)
        owner, engine = connect(server.url), connect(as_role(server.url, SERVICE))
        store = PostgresStore(engine)
        fill(owner, store, asked.done, asked.waiting)
        print(
            json.dumps(
                {
                    "benchmark": "lists",
                    "done": asked.done,
                    "waiting": asked.waiting,
                    **measured(engine, store, asked.done),
                }
            )
        )
        engine.dispose()
        owner.dispose()
    finally:
        server.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
