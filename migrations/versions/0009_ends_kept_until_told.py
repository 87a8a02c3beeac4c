"""An end whose message can't be written yet is kept with its reason, and the case isn't computed again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ending = sa.Column(
        "ending", sa.String(length=16), nullable=True, comment="as what it ends once the LIS can be told"
    )
    op.add_column("orders", ending)
    op.execute("GRANT UPDATE (ending) ON orders TO chromogen_api, chromogen_worker")


def downgrade() -> None:
    op.drop_column("orders", "ending")
