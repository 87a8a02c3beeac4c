"""The audit against those who may connect (issue 'Outages, neighbours and attackers', 1): it is neither bypassed nor
forged, by whatever account of deploy/roles.sql.
"""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from structlog.testing import capture_logs

from server.cli.audit import audit as audit_command
from server.domain.errors import Failed, Refused
from server.store import audit, migrate
from server.store.audit_heads import HeadLog, heads
from server.store.audit_log import note
from server.store.database import connect, transaction
from server.store.store import PostgresStore
from tests.conftest import execute
from tests.integration.processes import OwnPostgres, hospital_postgres
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres

ACCOUNTS = ("chromogen_serve", "chromogen_work", "chromogen_auditor", "chromogen_scaler")
OWNER = "chromogen_migrate"
API, WORKER, AUDIT, SCALE = "chromogen_api", "chromogen_worker", "chromogen_audit", "chromogen_scale"
MAY_EXECUTE: dict[str, set[str]] = {
    "chromogen_lab": {API, WORKER, AUDIT, SCALE},
    "chromogen_subject": {API, WORKER, AUDIT, SCALE},
    "chromogen_is_due": {API, WORKER, SCALE},
    "chromogen_is_abandoned": {WORKER},
    "chromogen_take": {WORKER},
    "chromogen_keep_result": {API, WORKER},
    "chromogen_finish": {WORKER},
    "chromogen_note": {API},
    "chromogen_append": set(),
    "chromogen_digest": set(),
    "chromogen_audit": set(),
    "chromogen_no_change": set(),
    "chromogen_check_correction": set(),
    "chromogen_check_scores": set(),
}
"""Every function of ours: who adds one says here who needs it."""
DEFINERS = {"chromogen_note", "chromogen_append", "chromogen_audit"}

