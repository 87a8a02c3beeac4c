"""Orders, profiles, results, scores, outbox; and procrastinate's own schema."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("profiles", "results", "scores")

NO_CHANGE = """
CREATE FUNCTION chromogen_no_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME;
END;
$$
"""

DROP_PROCRASTINATE = """
DO $$
DECLARE item text;
BEGIN
    FOR item IN SELECT format('DROP TABLE %s CASCADE', oid::regclass) FROM pg_class
        WHERE relkind = 'r' AND relname LIKE 'procrastinate\\_%' AND relnamespace = current_schema()::regnamespace
    LOOP EXECUTE item; END LOOP;
    FOR item IN SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = current_schema()::regnamespace
    LOOP EXECUTE item; END LOOP;
    FOR item IN SELECT format('DROP TYPE %s', oid::regtype) FROM pg_type
        WHERE typname LIKE 'procrastinate\\_%' AND typtype IN ('e', 'c') AND typnamespace = current_schema()::regnamespace
    LOOP EXECUTE item; END LOOP;
END;
$$
"""


def upgrade() -> None:
    make_orders()
    make_profiles()
    make_results()
    make_outbox()
    forbid_change()
    make_procrastinate()


def downgrade() -> None:
    as_written(DROP_PROCRASTINATE)
    for table in ("outbox", "scores", "results", "profiles", "orders"):
        op.drop_table(table)
    op.execute("DROP FUNCTION chromogen_no_change()")


def forbid_change() -> None:
    as_written(NO_CHANGE)
    for table in APPEND_ONLY:
        when = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        op.execute(f"CREATE TRIGGER {table}_no_change {when} EXECUTE FUNCTION chromogen_no_change()")


def make_procrastinate() -> None:
    """The schema of the installed procrastinate (3.10 when this was written).

    A newer one's changes come as scripts of ours.
    """
    as_written(SchemaManager.get_schema())


def as_written(sql: str) -> None:
    """Run SQL whose percent signs and colons are its own."""
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(sql)


def make_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("message_control_id", sa.Text(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("placer_order_number", sa.Text(), nullable=False),
        sa.Column("placer_request", sa.Text(), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False, comment="0 STAT, 1 ASAP, 2 ROUTINE"),
        sa.Column("marker", sa.Text(), nullable=False),
        sa.Column("procedure_code", sa.Text(), nullable=False),
        sa.Column("procedure_text", sa.Text(), nullable=False),
        sa.Column("patient", postgresql.JSONB(), nullable=False),
        sa.Column("specimen", postgresql.JSONB(), nullable=False),
        sa.Column("slide", postgresql.JSONB(), nullable=False),
        sa.Column("charset", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("state", sa.String(length=16), server_default="QUEUED", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("token", sa.Uuid(as_uuid=False), nullable=True, comment="who holds the order; null unless RUNNING"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("progress", sa.Double(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("result_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'DONE') = (result_id IS NOT NULL)", name="orders_done_has_result_check"),
        sa.CheckConstraint(
            "(state = 'RUNNING') = (token IS NOT NULL AND lease_until IS NOT NULL)",
            name="orders_running_has_token_check",
        ),
        sa.PrimaryKeyConstraint("id", name="orders_pkey"),
        sa.UniqueConstraint("sender", "message_control_id", name="orders_sender_message_control_id_key"),
    )
    op.create_index(
        "orders_due_idx",
        "orders",
        ["rank", "received_at", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('QUEUED', 'RUNNING')"),
    )
    op.create_index(
        "orders_placer_key",
        "orders",
        ["lab", "placer_order_number", "placer_request"],
        unique=True,
        postgresql_where=sa.text("placer_order_number <> ''"),
    )
    op.create_index("orders_received_idx", "orders", ["received_at"], unique=False)


def make_profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("marker", sa.Text(), nullable=False),
        sa.Column("clone", sa.Text(), nullable=False),
        sa.Column("stainer", sa.Text(), nullable=False),
        sa.Column("scanner", sa.Text(), nullable=False),
        sa.Column("thresholds", postgresql.JSONB(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", "revision", name="profiles_pkey"),
    )


def make_results() -> None:
    op.create_table(
        "results",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("predecessor", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("profile", postgresql.JSONB(), nullable=False, comment="the revision as it was, whole"),
        sa.Column("slide", postgresql.JSONB(), nullable=False),
        sa.Column("model", postgresql.JSONB(), nullable=False),
        sa.Column("tiles", postgresql.JSONB(), nullable=False),
        sa.Column("seconds", postgresql.JSONB(), nullable=False),
        sa.Column("tissue_mm2", sa.Double(), nullable=False),
        sa.Column("analysis_warnings", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("warnings", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("nuclei_file", sa.Text(), nullable=False),
        sa.Column("hue_value", sa.LargeBinary(), nullable=False, comment="zlib of little-endian int64 (2, 360, 256)"),
        sa.Column("density", sa.LargeBinary(), nullable=False, comment="zlib of little-endian int64 (2, 301)"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="results_order_id_fkey"),
        sa.ForeignKeyConstraint(["predecessor"], ["results.id"], name="results_predecessor_fkey"),
        sa.PrimaryKeyConstraint("id", name="results_pkey"),
    )
    op.create_index("results_order_id_idx", "results", ["order_id"], unique=False)
    op.create_table(
        "scores",
        sa.Column("result_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("compartment", sa.String(length=16), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("counts", postgresql.ARRAY(sa.BigInteger()), nullable=False, comment="nuclei of grade 0, 1, 2, 3"),
        sa.Column("h_score", sa.Double(), nullable=True),
        sa.Column("h_score_low", sa.Double(), nullable=True),
        sa.Column("h_score_high", sa.Double(), nullable=True),
        sa.Column("percent_positive", sa.Double(), nullable=True),
        sa.Column("allred_ps", sa.SmallInteger(), nullable=True),
        sa.Column("allred_is", sa.SmallInteger(), nullable=True),
        sa.Column("allred_total", sa.SmallInteger(), nullable=True),
        sa.Column("irs", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name="scores_result_id_fkey"),
        sa.PrimaryKeyConstraint("result_id", "compartment", name="scores_pkey"),
    )


def make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="the order of sending"),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("result_id", sa.Uuid(as_uuid=False), nullable=True, comment="null: a refusal"),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False, comment="of the file when the result was finished"),
        sa.Column(
            "state", sa.String(length=16), server_default="WAITING", nullable=False, comment="WAITING, SENT, DEAD"
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("token", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name="outbox_result_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="outbox_pkey"),
        sa.UniqueConstraint("destination", "message_id", name="outbox_destination_message_id_key"),
    )
    op.create_index("outbox_result_id_idx", "outbox", ["result_id"], unique=False)
    op.create_index(
        "outbox_waiting_idx",
        "outbox",
        ["destination", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'WAITING'"),
    )
