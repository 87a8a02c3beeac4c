"""Fixtures of all tests; each starts what it needs only when asked for. PostgreSQL is real, private and thrown away."""

import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from server.store.private import PrivatePostgres

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how long an example takes says nothing of the code on a busy machine

ACCOUNT = "test_service"
"""Whom tests connect as where they are an installation."""


NEEDED = re.compile(r"\.\./shared|not installed|is missing|is absent|comes with|pip install|not there")
"""In the reason of a skip: something that CI must have."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _not_skipped_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _not_skipped_in_ci(report)
    return report


def _not_skipped_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under CI=true what is absent is a failure, peer, library or data: else a green run could have tried nothing."""
    if report.skipped and os.environ.get("CI") == "true" and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        if NEEDED.search(str(reason)):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: CI must not skip this: {reason}"


@pytest.fixture(autouse=True)
def slides_are_closed() -> Iterator[None]:
    """Those that a test opened by `tests.opened`."""
    yield
    opened = sys.modules.get("tests.opened")
    if opened is not None:
        opened.close_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseServer:
    """A private PostgreSQL with a migrated database `chromogen` to copy."""

    running: "PrivatePostgres"

    def owner_url_of(self, database: str) -> str:
        """As the superuser that made everything: row-level security doesn't bind it."""
        return self.running.url_of(database)

    def url_of(self, database: str) -> str:
        """As an installation's account; for `postgres`, where databases are made, as the superuser."""
        url = self.owner_url_of(database)
        return url if database == "postgres" else url.replace("//chromogen@", f"//{ACCOUNT}@")


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """Up for the whole run, and quicker than it is safe."""
    from server.store.migrate import migrate
    from tests import quick_postgres

    # not in pytest's own folder: another run closes that to the account that PostgreSQL has when we are root
    folder = Path(tempfile.mkdtemp(prefix="chromogen-test-"))
    running = quick_postgres.start(folder)
    migrate(running.url)
    execute(
        running.url,
        f"CREATE ROLE {ACCOUNT} LOGIN IN ROLE chromogen_service",
        f"ALTER ROLE {ACCOUNT} SET chromogen.lab = '*'",  # tests count rows without saying whose
        f"GRANT UPDATE ON orders TO {ACCOUNT}",  # and lock the table
    )
    yield DatabaseServer(running=running)
    running.close()
    shutil.rmtree(folder)


@pytest.fixture
def database_url(database_server: DatabaseServer) -> Iterator[str]:
    """The address, for the superuser, of a database of this test's own, migrated and empty."""
    name = f"test_{uuid.uuid4().hex}"
    execute(database_server.url_of("postgres"), f'CREATE DATABASE "{name}" TEMPLATE chromogen STRATEGY FILE_COPY')
    yield database_server.owner_url_of(name)
    execute(database_server.url_of("postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def service_url(database_url: str) -> str:
    """The same database as an installation's account sees it."""
    return database_url.replace("//chromogen@", f"//{ACCOUNT}@")


def execute(url: str, *statements: str) -> None:
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    admin.dispose()


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """Connections to this test's database, enough for twenty threads."""
    from server.store.database import connect

    made = connect(database_url, pool=20)
    yield made
    made.dispose()
