"""The numbers for Prometheus: asked at each scrape, from indexes, however many years the tables hold."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from server.store import queue_metrics
from server.store.database import connect, transaction
from server.store.queue_metrics import QueueMetrics
from server.store.store import PostgresStore
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres
MANY = 20_000


def fill(engine: sa.Engine) -> None:
    """Many orders that have ended and deliveries that were sent, one of each that hasn't and wasn't."""
    PostgresStore(engine).accept(request())
    own = ("id", "message_control_id", "state")
    columns = [
        c["name"] for c in sa.inspect(engine).get_columns("orders") if c["name"] not in own and "computed" not in c
    ]
    names = ", ".join(columns)
    values = ", ".join("'Q' || n" if c == "placer_order_number" else f"orders.{c}" for c in columns)
    with transaction(engine) as connection:
        connection.exec_driver_sql(
            f"INSERT INTO orders (id, message_control_id, state, {names})"
            f" SELECT gen_random_uuid(), 'X' || n, 'REFUSED', {values} FROM orders, generate_series(1, {MANY}) n"
        )
        connection.exec_driver_sql(
            "INSERT INTO outbox (lab, destination, kind, message_id, path, sha256, state)"
            f" SELECT 'LAB', 'lis', 'ORU', n::text, '', '', CASE n WHEN 1 THEN 'DEAD' WHEN 2 THEN "
            f"'WAITING' ELSE 'SENT' END"
            f" FROM generate_series(1, {MANY}) n"
        )
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE orders")
        connection.exec_driver_sql("ANALYZE outbox")


def asked(question: sa.Select[tuple[object, ...]]) -> str:
    return str(question.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))


def test_each_question_is_answered_from_an_index_of_just_those_rows(engine: sa.Engine, service_url: str) -> None:
    fill(engine)
    service = connect(service_url)
    with transaction(service) as connection:
        for question, index in (
            (queue_metrics.ORDERS, "orders_due_idx"),
            (queue_metrics.WAITING, "outbox_waiting_idx"),
            (queue_metrics.DEAD, "outbox_dead_idx"),
        ):
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {asked(question)}").scalars())
            assert index in plan, plan
            assert "Seq Scan" not in plan, plan
    found = {
        (s.name, *s.labels.values()): s.value for family in QueueMetrics(service).collect() for s in family.samples
    }
    service.dispose()
    assert found["chromogen_orders", "QUEUED", "ROUTINE"] == 1
    assert found["chromogen_outbox_dead", "lis"] == found["chromogen_outbox_waiting", "lis"] == 1
