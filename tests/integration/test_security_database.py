"""The audit's chains (INTEROP.md S-2) and the fences between laboratories (S-5), on a real PostgreSQL with its real
roles.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from server.bootstrap import bootstrap
from server.cli.audit import audit as audit_command
from server.domain.access import ALL_LABS, Caller, Role
from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.ports import Delivery
from server.domain.profile import ProfileKey
from server.domain.result import ResultId
from server.domain.states import OrderState
from server.domain.views import AuditFilter
from server.settings import Database, Settings
from server.store import audit
from server.store.audit_heads import heads, written
from server.store.database import connect, transaction
from server.store.store import PostgresStore
from server.store.tables import metadata
from tests.server.store.invented import BUILT_IN, request, result
from tests.server.store.used import add_used_rows

pytestmark = pytest.mark.postgres

ROWS = 1_000_000 if os.environ.get("SOAK") else 20_000
AUDITOR = Caller(subject="auditor", lab=ALL_LABS, roles=frozenset({Role.AUDITOR}))


@pytest.fixture
def service(service_url: str) -> Iterator[sa.Engine]:
    made = connect(service_url)
    yield made
    made.dispose()


def scored(store: PostgresStore, lab: str, number: int, folder: Path) -> None:
    """An order of the laboratory, from its acceptance to its result, with a profile, a signature
    and something to send.
    """
    order, _ = store.accept(request(f"{lab}{number}", lab=lab))
    claim = store.claim(order.id, 60)
    assert claim is not None
    report = folder / f"{lab}{number}.hl7"
    report.write_bytes(b"invented")
    found = replace(result(order.id), id=ResultId(order.id))
    store.finish(
        claim, found, [Delivery(kind=ArtifactKind.ORU, destination=f"lis-{lab}", path=report, message_id=order.id)]
    )
    store.add_profile(replace(BUILT_IN, name=f"er-{lab}", key=ProfileKey(lab=lab, marker="ER")))


def signed(engine: sa.Engine, lab: str) -> None:
    with transaction(engine, lab=lab, subject="dr-invented") as connection:
        chosen = connection.exec_driver_sql("SELECT id FROM results LIMIT 1").scalar_one()
        state = metadata.tables["profile_states"]
        values = {"lab": lab, "name": f"er-{lab}", "revision": 1, "state": "RETIRED", "subject": "admin-invented"}
        connection.execute(sa.insert(state), values)
        signature = {"lab": lab, "result_id": chosen, "state": "FINAL", "subject": "dr-invented"}
        connection.execute(sa.insert(metadata.tables["signatures"]), signature)


@pytest.fixture
def two_labs(service: sa.Engine, tmp_path: Path) -> sa.Engine:
    store = PostgresStore(service)
    for lab in ("A", "B"):
        scored(store, lab, 1, tmp_path)
        signed(service, lab)
    return service


def actions(engine: sa.Engine, lab: str) -> list[tuple[str, str]]:
    with transaction(engine, lab=lab) as connection:
        rows = connection.exec_driver_sql("SELECT subject, action FROM audit ORDER BY id").all()
    return [(row.subject, row.action) for row in rows]


def test_s2_each_step_of_a_case_is_in_the_audit_with_who_took_it(two_labs: sa.Engine) -> None:
    assert actions(two_labs, "A") == [
        ("LIS^LAB", "order.accept"),
        ("worker", "order.claim"),
        ("worker", "order.finish"),
        ("worker", "result.keep"),
        ("test_service", "profile.keep"),
        ("admin-invented", "profile.retired"),
        ("dr-invented", "result.final"),
    ]


def test_s2_what_was_rolled_back_is_not_in_the_audit_and_what_ended_is_with_its_reason(service: sa.Engine) -> None:
    store = PostgresStore(service)
    order, _ = store.accept(request())
    claim = store.claim(order.id, 60)
    assert claim is not None
    with pytest.raises(Failed):
        store.finish(
            claim,
            result(order.id),
            [Delivery(kind=ArtifactKind.ORU, destination="lis", path=Path(__file__), message_id="\0")],
        )
    store.end(claim, OrderState.REFUSED, "NOT_IHC", "looks like H&E")
    page = audit.PostgresAuditRepository(service).query(AUDITOR, AuditFilter(object=f"orders/{order.id}"), 10, ())
    assert [(e.action, e.outcome) for e in page.items] == [
        ("order.refused", "attempt 1 NOT_IHC"),
        ("order.claim", "attempt 1"),
        ("order.accept", "attempt 0"),
    ]


def test_s2_and_s1_no_patient_data_is_in_the_audit(two_labs: sa.Engine) -> None:
    with transaction(two_labs) as connection:
        everything = connection.exec_driver_sql("SELECT string_agg(audit::text, ' ') FROM audit").scalar_one()
    for of_the_patient in ("INVENTED,", "TEST-INVENTED", "Ünïcode", "1950", "S1", "CA1", "PA1", "MA1"):
        assert of_the_patient not in everything


def test_s2_writers_at_once_leave_whole_chains(service: sa.Engine) -> None:
    store = PostgresStore(service)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.accept(request(i, lab=f"L{i % 3}")), range(120)))
    with transaction(service) as connection:
        verdict = audit.verify(connection)
    assert (verdict.entries, verdict.broken) == (120, ())
    assert sum(head.number for head in verdict.heads) == 120


def test_s2_eight_transactions_that_have_noted_something_hold_up_no_other(service: sa.Engine) -> None:
    with ExitStack() as open_ones:
        for number in range(8):
            connection = open_ones.enter_context(transaction(service, lab="LAB"))
            connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            connection.exec_driver_sql(f"SELECT chromogen_note('call.refuse', 'methods/{number}', '')")
    with transaction(service) as connection:
        verdict = audit.verify(connection)
    assert (verdict.entries, verdict.broken, len(verdict.heads)) == (8, (), 8)


def filled(engine: sa.Engine, rows: int) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        note = (
            "SELECT count(chromogen_append('LAB', 'invented', 'order.claim', 'orders/' || i, 'é')) "
            "FROM generate_series(1, {}) i"
        )
        connection.exec_driver_sql(note.format(rows))


def tampered(engine: sa.Engine, statement: str) -> None:
    """As whoever owns the database could."""
    with transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_no_change")
        connection.exec_driver_sql(statement)
        connection.exec_driver_sql("ALTER TABLE audit ENABLE TRIGGER audit_no_change")


def test_s2_one_changed_row_among_many_is_found(engine: sa.Engine, service: sa.Engine) -> None:
    """In how many seconds: tests/benchmarks/audit.py."""
    filled(engine, ROWS)
    repository = audit.PostgresAuditRepository(service)
    assert repository.verify(AUDITOR).entries == ROWS
    assert repository.verify(AUDITOR).first_broken == 0
    tampered(engine, f"UPDATE audit SET outcome = 'e' WHERE id = {ROWS // 2}")
    assert repository.verify(AUDITOR).first_broken == ROWS // 2


def test_s2_no_change_but_of_the_end_goes_unseen(engine: sa.Engine) -> None:
    filled(engine, 10)
    for change, broken in CHANGES.items():
        kept = "CREATE TEMPORARY TABLE kept AS SELECT * FROM audit"
        tampered(engine, f"{kept}; {change}")
        with transaction(engine) as connection:
            assert audit.verify(connection).broken[0] == broken, change
        tampered(engine, "DELETE FROM audit; INSERT INTO audit OVERRIDING SYSTEM VALUE TABLE kept; DROP TABLE kept")


CHANGES = {
    "UPDATE audit SET subject = 'other' WHERE number = 3": 3,
    "UPDATE audit SET at = at + interval '1 microsecond' WHERE number = 3": 3,
    "UPDATE audit SET subject = 'inventedo', action = 'rder.claim' WHERE number = 3": 3,
    "DELETE FROM audit WHERE number = 3": 4,
    "DELETE FROM audit WHERE number = 1": 2,
    "UPDATE audit SET number = number + 90 WHERE number = 10": 10,
}


def test_s2_a_cut_off_end_shows_in_the_heads(engine: sa.Engine) -> None:
    filled(engine, 10)
    with transaction(engine) as connection:
        before = audit.verify(connection).heads
    tampered(engine, "DELETE FROM audit WHERE number > 8")
    with transaction(engine) as connection:
        after = audit.verify(connection)
    assert after.broken == ()
    assert [head.number for head in (*before, *after.heads)] == [10, 8]


def test_s5_every_table_of_a_laboratory_is_fenced_and_the_fence_is_forced(engine: sa.Engine) -> None:
    asked = "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity"
    with engine.connect() as connection:
        fenced = set(connection.exec_driver_sql(asked).scalars())
    assert fenced == set(metadata.tables)


def test_s5_a_laboratory_sees_its_own_rows_alone_in_every_table(two_labs: sa.Engine) -> None:
    for lab in ("A", "B"):
        add_used_rows(two_labs, lab)
    for table in metadata.tables:
        check_seen(two_labs, table)


def check_seen(two_labs: sa.Engine, table: str) -> None:
    counts = {}
    for lab in ("A", "B", ALL_LABS, "C", ""):
        with transaction(two_labs, lab=lab) as connection:
            counts[lab] = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            if "lab" in metadata.tables[table].c:
                assert set(connection.exec_driver_sql(f"SELECT lab FROM {table}").scalars()) == (
                    {"A", "B"} if lab == ALL_LABS else {lab} & {"A", "B"}
                )
    assert counts["A"] == counts["B"] > 0, table
    assert (counts[ALL_LABS], counts["C"], counts[""]) == (2 * counts["A"], 0, 0), table


def test_s5_a_laboratory_changes_nothing_of_another(two_labs: sa.Engine) -> None:
    for table in ("orders", "outbox"):
        with transaction(two_labs, lab="A") as connection:
            assert connection.exec_driver_sql(f"UPDATE {table} SET reason = 'x'").rowcount == 1
        with transaction(two_labs, lab="B") as connection:
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE reason = 'x'").scalar_one() == 0


def test_s5_a_row_in_another_laboratory_s_name_is_refused(two_labs: sa.Engine) -> None:
    for table in ("orders", "outbox", "results", "profiles", "signatures", "profile_states"):
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"), two_labs.begin() as connection:
            connection.exec_driver_sql(f"SELECT set_config('chromogen.lab', 'A', true); {copied_to_b(table)}")


def copied_to_b(table: str) -> str:
    """SQL that puts a row of the table in again as laboratory B's."""
    names = [column.name for column in metadata.tables[table].c if column.identity is None and column.computed is None]
    values, chosen = 'jsonb_populate_record(t, \'{"lab": "B"}\')', ", ".join(f"(p).{name}" for name in names)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM (SELECT {values} AS p FROM {table} t LIMIT 1) s"
    )


