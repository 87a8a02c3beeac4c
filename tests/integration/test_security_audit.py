"""The audit against those who may connect (issue 'Outages, neighbours and attackers', 1): it is neither bypassed nor
forged, by whatever account of deploy/roles.sql.
"""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from server.domain.errors import Failed
from server.store import audit
from server.store.database import connect, transaction
from server.store.store import PostgresStore
from tests.conftest import execute
from tests.integration.processes import OwnPostgres, hospital_postgres
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres

ACCOUNTS = ("chromogen_serve", "chromogen_work", "chromogen_auditor", "chromogen_scaler")
OWNER = "chromogen_migrate"
OURS = """
SELECT p.proname AS name, p.prosecdef AS definer, p.proconfig AS settings, pg_get_userbyid(p.proowner) AS owner,
    has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
"""

SWALLOWING = f"""
CREATE TEMPORARY TABLE audit (id bigserial, lab text, chain smallint, number bigint, at timestamptz, subject text,
    action text, object text, outcome text, hash text);
GRANT ALL ON audit, audit_id_seq TO {OWNER}
"""
FORGERY = """
CREATE TEMPORARY TABLE signatures (lab text, result_id uuid, state text, subject text);
CREATE TRIGGER forge AFTER INSERT ON signatures FOR EACH ROW EXECUTE FUNCTION public.chromogen_audit();
INSERT INTO signatures VALUES ('A', gen_random_uuid(), 'FINAL', 'dr-invented')
"""


@pytest.fixture(scope="module")
def database() -> Iterator[OwnPostgres]:
    made = hospital_postgres()
    # what an administrator may have left to all: the audit must not hang on that alone
    execute(made.owner_url, f"GRANT TEMPORARY ON DATABASE chromogen TO {', '.join(ACCOUNTS)}")
    yield made
    made.close()


@pytest.fixture
def owner(database: OwnPostgres) -> Iterator[sa.Engine]:
    made = connect(database.owner_url)
    yield made
    made.dispose()


def lines(owner: sa.Engine) -> list[tuple[str, str, str]]:
    with transaction(owner) as connection:
        assert audit.verify(connection).broken == ()
        return [tuple(row) for row in connection.exec_driver_sql("SELECT lab, action, object FROM audit ORDER BY id")]


def test_1_a_temporary_table_named_as_the_audit_swallows_no_line(database: OwnPostgres, owner: sa.Engine) -> None:
    order, _ = PostgresStore(owner).accept(request("swallowed"))
    for account in ("chromogen_serve", "chromogen_work"):
        before = len(lines(owner))
        engine = connect(database.url_as(account))
        with transaction(engine, lab="LAB", subject="thief") as connection:
            connection.exec_driver_sql(SWALLOWING)
            connection.exec_driver_sql("UPDATE orders SET state = 'CANCELLED', token = NULL, lease_until = NULL")
            connection.exec_driver_sql("UPDATE orders SET state = 'QUEUED'")
        engine.dispose()
        assert {line[2] for line in lines(owner)[before:]} == {f"orders/{order.id}"}, account


@pytest.mark.parametrize("account", ACCOUNTS)
def test_1_no_account_writes_into_the_chain_by_a_trigger_of_its_own(
    database: OwnPostgres, owner: sa.Engine, account: str
) -> None:
    before = lines(owner)
    engine = connect(database.url_as(account))
    with pytest.raises(Failed, match="InsufficientPrivilege"), transaction(engine, lab="A") as connection:
        connection.exec_driver_sql(FORGERY)
    engine.dispose()
    assert lines(owner) == before
