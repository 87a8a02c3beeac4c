"""Signatures of results, states of profiles; a profile's name is its laboratory's own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("signatures", "profile_states")


def upgrade() -> None:
    op.drop_constraint("profiles_pkey", "profiles")
    op.create_primary_key("profiles_pkey", "profiles", ["lab", "name", "revision"])
    op.create_index("orders_lab_received_idx", "orders", ["lab", "received_at", "id"])
    make_signatures()
    make_profile_states()
    for table in APPEND_ONLY:
        when = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        op.execute(f"CREATE TRIGGER {table}_no_change {when} EXECUTE FUNCTION chromogen_no_change()")


def downgrade() -> None:
    """Refused by the database where two laboratories have given profiles the same name."""
    op.drop_table("profile_states")
    op.drop_table("signatures")
    op.drop_index("orders_lab_received_idx", "orders")
    op.drop_constraint("profiles_pkey", "profiles")
    op.create_primary_key("profiles_pkey", "profiles", ["name", "revision"])


def make_signatures() -> None:
    op.create_table(
        "signatures",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="the last one of a result is its state",
        ),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("result_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="FINAL, REJECTED, CORRECTED, SUPERSEDED"),
        sa.Column("subject", sa.Text(), nullable=False, comment="who, as the token names them"),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name="signatures_result_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="signatures_pkey"),
        sa.UniqueConstraint("result_id", "state", name="signatures_result_id_state_key"),
    )


def make_profile_states() -> None:
    state_comment = "DRAFT, ACTIVE, RETIRED; a revision without one is ACTIVE"
    op.create_table(
        "profile_states",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="the last one of a revision is its state",
        ),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment=state_comment),
        sa.Column("subject", sa.Text(), nullable=False, comment="who, as the token names them"),
        sa.Column("request_id", sa.Text(), nullable=True, comment="of the call that made the revision"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="profile_states_pkey"),
        sa.UniqueConstraint("lab", "request_id", name="profile_states_lab_request_id_key"),
    )
    op.create_index("profile_states_last_idx", "profile_states", ["lab", "name", "revision", "id"])