FUNCTIONS = """
SELECT proname, prosecdef, proconfig, pg_get_userbyid(proowner) AS owner, ARRAY(
    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END
    FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee <> proowner
) AS granted
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
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


def test_1_every_function_has_the_rights_that_it_is_needed_with_and_a_definer_its_search_path(owner: sa.Engine) -> None:
    with owner.connect() as connection:
        found = connection.exec_driver_sql(FUNCTIONS).all()
    ours = {row.proname: set(row.granted) for row in found if row.proname.startswith("chromogen_")}
    assert ours == MAY_EXECUTE
    theirs = [row for row in found if not row.proname.startswith("chromogen_")]
    assert {row.proname.partition("_")[0] for row in theirs} == {"procrastinate"}
    assert all(set(row.granted) <= {API, WORKER} for row in theirs)
    assert {row.proname for row in found if row.prosecdef} == DEFINERS
    assert all("search_path=public, pg_temp" in row.proconfig for row in found if row.prosecdef)
    assert {row.owner for row in found} == {OWNER}


def test_1_no_account_of_the_service_owns_or_makes_anything_in_the_database(owner: sa.Engine) -> None:
    groups = (API, WORKER, AUDIT, SCALE, "chromogen_service")
    with owner.connect() as connection:
        owners = connection.exec_driver_sql(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).scalars()
        assert set(owners) == {OWNER}
        for who in (*ACCOUNTS, *groups, "public"):
            makes = (
                f"SELECT has_schema_privilege('{who}', 'public', 'CREATE')"
                f" OR has_database_privilege('{who}', current_database(), 'CREATE')"
            )
            assert connection.exec_driver_sql(makes).scalar_one() is False, who
        temporary = "SELECT has_database_privilege('public', current_database(), 'TEMPORARY')"
        assert connection.exec_driver_sql(temporary).scalar_one() is False


def test_1_where_who_migrates_owns_the_database_it_takes_temporary_tables_from_all(
    engine: sa.Engine, database_url: str
) -> None:
    """As with the private database. A copy of a template, as this one is, has the rights of a new database."""
    temporary = "SELECT has_database_privilege('public', current_database(), 'TEMPORARY')"
    with engine.connect() as connection:
        assert connection.exec_driver_sql(temporary).scalar_one() is True
    migrate.revert(database_url, "base")
    migrate.migrate(database_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(temporary).scalar_one() is False


FORGED = (
    "SELECT chromogen_note('result.final', 'results/1', '')",
    "SELECT chromogen_note(NULL, 'results/1', '')",
    "SELECT chromogen_append('B', 'dr-invented', 'call.refuse', 'methods/x', '')",
    "INSERT INTO audit (lab, chain, number, at, subject, action, object, outcome, hash)"
    " VALUES ('A', 0, 1, now(), '', '', '', '', '')",
)


@pytest.mark.parametrize("forged", FORGED)
def test_1_the_api_s_account_notes_only_what_no_trigger_tells_of(
    database: OwnPostgres, owner: sa.Engine, forged: str
) -> None:
    before, engine = lines(owner), connect(database.url_as("chromogen_serve"))
    with pytest.raises(Failed, match="InsufficientPrivilege"), transaction(engine, lab="A") as connection:
        connection.exec_driver_sql(forged)
    engine.dispose()
    assert lines(owner) == before


def test_1_a_note_is_in_the_name_of_the_session_s_laboratory_and_subject(
    database: OwnPostgres, owner: sa.Engine
) -> None:
    engine = connect(database.url_as("chromogen_serve"))
    with transaction(engine, lab="C", subject="somebody") as connection:
        note(connection, "patient.read", "orders/1")
    engine.dispose()
    with transaction(owner) as connection:
        said = connection.exec_driver_sql("SELECT subject, action, object FROM audit WHERE lab = 'C'").all()
    assert [tuple(row) for row in said] == [("somebody", "patient.read", "orders/1")]


def noted(engine: sa.Engine, lab: str, times: int) -> None:
    for number in range(times):
        with transaction(engine, lab=lab, subject="somebody") as connection:
            note(connection, "patient.read", f"orders/{number}")


def logged(engine: sa.Engine) -> list[str]:
    """What `serve` writes of the heads, as lines of its log."""
    stop = threading.Event()
    with capture_logs() as logs:
        thread = threading.Thread(target=HeadLog(engine).run, args=(stop,))
        thread.start()
        while len([line for line in logs if line["event"] == "audit_head"]) < len(heads(engine)):
            time.sleep(0.01)
        stop.set()
        thread.join(20)
    return [json.dumps(line) for line in logs]


REWRITTEN = """
DELETE FROM audit;
SELECT chromogen_append('LAB', 'nobody', 'patient.read', 'orders/' || i, '') FROM generate_series(1, 7) i
"""


@pytest.mark.parametrize("change", ["DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)", REWRITTEN])
def test_1_a_chain_that_was_cut_off_or_written_anew_no_longer_fits_the_log(
    engine: sa.Engine, service_url: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted(engine, "LAB", 5)
    kept = tmp_path / "serve.log"
    kept.write_text("\n".join(["not JSON", '{"event": "serving"}', *logged(engine)]))
    noted(engine, "LAB", 2)
    monkeypatch.setenv("CHROMOGEN_DATABASE_URL", service_url)
    verified = ["verify", "--direct", "--heads", str(kept)]
    done = CliRunner().invoke(audit_command, verified)
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "7 lines, intact")
    with transaction(engine) as connection:  # as whoever owns the database could
        connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_no_change")
        for _ in range(3):
            connection.exec_driver_sql(change)
        assert audit.verify(connection).intact
    done = CliRunner().invoke(audit_command, verified)
    assert isinstance(done.exception, Failed)
    assert "rewritten or cut off" in done.exception.message


def test_1_a_file_without_heads_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service_url: str) -> None:
    (tmp_path / "other.log").write_text('{"event": "serving"}\n')
    monkeypatch.setenv("CHROMOGEN_DATABASE_URL", service_url)
    done = CliRunner().invoke(audit_command, ["verify", "--direct", "--heads", str(tmp_path / "other.log")])
    assert isinstance(done.exception, Refused)
    assert "no line of JSON" in done.exception.message