def test_s5_the_built_in_laboratory_s_profiles_are_seen_by_all_and_changed_by_none(service: sa.Engine) -> None:
    store = PostgresStore(service)
    shared = replace(BUILT_IN, name="shared", key=ProfileKey(marker="ER"))
    store.add_profile(shared)
    assert store.profiles("A", "ER") == [shared]
    with pytest.raises(Failed), transaction(service, lab="A") as connection:
        connection.execute(
            sa.insert(metadata.tables["profile_states"]),
            {"lab": "*", "name": "shared", "revision": 1, "state": "RETIRED", "subject": "a"},
        )
    assert store.profiles("A", "ER") == [shared]


SAID = [
    "patient = '{}'",
    'patient = patient || \'{"family_name": "OTHER"}\'',
    "procedure_code = 'x'",
    "charset = 'ASCII'",
]
ANOTHERS = "state = 'QUEUED', run = run + 1, patient = patient || '{\"id\": \"OTHER\"}'"


@pytest.mark.parametrize("change", [*SAID, ANOTHERS])
@pytest.mark.parametrize("state", [OrderState.QUEUED, OrderState.DEAD])
def test_s5_what_an_order_says_changes_only_with_the_message_that_begins_it_anew(
    service: sa.Engine, change: str, state: OrderState
) -> None:
    store = PostgresStore(service)
    order, _ = store.accept(replace(request(1), lab="A"))
    if state is OrderState.DEAD:
        claim = store.claim(order.id, 60)
        assert claim is not None
        store.end(claim, state, "INTERNAL", "")
    with pytest.raises(Failed, match="InsufficientPrivilege"), transaction(service, lab="A") as connection:
        connection.exec_driver_sql(f"UPDATE orders SET {change}")
    assert store.order(order.id).order == order


