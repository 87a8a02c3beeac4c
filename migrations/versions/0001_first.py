"""All that a database of chromogen holds: tables, functions, triggers, roles, row-level security, rights.

The SQL stands in migrations/sql, one idea a file, and is run as it is written there. Once a version is released both
are frozen: what changes later is a migration of its own, with SQL files of its own.
"""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

TABLES = (
    "orders", "profiles", "results", "scores", "histograms", "artifacts", "signatures", "comments", "outbox", "jobs",
    "audit", "web_sessions", "control_ranges", "rescore_requests", "validations", "estimates", "ups_claims",
)  # fmt: skip
FUNCTIONS = ("session", "due", "abandoned", "take", "keep_result", "finish")
TRIGGERS = (
    "append_only",
    "scores_of_a_result",
    "order_corrections",
    "audit_digest",
    "audit_append",
    "audit_note",
    "audit_changes",
)
RIGHTS = ("row_level_security", "rights")

# What FROM CURRENT writes into functions: tables of this schema, and temporary ones of the caller last.
SEARCH_PATH = "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)"


def upgrade() -> None:
    op.execute(SEARCH_PATH)
    run("roles", *TABLES)
    as_written(SchemaManager.get_schema())  # the installed procrastinate's; a newer one's changes come as our scripts
    run(*FUNCTIONS, *TRIGGERS, *RIGHTS)


def downgrade() -> None:
    """The roles stay: they are the server's, and other databases of it may use them."""
    run("drop_all")


def run(*names: str) -> None:
    for name in names:
        as_written((SQL / f"{name}.sql").read_text())


def as_written(sql: str) -> None:
    """Percent signs and colons are SQL's own."""
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(sql)
