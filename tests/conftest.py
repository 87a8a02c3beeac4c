"""Fixtures of all tests; each starts what it needs only when asked for. PostgreSQL is real, private and thrown away."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from server.store.private import PrivatePostgres


@pytest.fixture(scope="session")
def database_server() -> Iterator["PrivatePostgres"]:
    """A private PostgreSQL with a migrated template; yields the PrivatePostgres."""
    from server.store import private
    from server.store.migrate import migrate

    # not in pytest's own folder: another run closes that to the account that PostgreSQL has when we are root
    folder = Path(tempfile.mkdtemp(prefix="chromogen-test-"))
    running = private.start(folder)
    admin = sa.create_engine(running.url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    admin.dispose()
    migrate(running.url)
    yield running
    running.close()
    shutil.rmtree(folder)


@pytest.fixture
def database_url(database_server: "PrivatePostgres") -> Iterator[str]:
    """The address of a database of this test's own, migrated and empty."""
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(database_server.url_of("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE chromogen')
    yield database_server.url_of(name)
    with admin.connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    admin.dispose()


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """Connections to this test's database, enough for twenty threads."""
    from server.store.database import connect

    made = connect(database_url, pool=20)
    yield made
    made.dispose()
