"""Brings a database's tables up to date (`chromogen migrate`)."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, exc, text

import server
from server.domain.errors import Failed, ServiceReason
from server.store.database import connect, transaction

LOCK = 0x63_68_72_6F
"""The key of the advisory lock that makes two migrating processes take turns."""


OLDER_TABLES = "the tables are an older version's: run `chromogen migrate` as their owner"


class Standing(StrEnum):
    """A database's tables beside those that this version asks for; NEWER while an upgrade is under way."""

    OLDER = "OLDER"
    CURRENT = "CURRENT"
    NEWER = "NEWER"


class Tables:
    """Those of one database, as a worker looks at them before it takes an order."""

    def __init__(self) -> None:
        self._new_enough = False

    def check_once(self, engine: Engine) -> None:
        """Asks until they once were new enough: no migration takes anything away.

        Raises Failed DATABASE_FAILED (retryable).
        """
        if self._new_enough:
            return
        with transaction(engine) as connection:
            if standing(connection) is Standing.OLDER:
                raise Failed(ServiceReason.DATABASE_FAILED, OLDER_TABLES, retryable=True)
        self._new_enough = True


def migrate(url: str, revision: str = "head") -> None:
    """Up to `revision`, whether from empty or from an older one.

    Raises Failed DATABASE_UNREACHABLE, DATABASE_FAILED.
    """
    run(url, lambda config: command.upgrade(config, revision))


def revert(url: str, revision: str) -> None:
    """Down to `revision` (`base`: everything is dropped)."""
    run(url, lambda config: command.downgrade(config, revision))


def standing(connection: Connection) -> Standing:
    """Where the connected database stands; an empty one is OLDER."""
    known = _revisions()
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
        return Standing.OLDER
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found == known[0]:
        return Standing.CURRENT
    return Standing.OLDER if found is None or found in known else Standing.NEWER


@cache
def _revisions() -> Sequence[str]:
    """The newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(scripts())).walk_revisions())


def scripts() -> Path:
    """The scripts' folder: inside the package in a wheel, beside it in the source tree."""
    package = Path(server.__file__).parent
    shipped = package / "_shipped" / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def run(url: str, step: Callable[[Config], None]) -> None:
    """One Alembic command on a connection of its own, alone in the database."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            connection.commit()
            step(_config(connection))
            connection.commit()
    except (exc.OperationalError, exc.InterfaceError) as error:
        name = type(error.orig).__name__
        raise Failed(
            ServiceReason.DATABASE_UNREACHABLE, f"the database can't be migrated ({name})", retryable=True
        ) from None
    except exc.DBAPIError as error:
        raise Failed(ServiceReason.DATABASE_FAILED, f"a migration failed ({type(error.orig).__name__})") from None
    finally:
        engine.dispose()  # closes the session, and with it the lock


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config
