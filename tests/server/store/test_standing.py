"""A worker on tables that aren't made yet, of a newer version, or closed to it: orders wait, and none is lost.

docs/operations.md, Upgrade.
"""

import uuid
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from server.domain.errors import Failed, ServiceReason
from server.domain.order import Order, OrderId
from server.domain.ports import Claim, Delivery
from server.domain.states import OrderState
from server.store import migrate
from server.store.migrate import Standing, standing
from server.store.notify import Notify
from server.store.outbox import PostgresOutbox
from server.store.store import PostgresStore
from server.worker import Worker
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres
RENAMED = "ALTER FUNCTION {} RENAME TO {}"


def finishing(store: PostgresStore, engine: sa.Engine) -> Worker:
    def run_case(claim: Claim) -> None:
        store.finish(claim, result(claim.order.id), [])

    return Worker(store, PostgresOutbox(engine, lambda _: None), run_case, lease_s=60, poll_s=0.1)


def noting(told: list[str]) -> Notify:
    """Says nothing, and notes why it would have."""

    def tell(order: Order, reason: str, detail: str) -> Sequence[Delivery]:
        told.append(reason)
        return ()

    return tell


def run(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def seen(store: PostgresStore, order_id: OrderId) -> tuple[OrderState, int, str]:
    view = store.order(order_id)
    return view.state, view.attempt, view.reason


def stands(engine: sa.Engine) -> Standing:
    with engine.connect() as connection:
        return standing(connection)


def test_where_a_database_stands_is_told_by_its_revision(engine: sa.Engine, database_url: str) -> None:
    assert stands(engine) is Standing.CURRENT
    run(engine, "UPDATE alembic_version SET version_num = '9999'")
    assert stands(engine) is Standing.NEWER
    run(engine, "UPDATE alembic_version SET version_num = '0001'")
    migrate.revert(database_url, "base")
    assert stands(engine) is Standing.OLDER
    run(engine, "DROP TABLE alembic_version")
    assert stands(engine) is Standing.OLDER


def test_a_worker_started_before_migrate_takes_nothing_until_the_tables_are_there(
    engine: sa.Engine, database_url: str
) -> None:
    store = PostgresStore(engine)
    migrate.revert(database_url, "base")
    worker = finishing(store, engine)
    for claim in (lambda: store.take(60), lambda: store.claim(OrderId(str(uuid.uuid4())), 60)):
        with pytest.raises(Failed, match="chromogen migrate") as waits:
            claim()
        assert (waits.value.reason, waits.value.retryable) == (ServiceReason.DATABASE_FAILED, True)
    migrate.migrate(database_url)
    order, _ = store.accept(request())
    assert worker.step()
    assert seen(store, order.id) == (OrderState.DONE, 1, "")


def test_on_tables_of_a_newer_version_the_old_worker_goes_on(engine: sa.Engine) -> None:
    run(engine, "UPDATE alembic_version SET version_num = '9999'")
    store = PostgresStore(engine)
    order, _ = store.accept(request())
    assert finishing(store, engine).step()
    assert store.order(order.id).state is OrderState.DONE


def test_once_they_are_found_good_the_tables_are_not_looked_at_before_each_claim(engine: sa.Engine) -> None:
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    store = PostgresStore(engine)
    for number in range(3):
        store.accept(request(number))
        assert store.take(60) is not None
    assert sum("version_num" in statement for statement in asked) == 1


def test_a_statement_that_the_database_refuses_costs_the_order_no_attempt(engine: sa.Engine) -> None:
    told: list[str] = []
    store = PostgresStore(engine, notify=noting(told))
    order, _ = store.accept(request())
    worker = finishing(store, engine)
    run(engine, RENAMED.format("chromogen_finish", "away"))
    for _ in range(5):
        assert worker.step()
        assert seen(store, order.id) == (OrderState.QUEUED, 0, "DATABASE_FAILED")
        assert store.due() == []  # not at once again
        run(engine, "UPDATE orders SET due_at = now()")
    run(engine, RENAMED.format("away", "chromogen_finish"))
    assert worker.step()
    assert seen(store, order.id) == (OrderState.DONE, 1, "")
    assert told == []


def test_what_the_database_refuses_for_three_days_is_dead_and_told(engine: sa.Engine) -> None:
    told: list[str] = []
    store = PostgresStore(engine, notify=noting(told))
    order, _ = store.accept(request())
    run(engine, RENAMED.format("chromogen_finish", "away"))
    worker = finishing(store, engine)
    for _ in range(3):
        run(engine, "UPDATE orders SET due_at = now(), begun_at = now() - interval '73 hours'")
        assert worker.step()
    assert seen(store, order.id) == (OrderState.DEAD, 3, "DATABASE_FAILED")
    assert told == ["DATABASE_FAILED"]
