"""A private PostgreSQL for tests: as the product starts it, but quicker than is safe when the
machine loses its power.
"""

from pathlib import Path

from server.store import private

UNSAFE = "".join(f"{setting} = off\n" for setting in ("fsync", "synchronous_commit", "full_page_writes"))


def start(data: Path) -> private.PrivatePostgres:
    """In a new data folder. `private.start` finds it initialised already, and only starts it."""
    folder = data / "postgres"
    account = private._account(folder)
    private._own(folder, account)
    arguments = (
        "-D",
        str(folder),
        "-U",
        private.SUPERUSER,
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    )
    private._run("initdb", *arguments, account=account)
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write(UNSAFE)
    return private.start(data)
