"""An index of dead deliveries: they are counted at each scrape of the metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("outbox_dead_idx", "outbox", ["destination"], postgresql_where=sa.text("state = 'DEAD'"))


def downgrade() -> None:
    op.drop_index("outbox_dead_idx", "outbox")
