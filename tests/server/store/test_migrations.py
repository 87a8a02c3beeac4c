from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.ports import Delivery
from server.domain.states import OrderState
from server.store import migrate
from server.store.database import connect, transaction
from server.store.store import PostgresStore
from server.store.tables import APPEND_ONLY, metadata
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres


def differences(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, _: not str(name).startswith("procrastinate_"),
            },
        )
        return list(compare_metadata(context, metadata))


def objects(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        names = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        routines = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        types = "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace"
        return sorted(connection.execute(sa.text(f"{names} UNION {routines} UNION {types}")).scalars())


def test_migrated_from_empty_the_database_equals_the_metadata(engine: sa.Engine) -> None:
    assert differences(engine) == []


def test_the_comparison_sees_a_missing_column(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE orders DROP COLUMN detail")
    assert len(differences(engine)) == 1


def test_going_down_leaves_nothing_and_going_up_again_gives_the_same(engine: sa.Engine, database_url: str) -> None:
    before = objects(engine)
    migrate.revert(database_url, "base")
    left = objects(engine)
    assert [name for name in left if "alembic" not in name] == []
    migrate.migrate(database_url)
    assert objects(engine) == before


def test_migrating_twice_changes_nothing(engine: sa.Engine, database_url: str) -> None:
    before = objects(engine)
    migrate.migrate(database_url)
    assert objects(engine) == before


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET lab = 'x'", "TRUNCATE {} CASCADE"])
def test_what_is_only_added_to_cannot_be_changed(engine: sa.Engine, table: str, change: str) -> None:
    statement = change.format(table).replace("scores SET lab = 'x'", "scores SET n = 1")
    with pytest.raises(Failed) as refused, transaction(engine) as connection:
        connection.exec_driver_sql(statement)
    assert refused.value.reason == ServiceReason.DATABASE_FAILED


def test_a_database_that_is_not_there_is_said_to_be_unreachable() -> None:
    with pytest.raises(Failed) as failed:
        migrate.migrate("postgresql://nobody@127.0.0.1:1/none")
    assert failed.value.reason == ServiceReason.DATABASE_UNREACHABLE
    assert failed.value.retryable


def test_an_empty_database_is_said_to_be_unmigrated(database_url: str) -> None:
    migrate.revert(database_url, "base")
    engine = connect(database_url)
    with pytest.raises(Failed, match="migrated"), transaction(engine) as connection:
        connection.execute(sa.select(metadata.tables["orders"]))
    engine.dispose()


def test_a_case_in_flight_finishes_on_the_tables_of_the_next_version(engine: sa.Engine, tmp_path: Path) -> None:
    """docs/operations.md, Upgrade: migrations only add, and the running version doesn't know what."""
    store, message = PostgresStore(engine), tmp_path / "oru.hl7"
    message.write_bytes(b"MSH")
    order, _ = store.accept(request())
    claim = store.claim(order.id, 60)
    assert claim is not None
    tables = ("orders", "results", "scores", "outbox")
    with engine.begin() as connection:
        for table in tables:
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN later integer NOT NULL DEFAULT 7")
    done = result(order.id)
    store.finish(claim, done, [Delivery(kind=ArtifactKind.ORU, destination="lis", path=message, message_id="M")])
    assert store.order(order.id).state is OrderState.DONE
    assert store.result(done.id).scores == done.scores
    with engine.connect() as connection:
        later = {table: set(connection.exec_driver_sql(f"SELECT later FROM {table}").scalars()) for table in tables}
    assert later == {table: {7} for table in tables}
