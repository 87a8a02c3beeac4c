"""An installation as docs/operations.md has it made: the accounts of deploy/roles.sql, a backup restored, migrations
that meet.

INTEROP.md S-5, R-6; the programs are those of the private PostgreSQL.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from server.bootstrap import bootstrap
from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed
from server.domain.ports import Delivery
from server.domain.result import ResultId
from server.domain.states import OrderState
from server.settings import Settings
from server.store import audit
from server.store.database import connect, transaction
from server.store.migrate import migrate, revert
from server.store.store import PostgresStore
from tests.conftest import execute
from tests.integration.processes import OwnPostgres, hospital_postgres, program
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def database() -> Iterator[OwnPostgres]:
    """One whose accounts roles.sql made, and nobody else."""
    made = hospital_postgres()
    yield made
    made.close()


def finished(store: PostgresStore, working: PostgresStore, number: int, folder: Path) -> str:
    """An order that `store` took and `working` did."""
    order, _ = store.accept(request(number))
    claim = working.claim(order.id, 60)
    assert claim is not None
    report = folder / f"{number}.hl7"
    report.write_bytes(b"invented")
    delivery = Delivery(kind=ArtifactKind.ORU, destination="lis", path=report, message_id=order.id)
    working.finish(claim, replace(result(order.id), id=ResultId(order.id)), [delivery])
    return order.id


def test_s5_each_account_of_roles_sql_does_its_part_and_no_superuser_is_needed(
    database: OwnPostgres, tmp_path: Path
) -> None:
    serve, work = connect(database.url_as("chromogen_serve")), connect(database.url_as("chromogen_work"))
    finished(PostgresStore(serve), PostgresStore(work), 1, tmp_path)
    with pytest.raises(Failed):
        PostgresStore(work).accept(request(2))
    auditor = connect(database.url_as("chromogen_auditor"))
    with transaction(auditor) as connection:
        verdict = audit.verify(connection)
    assert (verdict.entries, verdict.broken) == (4, ())
    for engine in (serve, work, auditor):
        engine.dispose()


def test_s5_start_up_takes_the_services_accounts_and_refuses_the_one_that_migrates(
    database: OwnPostgres, tmp_path: Path
) -> None:
    def settings(account: str) -> Settings:
        return Settings(database={"url": database.url_as(account)}, data={"folder": tmp_path})  # type: ignore[arg-type]

    for account in ("chromogen_serve", "chromogen_work"):
        with bootstrap(settings(account)) as service:
            service.store.due()
    with pytest.raises(Exception, match="the owner of the tables"):
        bootstrap(settings("chromogen_migrate"))


def test_a_backup_is_restored_with_its_fences_its_audit_and_its_due_orders(
    database: OwnPostgres, tmp_path: Path
) -> None:
    serve, work = connect(database.url_as("chromogen_serve")), connect(database.url_as("chromogen_work"))
    done = finished(PostgresStore(serve), PostgresStore(work), 10, tmp_path)
    waits, _ = PostgresStore(serve).accept(request(11))
    serve.dispose()
    work.dispose()
    program("pg_dump", "--format=custom", f"--file={tmp_path / 'chromogen.dump'}", url=database.owner_url)
    execute(database.owner_url, "CREATE DATABASE restored")
    restored = database.owner_url.replace("/chromogen?", "/restored?")
    program("pg_restore", "--exit-on-error", "--dbname=restored", str(tmp_path / "chromogen.dump"), url=restored)
    engine = connect(restored.replace("//chromogen@", "//chromogen_work@"))
    store = PostgresStore(engine)
    assert store.order(done).state is OrderState.DONE  # type: ignore[arg-type]
    assert store.result(ResultId(done)).analysis.histograms["density"].sum() == 500
    claim = store.claim(waits.id, 60)
    assert claim is not None
    store.finish(claim, replace(result(waits.id), id=ResultId(waits.id)), [])
    with transaction(engine, lab="OTHER") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM orders").scalar_one() == 0
    engine.dispose()
    owner = connect(restored)
    with transaction(owner) as connection:
        assert audit.verify(connection).broken == ()
    owner.dispose()


def test_two_migrations_at_once_take_turns(database_url: str) -> None:
    revert(database_url, "base")
    threads = [Thread(target=migrate, args=(database_url,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not [thread for thread in threads if thread.is_alive()]
    engine = connect(database_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit").scalar_one() == 0
    engine.dispose()
