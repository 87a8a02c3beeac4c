"""A laboratory's orders of a container, and its few urgent ones, without reading all others.

A column, since the operators of a JSON document aren't leakproof: under row-level security no index of an expression
serves. It is generated, so that a worker of the version before, which doesn't know it, fills it too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    container = sa.Computed("slide ->> 'container_id'::text", persisted=True)
    op.add_column("orders", sa.Column("container_id", sa.Text(), container, nullable=True, comment="of the slide"))
    op.create_index(
        "orders_container_idx",
        "orders",
        ["lab", "container_id", "received_at", "id"],
        postgresql_where=sa.text("container_id <> ''"),
    )
    op.create_index(
        "orders_urgent_idx", "orders", ["lab", "rank", "received_at", "id"], postgresql_where=sa.text("rank < 2")
    )


def downgrade() -> None:
    op.drop_index("orders_urgent_idx", "orders")
    op.drop_column("orders", "container_id")
