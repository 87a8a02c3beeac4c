"""Workers killed by the dozen, PostgreSQL restarted and frozen, urgent orders, deliveries.

INTEROP.md R-4, R-6, R-8, R-9.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import psycopg2.extensions
import pytest
import sqlalchemy as sa

from server.demo.lis import ReceivingLis, order_message
from server.domain.access import ALL_LABS, Caller, Role
from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed
from server.domain.order import Order, Priority
from server.domain.ports import Delivery
from server.domain.result import ResultId
from server.domain.states import OrderState
from server.hl7.sender import MllpSink
from server.report.deliver import Deliverer
from server.store.admin_repository import PostgresAdminRepository
from server.store.database import connect
from server.store.outbox import Patience, PostgresOutbox
from server.store.store import PostgresStore
from tests.integration.processes import Nursery, OwnPostgres, until
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres

SOAK = bool(os.environ.get("SOAK"))
KILLS, ORDERS = (500, 400) if SOAK else (50, 40)
FROZEN_S = 60.0 if SOAK else 4.0
LEASE_S, CASE_S, WORKERS = 2.0, 0.3, 4
SEED = 4

Nurse = Callable[..., Nursery]


@pytest.fixture
def store(engine: sa.Engine) -> PostgresStore:
    return PostgresStore(engine)


@pytest.fixture
def nurse() -> Iterator[Nurse]:
    """Nurseries; no worker outlives the test."""
    made: list[Nursery] = []

    def one(url: str, folder: Path, seconds: float = CASE_S) -> Nursery:
        made.append(Nursery.of(url, folder, lease_s=LEASE_S, seconds=seconds))
        return made[-1]

    yield one
    for nursery in made:
        nursery.close()


def values(engine: sa.Engine, statement: str) -> list[object]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(statement).scalars())


def all_done(engine: sa.Engine, number: int) -> Callable[[], bool]:
    return lambda: values(engine, "SELECT count(*) FROM orders WHERE state = 'DONE'") == [number]


def claims(engine: sa.Engine) -> dict[str, list[datetime]]:
    """When each order was claimed, by the audit."""
    found: dict[str, list[datetime]] = {}
    with engine.connect() as connection:
        asked = "SELECT object, at FROM audit WHERE action = 'order.claim' ORDER BY at"
        for of, at in connection.exec_driver_sql(asked):
            found.setdefault(of, []).append(at)
    return found


@pytest.mark.timeout(3600 if SOAK else 200)
def test_r4_of_workers_killed_again_and_again_each_order_gets_one_result_and_each_case_is_taken_over(
    store: PostgresStore, engine: sa.Engine, service_url: str, tmp_path: Path, nurse: Nurse
) -> None:
    for number in range(ORDERS):
        store.accept(request(number))
    nursery = nurse(service_url, tmp_path)
    for _ in range(WORKERS):
        nursery.bear()
    chance = random.Random(SEED)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.4))
        nursery.kill(chance.choice(nursery.alive))
        nursery.bear()
    until(all_done(engine, ORDERS), ORDERS * CASE_S + 30)
    assert (
        values(engine, "SELECT count(*) FROM results")
        == values(engine, "SELECT count(DISTINCT order_id) FROM results")
        == [ORDERS]
    )
    until(lambda: values(engine, "SELECT count(*) FROM outbox WHERE state = 'SENT'") == [ORDERS], 30)
    delivered = (tmp_path / "delivered").read_text().splitlines()
    assert set(delivered) == set(map(str, values(engine, "SELECT id FROM orders")))
    repeats = [later - earlier for times in claims(engine).values() for earlier, later in pairwise(times)]
    assert repeats  # kills did hit cases
    if SOAK:  # on a machine that does nothing else
        assert max(gap.total_seconds() for gap in repeats) < LEASE_S + 5 + CASE_S


@pytest.mark.timeout(400 if SOAK else 150)
def test_r6_over_a_restart_and_a_partition_of_the_database_nothing_is_lost_and_nothing_hangs(
    tmp_path: Path, nurse: Nurse
) -> None:
    database = OwnPostgres()
    engine = connect(database.owner_url)
    store = PostgresStore(engine)
    try:
        for number in range(12):
            store.accept(request(number))
        nursery = nurse(database.url, tmp_path, 0.5)
        nursery.bear()
        nursery.bear()
        until(lambda: bool(values(engine, "SELECT id FROM results LIMIT 1")), 20)
        database.stop("fast")
        with pytest.raises(Failed) as failed:
            store.due()
        assert failed.value.retryable
        time.sleep(2)
        database.start()
        store.accept(request(12))
        database.freeze(FROZEN_S)
        until(all_done(engine, 13), 60)
        assert values(engine, "SELECT count(*) FROM results") == [13]
        until(lambda: values(engine, "SELECT count(*) FROM outbox WHERE state = 'SENT'") == [13], 30)
        assert all(Path(f"/proc/{number}").exists() for number in nursery.alive)
    finally:
        engine.dispose()
        database.close()


def started(folder: Path) -> list[str]:
    path = folder / "started"
    return path.read_text().split() if path.exists() else []


def many_orders(engine: sa.Engine, first: Order, number: int) -> None:
    """Routine orders by the thousand, as the first, with their jobs."""
    with engine.begin() as connection:
        columns = [c["name"] for c in sa.inspect(connection).get_columns("orders") if "computed" not in c]
        own = {"id": "gen_random_uuid()", "message_control_id": "'N' || i", "placer_order_number": "'N' || i"}
        chosen = ", ".join(own.get(name, name) for name in columns)
        source = f"FROM orders, generate_series(1, {number}) i WHERE id = '{first.id}'"
        connection.exec_driver_sql(f"INSERT INTO orders ({', '.join(columns)}) SELECT {chosen} {source}")
        row = "'cases', 'chromogen.case', -2, NULL, NULL, jsonb_build_object('order_id', id), now()"
        jobs = f"procrastinate_defer_jobs_v1(ARRAY[ROW({row})::procrastinate_job_to_defer_v1])"
        connection.exec_driver_sql(f"SELECT count({jobs}) FROM orders WHERE id <> '{first.id}'")


def test_r9_an_urgent_order_is_begun_next_under_ten_thousand_routine_ones(
    store: PostgresStore, engine: sa.Engine, service_url: str, tmp_path: Path, nurse: Nurse
) -> None:
    first, _ = store.accept(request(0))
    many_orders(engine, first, 10_000)
    nursery = nurse(service_url, tmp_path, 0.2)
    nursery.bear()
    until(lambda: len(started(tmp_path)) > 3, 20)
    urgent, _ = store.accept(request("urgent", priority=Priority.STAT))
    before = len(started(tmp_path))
    until(lambda: urgent.id in started(tmp_path), 60)
    assert started(tmp_path).index(urgent.id) <= before + 1  # one may have been taken while it came
    assert nursery.alive


def test_r9_a_worker_that_is_kept_for_urgent_orders_takes_no_other(store: PostgresStore, engine: sa.Engine) -> None:
    store.accept(request(1))
    store.accept(request(2, priority=Priority.ASAP))
    kept = PostgresStore(engine, stat_only=True)
    assert kept.due() == []
    urgent, _ = store.accept(request(3, priority=Priority.STAT))
    assert kept.due() == [urgent.id]
    assert len(store.due()) == 3


class Noting(psycopg2.extensions.cursor):
    """Notes what it is asked, and whether that is a transaction of its own."""

    asked: ClassVar[list[tuple[str, bool]]] = []

    def execute(self, query: str, vars: object = None) -> None:
        self.asked.append((query.split("(")[0].strip(), self.connection.autocommit))
        super().execute(query, vars)


def test_r12_taking_an_order_is_one_call_and_finishing_it_another_each_its_own_transaction(
    store: PostgresStore, engine: sa.Engine
) -> None:
    """What tests/benchmarks/jobs.py measures, where no other process can disturb it: round trips to the database."""
    assert store.take(60) is None  # looks once whether the tables are new enough
    order, _ = store.accept(request(1))
    sa.event.listen(engine, "checkout", lambda connection, *_: setattr(connection, "cursor_factory", Noting))
    Noting.asked.clear()
    claim = store.take(60)
    assert claim is not None
    reports = [
        Delivery(kind=ArtifactKind.ORU, destination="lis", path=Path(__file__), message_id=f"M{i}") for i in range(4)
    ]
    store.finish(claim, result(order.id), reports)
    assert Noting.asked == [("SELECT * FROM chromogen_take", True), ("SELECT chromogen_finish", True)]
    assert store.order(order.id).state is OrderState.DONE  # the connection is as it was
    assert Noting.asked[-1][1] is False


@pytest.mark.parametrize("number", [1, 4])
def test_a_call_on_a_connection_that_died_in_the_pool_is_made_on_another(
    store: PostgresStore, engine: sa.Engine, number: int
) -> None:
    order, _ = store.accept(request(1))
    kill = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL"
    )

    def die() -> None:
        other = connect(engine.url.render_as_string(hide_password=False))
        with other.begin() as connection:
            connection.execute(kill)
        other.dispose()

    def die_all() -> None:
        pooled = [engine.connect() for _ in range(number)]
        for connection in pooled:
            connection.close()
        die()

    die_all()
    claim = store.take(60)
    assert claim is not None
    die_all()
    store.finish(claim, result(order.id), [])
    assert store.order(order.id).state is OrderState.DONE


PLENTY = Patience(first_s=0.05, most_s=0.2, lease_s=5)
OPERATOR = Caller(subject="operator", lab=ALL_LABS, roles=frozenset({Role.OPERATOR}))


def finished(store: PostgresStore, number: int, folder: Path, destinations: tuple[str, ...]) -> None:
    """A case whose report goes to each of these."""
    order, _ = store.accept(request(number))
    claim = store.claim(order.id, 60)
    assert claim is not None
    path = folder / f"{number}.hl7"
    path.write_bytes(order_message(placer_number=f"P{number}", marker="ER", control_id=f"R{number}", container_id="C"))
    reports = [Delivery(kind=ArtifactKind.ORU, destination=d, path=path, message_id=f"R{number}") for d in destinations]
    store.finish(claim, replace(result(order.id), id=ResultId(order.id)), reports)


def test_r8_a_dead_receiver_delays_no_other_its_letters_die_are_replayed_and_come_in_order(
    store: PostgresStore, engine: sa.Engine, tmp_path: Path
) -> None:
    (tmp_path / "alive").mkdir()
    (tmp_path / "dead").mkdir()
    with ReceivingLis(tmp_path / "dead") as lis:
        port_of_the_dead = lis.port
    with ReceivingLis(tmp_path / "alive") as alive:
        receivers = {
            "alive": MllpSink(host="127.0.0.1", port=alive.port, timeout_s=2),
            "dead": MllpSink(host="127.0.0.1", port=port_of_the_dead, timeout_s=2),
        }
        deliverer = Deliverer(messages=receivers, objects={})
        sending = PostgresOutbox(engine, deliverer, patience=PLENTY)
        for number in range(10):
            finished(store, number, tmp_path, ("dead", "alive"))
        stop = threading.Event()
        thread = threading.Thread(target=sending.run, args=(stop, 0.05))
        thread.start()
        try:
            until(lambda: len(alive.received) == 10, 10)
            assert [path.stem for path in alive.received] == [f"R{i}" for i in range(10)]
            with engine.begin() as connection:  # 73 hours go by
                connection.exec_driver_sql(
                    "UPDATE outbox SET created_at = created_at - interval '73 h' WHERE destination = 'dead'"
                )
            until(lambda: sending.dead() == 10, 20)
            with ReceivingLis(tmp_path / "dead", port=port_of_the_dead) as back:
                assert PostgresAdminRepository(engine).replay(OPERATOR, None, "dead") == 10
                until(lambda: len(back.received) == 10, 20)
                assert [path.stem for path in back.received] == [f"R{i}" for i in range(10)]
                until(lambda: values(engine, "SELECT DISTINCT state FROM outbox") == ["SENT"], 20)  # after the answer
        finally:
            stop.set()
            thread.join(10)
    assert [v.state for v in store.orders()] == [OrderState.DONE] * 10
