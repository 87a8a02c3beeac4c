"""Orders that are begun anew after an end; the order and the errors of a delivery."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ORDER_CHANGES = "run, begun_at, repeats, priority, rank"
WORKERS_AND_API = "chromogen_api, chromogen_worker"

# A refusal's row didn't say its order; the folder of its file is named by it.
NAME_ORDERS = """
UPDATE outbox SET order_id = coalesce(
    (SELECT results.order_id FROM results WHERE results.id = outbox.result_id),
    (SELECT orders.id FROM orders WHERE outbox.result_id IS NULL
        AND orders.id = substring(outbox.path FROM '/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/[^/]+/[^/]+$')::uuid)
)
"""


def upgrade() -> None:
    op.execute("SELECT set_config('chromogen.lab', '*', true)")  # row-level security binds the tables' owner too
    run = sa.Column(
        "run", sa.Integer(), server_default="1", nullable=False, comment="one more each time it is begun anew"
    )
    op.add_column("orders", run)
    op.add_column(
        "orders", sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    )
    repeats = sa.Column(
        "repeats",
        postgresql.ARRAY(sa.Text()),
        server_default="{}",
        nullable=False,
        comment="sender and control id of messages that began it anew",
    )
    op.add_column("orders", repeats)
    op.execute("UPDATE orders SET begun_at = received_at")
    op.add_column("outbox", sa.Column("order_id", sa.Uuid(as_uuid=False), nullable=True, comment="null: of no order"))
    op.create_foreign_key("outbox_order_id_fkey", "outbox", "orders", ["order_id"], ["id"])
    errors = sa.Column(
        "errors", sa.Integer(), server_default="0", nullable=False, comment="times that the receiver answered AE or CE"
    )
    op.add_column("outbox", errors)
    op.execute(NAME_ORDERS)
    op.create_index("outbox_order_id_idx", "outbox", ["order_id"], postgresql_where=sa.text("kind = 'ORU'"))
    op.execute(f"GRANT UPDATE ({ORDER_CHANGES}) ON orders TO {WORKERS_AND_API}")
    op.execute(f"GRANT UPDATE (errors) ON outbox TO {WORKERS_AND_API}")


def downgrade() -> None:
    op.execute(f"REVOKE UPDATE (priority, rank) ON orders FROM {WORKERS_AND_API}")
    op.drop_column("outbox", "errors")
    op.drop_column("outbox", "order_id")
    for name in ("repeats", "begun_at", "run"):
        op.drop_column("orders", name)