FORBIDDEN = {
    "chromogen_api": [
        "UPDATE orders SET slide = '{}'",
        "UPDATE orders SET marker = ''",
        "UPDATE results SET warnings = '{}'",
        "DELETE FROM orders",
        "TRUNCATE audit",
        "INSERT INTO audit (lab) VALUES ('A')",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "SET session_replication_role = replica",
    ],
    "chromogen_worker": [
        "INSERT INTO signatures (lab) VALUES ('A')",
        "INSERT INTO profiles (lab) VALUES ('A')",
        "INSERT INTO orders (lab) VALUES ('A')",
        "SELECT * FROM audit",
        "DELETE FROM outbox",
        "SELECT chromogen_note('call.refuse', '', '')",
        "SELECT chromogen_append('A', '', '', '', '')",
    ],
    "chromogen_audit": [
        "SELECT * FROM orders",
        "SELECT * FROM results",
        "UPDATE audit SET lab = 'A'",
        "DELETE FROM audit",
    ],
}


def test_s5_a_role_may_do_its_own_work_only(engine: sa.Engine) -> None:
    for role, statement in [(role, statement) for role, forbidden in FORBIDDEN.items() for statement in forbidden]:
        with pytest.raises(sa.exc.ProgrammingError) as refused, engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}; {statement}")
        assert type(refused.value.orig).__name__ == "InsufficientPrivilege", statement


