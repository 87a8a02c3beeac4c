"""Alembic's entry: `chromogen migrate` hands in a connection; `alembic` itself reads CHROMOGEN_DATABASE_URL."""

from alembic import context
from alembic.runtime.environment import NameFilterParentNames, NameFilterType
from sqlalchemy import Connection

from server.settings import load
from server.store.database import connect
from server.store.tables import metadata


def ours(name: str | None, type_: NameFilterType, parents: NameFilterParentNames) -> bool:
    """procrastinate's tables come from its own script, not from the metadata."""
    return not (type_ == "table" and (name or "").startswith("procrastinate_"))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=metadata, include_name=ours, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    run(given)
else:
    with connect(load().database.url.get_secret_value()).connect() as own:
        run(own)
