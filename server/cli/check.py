"""`chromogen check`: every dependency looked at, and what to mend."""

import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from inference.engines.local import LocalEngine
from inference.errors import ChromogenError
from server import settings
from server.bootstrap import bootstrap
from server.cli.main import FAILURE
from server.domain.errors import Failed, ServiceReason
from server.observability import set_up
from server.settings import Settings

LEAST_FREE_GB = 5.0
CONNECT_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A dependency: `look` says in a few words what it found, or raises."""

    name: str
    look: Callable[[Settings], str]


@click.command()
def check() -> None:
    """Look at every dependency and say what to mend. Exit code 1 if one is not as it must be."""
    wanted = settings.load()
    set_up(level="error")
    failed = 0
    for one in CHECKS:
        try:
            click.echo(f"ok    {one.name:<10}{one.look(wanted)}")
        except (ChromogenError, OSError) as error:
            failed += 1
            reason = str(error) if isinstance(error, ChromogenError) else f"{type(error).__name__}: {error.strerror}"
            click.echo(f"FAIL  {one.name:<10}{reason}")
    if failed:
        raise click.exceptions.Exit(FAILURE)


def look_at_models(_: Settings) -> str:
    """Loads the shipped graphs, checks their hashes and runs a blank tile."""
    engine = LocalEngine(threads=1)
    found = engine.detect(np.full((1, 256, 256, 3), 240, np.uint8), engine.counting_threshold)[0]
    facts = engine.facts
    return f"{facts.name} {facts.version}, sha256 {facts.sha256[:12]}, {len(found.x)} nuclei on a blank tile"


def look_at_folder(wanted: Settings) -> str:
    """The data folder can be written to and has room."""
    folder = wanted.data.folder
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".check"
    probe.write_bytes(b"")
    probe.unlink()
    free = shutil.disk_usage(folder).free / 1e9
    if free < LEAST_FREE_GB:
        raise Failed(ServiceReason.SETTING_INVALID, f"{free:.1f} GB free in {folder}; at least {LEAST_FREE_GB:g} are needed")
    return f"{folder}, {free:.0f} GB free"


def look_at_database(wanted: Settings) -> str:
    """Reached, and its tables answer."""
    with bootstrap(wanted) as service:
        waiting = len(service.store.due(1000))
        kind = "private PostgreSQL" if service.private_postgres is not None else "configured PostgreSQL"
        return f"{kind}, {waiting} orders due, {service.outbox.waiting()} reports waiting"


def look_at_archive(wanted: Settings) -> str:
    """The archive's folder is there."""
    folder: Path = wanted.archive_folder
    if wanted.archive.folder is None:
        folder.mkdir(parents=True, exist_ok=True)  # our own, in the data folder
    if not folder.is_dir():
        raise Failed(ServiceReason.ARCHIVE_UNREACHABLE, f"{folder} is not a folder; make it or set CHROMOGEN_ARCHIVE_FOLDER")
    return str(folder)


def look_at_lis(wanted: Settings) -> str:
    """The LIS accepts a connection, where one is set."""
    lis = wanted.lis
    if not lis.host:
        return "none set; results are not sent to a LIS (CHROMOGEN_LIS_HOST)"
    try:
        socket.create_connection((lis.host, lis.port), CONNECT_TIMEOUT_S).close()
    except OSError:
        raise Failed(ServiceReason.DELIVERY_FAILED, f"nothing answers at {lis.host}:{lis.port}; check CHROMOGEN_LIS_*") from None
    return f"{lis.host}:{lis.port} answers"


CHECKS = (
    Check(name="models", look=look_at_models),
    Check(name="data", look=look_at_folder),
    Check(name="database", look=look_at_database),
    Check(name="archive", look=look_at_archive),
    Check(name="lis", look=look_at_lis),
)
