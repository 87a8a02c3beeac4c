"""The audit, hash-chained and written by triggers at commit; roles.

Row-level security, forced, on every table of a laboratory.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OF_A_LAB = ("orders", "results", "outbox", "signatures", "audit")
SHARED_BY_LABS = ("profiles", "profile_states")  # a row of laboratory * is seen, not changed, by all

ROLES = """
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'chromogen_api', 'chromogen_worker', 'chromogen_audit', 'chromogen_scale', 'chromogen_service'
    ] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was just as fast
        END;
    END LOOP;
    IF NOT pg_has_role('chromogen_service', 'chromogen_api', 'MEMBER') THEN
        GRANT chromogen_api, chromogen_worker TO chromogen_service;
    END IF;
END;
$$
"""

SCOPE = """
CREATE FUNCTION chromogen_lab() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('chromogen.lab', true)
$$
"""

SUBJECT = """
CREATE FUNCTION chromogen_subject() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('chromogen.subject', true), ''), session_user)
$$
"""

DIGEST = """
CREATE FUNCTION chromogen_digest(VARIADIC parts text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT encode(sha256(convert_to(string_agg(octet_length(part) || ':' || part, '' ORDER BY i), 'UTF8')), 'hex')
    FROM unnest(parts) WITH ORDINALITY AS each(part, i)
$$
"""

# Eight chains a laboratory: with one, every commit of a laboratory would wait for the one before to reach the disk.
# Whoever finds a chain taken goes to the next, and triggers are deferred to the commit: so hardly anybody waits, and
# not crosswise.
NOTE = """
CREATE FUNCTION chromogen_note(of_lab text, by_subject text, did text, to_object text, with_outcome text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    of_chain smallint;
    key bigint;
    last_number bigint;
    last_hash text;
    moment timestamptz;
BEGIN
    FOR turn IN 0..8 LOOP
        of_chain := (pg_backend_pid() + turn) % 8;
        key := hashtextextended('chromogen audit ' || of_chain || ' ' || of_lab, 0);
        IF turn = 8 THEN
            PERFORM pg_advisory_xact_lock(key);
        ELSIF pg_try_advisory_xact_lock(key) THEN
            EXIT;
        END IF;
    END LOOP;
    SELECT number, hash INTO last_number, last_hash FROM audit
        WHERE lab = of_lab AND chain = of_chain ORDER BY number DESC LIMIT 1;
    last_number := coalesce(last_number, 0) + 1;
    last_hash := coalesce(last_hash, '');
    moment := clock_timestamp();
    INSERT INTO audit (lab, chain, number, at, subject, action, object, outcome, hash)
    VALUES (of_lab, of_chain, last_number, moment, by_subject, did, to_object, with_outcome, chromogen_digest(
        last_hash, of_lab, of_chain::text, last_number::text, (extract(epoch FROM moment) * 1000000)::bigint::text,
        by_subject, did, to_object, with_outcome));
END;
$$
"""

AUDIT = """
CREATE FUNCTION chromogen_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_TABLE_NAME = 'orders' THEN
        PERFORM chromogen_note(NEW.lab, chromogen_subject(), CASE
            WHEN TG_OP = 'INSERT' THEN 'order.accept'
            WHEN NEW.state = 'RUNNING' THEN 'order.claim'
            WHEN NEW.state = 'DONE' THEN 'order.finish'
            WHEN NEW.state = 'QUEUED' THEN 'order.requeue'
            ELSE 'order.' || lower(NEW.state) END,
            'orders/' || NEW.id, concat_ws(' ', 'attempt', NEW.attempt, nullif(NEW.reason, '')));
    ELSIF TG_TABLE_NAME = 'results' THEN
        PERFORM chromogen_note(NEW.lab, chromogen_subject(), 'result.keep', 'results/' || NEW.id,
            concat_ws(' ', NEW.profile ->> 'name', NEW.profile ->> 'revision', 'orders/' || NEW.order_id));
    ELSIF TG_TABLE_NAME = 'signatures' THEN
        PERFORM chromogen_note(NEW.lab, NEW.subject, 'result.' || lower(NEW.state), 'results/' || NEW.result_id, '');
    ELSIF TG_TABLE_NAME = 'profiles' THEN
        PERFORM chromogen_note(NEW.lab, chromogen_subject(), 'profile.keep', 'profiles/' || NEW.name, NEW.revision::text);
    ELSIF TG_TABLE_NAME = 'profile_states' THEN
        PERFORM chromogen_note(NEW.lab, NEW.subject, 'profile.' || lower(NEW.state), 'profiles/' || NEW.name, NEW.revision::text);
    ELSE
        PERFORM chromogen_note(NEW.lab, chromogen_subject(),
            CASE NEW.state WHEN 'WAITING' THEN 'delivery.replay' ELSE 'delivery.' || lower(NEW.state) END,
            'outbox/' || NEW.id, concat_ws(' ', NEW.kind, NEW.destination, nullif(NEW.reason, '')));
    END IF;
    RETURN NULL;
END;
$$
"""

ON_INSERT = ("orders", "results", "signatures", "profiles", "profile_states")
ON_UPDATE = {
    "orders": "OLD.state <> NEW.state OR OLD.token IS DISTINCT FROM NEW.token",
    "outbox": "OLD.state <> NEW.state",
}

READ_BY_ALL = ("orders", "profiles", "profile_states", "results", "scores", "signatures", "outbox")
ADDED_BY_API = (*READ_BY_ALL,)
ADDED_BY_WORKER = ("results", "scores", "outbox")
ORDER_CHANGES = "state, attempt, token, lease_until, due_at, progress, reason, detail, result_id, updated_at"
OUTBOX_CHANGES = "state, attempts, due_at, token, lease_until, reason, created_at, ended_at"

DISPATCH = """
DO $$
DECLARE item regclass;
BEGIN
    FOR item IN SELECT oid FROM pg_class WHERE relname LIKE 'procrastinate\\_%'
        AND relkind IN ('r', 'S') AND relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('GRANT ALL ON %s TO chromogen_api, chromogen_worker', item);
    END LOOP;
END;
$$
"""


REVOKE = """
DO $$
DECLARE kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['TABLES', 'SEQUENCES'] LOOP
        EXECUTE format('REVOKE ALL ON ALL %s IN SCHEMA %I FROM chromogen_api, chromogen_worker, chromogen_audit, chromogen_scale',
            kind, current_schema());
    END LOOP;
END;
$$
"""


def upgrade() -> None:
    as_written(ROLES)
    make_audit()
    for function in (SCOPE, SUBJECT, DIGEST, NOTE, AUDIT):
        as_written(function)
    watch()
    fence()
    grant()


def downgrade() -> None:
    """The roles stay: they are the server's, and other databases of it may use them."""
    for table in ON_INSERT:
        op.execute(f"DROP TRIGGER {table}_audit_insert ON {table}")
    for table in ON_UPDATE:
        op.execute(f"DROP TRIGGER {table}_audit_update ON {table}")
    for table in (*OF_A_LAB, *SHARED_BY_LABS, "scores"):
        op.execute(f"DROP POLICY lab ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")
    for table in SHARED_BY_LABS:
        op.execute(f"DROP POLICY shared ON {table}")
    op.drop_table("audit")
    for name in ("chromogen_audit()", "chromogen_note(text, text, text, text, text)", "chromogen_digest(text[])"):
        op.execute(f"DROP FUNCTION {name}")
    op.execute("DROP FUNCTION chromogen_subject(), chromogen_lab()")
    as_written(REVOKE)


def make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("chain", sa.SmallInteger(), nullable=False, comment="one of eight a laboratory"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="1, 2, 3 ... in its chain"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="who"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False, comment="table/identifier"),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of the row and of the hash before it"),
        sa.PrimaryKeyConstraint("id", name="audit_pkey"),
        sa.UniqueConstraint("lab", "chain", "number", name="audit_lab_chain_number_key"),
    )
    op.create_index("audit_object_idx", "audit", ["object"], unique=False)
    change = "BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
    op.execute(f"CREATE TRIGGER audit_no_change {change} EXECUTE FUNCTION chromogen_no_change()")


def watch() -> None:
    for table in ON_INSERT:
        watch_one(f"{table}_audit_insert AFTER INSERT ON {table}", "")
    for table, changed in ON_UPDATE.items():
        watch_one(f"{table}_audit_update AFTER UPDATE ON {table}", f"WHEN ({changed})")


def watch_one(what: str, when: str) -> None:
    how = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    op.execute(f"CREATE CONSTRAINT TRIGGER {what} {how} {when} EXECUTE FUNCTION chromogen_audit()")


def fence() -> None:
    mine = "chromogen_lab() IN (lab, '*')"
    for table in (*OF_A_LAB, *SHARED_BY_LABS):
        op.execute(f"CREATE POLICY lab ON {table} USING ({mine}) WITH CHECK ({mine})")
    for table in SHARED_BY_LABS:
        op.execute(f"CREATE POLICY shared ON {table} FOR SELECT USING (lab = '*' AND chromogen_lab() <> '')")
    op.execute("CREATE POLICY lab ON scores USING (EXISTS (SELECT FROM results WHERE results.id = result_id))")
    for table in (*OF_A_LAB, *SHARED_BY_LABS, "scores"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def grant() -> None:
    both = "chromogen_api, chromogen_worker"
    op.execute(f"GRANT SELECT ON {', '.join(READ_BY_ALL)}, alembic_version TO {both}")
    op.execute(f"GRANT INSERT ON {', '.join(ADDED_BY_API)} TO chromogen_api")
    op.execute(f"GRANT INSERT ON {', '.join(ADDED_BY_WORKER)} TO chromogen_worker")
    op.execute(f"GRANT UPDATE ({ORDER_CHANGES}) ON orders TO {both}")
    op.execute(f"GRANT UPDATE ({OUTBOX_CHANGES}) ON outbox TO {both}")
    op.execute("GRANT SELECT ON audit TO chromogen_api, chromogen_audit")
    op.execute("GRANT SELECT (state, rank, due_at, lease_until) ON orders TO chromogen_scale")
    op.execute("GRANT SELECT (state, destination, created_at) ON outbox TO chromogen_scale")
    op.execute("REVOKE ALL ON FUNCTION chromogen_note(text, text, text, text, text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION chromogen_note(text, text, text, text, text) TO chromogen_api")
    as_written(DISPATCH)


def as_written(sql: str) -> None:
    """Run SQL whose percent signs and colons are its own."""
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(sql)