def configured(url: str, folder: Path) -> Settings:
    return Settings(database=Database(url=url), data={"folder": folder})  # type: ignore[arg-type]


@pytest.fixture
def account(engine: sa.Engine, database_url: str) -> Callable[[str], str]:
    """Makes an account, and says its address."""

    def made(how: str) -> str:
        name = f"account_{time.monotonic_ns()}"
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN {how}")
        return database_url.replace("//chromogen@", f"//{name}@")

    return made


def test_s5_start_up_refuses_who_is_not_bound_by_the_fences(
    account: Callable[[str], str], database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    owner = account("IN ROLE chromogen_service")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE results OWNER TO {owner.split('//')[1].split('@')[0]}")
    hidden = f"{database_url}&options=-c%20role%3Dchromogen_service"
    for url, what in (
        (database_url, "superuser"),
        (hidden, "superuser"),
        (account("BYPASSRLS"), "BYPASSRLS"),
        (owner, "owner"),
    ):
        with pytest.raises(Refused, match=what) as refused:
            bootstrap(configured(url, tmp_path))
        assert refused.value.reason == ServiceReason.SETTING_INVALID
    with bootstrap(configured(account("IN ROLE chromogen_service"), tmp_path)) as service:
        assert service.store.due() == []


def test_s5_the_private_database_is_used_as_the_service_and_not_as_its_superuser(database_url: str) -> None:
    from server.store.database import as_role

    engine = connect(as_role(database_url, "chromogen_service"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar_one() == "chromogen_service"
        assert connection.exec_driver_sql("SHOW timezone").scalar_one() == "UTC"
        assert connection.exec_driver_sql("SELECT count(*) FROM orders").scalar_one() == 0
    engine.dispose()


def test_s2_the_command_reads_the_database_itself_and_prints_the_ends_of_the_chains(
    engine: sa.Engine, service_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(engine, 10)
    monkeypatch.setenv("CHROMOGEN_DATABASE_URL", service_url)
    done = CliRunner().invoke(audit_command, ["verify", "--direct"])
    assert done.output.splitlines()[1:] == ["10 lines, intact"]
    assert written(done.output.splitlines()) == frozenset(heads(engine))
    tampered(engine, "UPDATE audit SET lab = 'other' WHERE number = 3")
    done = CliRunner().invoke(audit_command, ["verify", "--direct", "--json"])
    assert isinstance(done.exception, Failed)
    assert json.loads(done.output)["broken"] == [4, 3]
