"""Indexes of lists: a laboratory's newest results, and its few orders that ended without one among a million done."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ENDED = "state IN ('REFUSED', 'DEAD', 'CANCELLED')"


def upgrade() -> None:
    op.create_index("orders_ended_idx", "orders", ["lab", "received_at", "id"], postgresql_where=sa.text(ENDED))
    op.create_index("results_lab_created_idx", "results", ["lab", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("results_lab_created_idx", "results")
    op.drop_index("orders_ended_idx", "orders")
