"""A slide's results without reading the laboratory's.

Not with 0011: while it holds one table it must not wait for the other.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Both at once: each statement of its own would write the table anew, histograms and all.
COLUMNS = """
ALTER TABLE results
    ADD COLUMN series_uid text GENERATED ALWAYS AS (slide ->> 'series_uid') STORED,
    ADD COLUMN container_id text GENERATED ALWAYS AS (slide ->> 'container_id') STORED
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    for index, name in (("results_series_idx", "series_uid"), ("results_container_idx", "container_id")):
        op.execute(f"COMMENT ON COLUMN results.{name} IS 'of the slide'")
        op.create_index(index, "results", ["lab", name, "created_at", "id"], postgresql_where=sa.text(f"{name} <> ''"))


def downgrade() -> None:
    op.execute("ALTER TABLE results DROP COLUMN container_id, DROP COLUMN series_uid")
