"""`chromogen check`: every dependency checked, and what to do."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

import click

from inference.errors import ChromogenError
from server import settings
from server.cli import checks
from server.cli.check_site import Check, site_checks
from server.cli.main import FAILURE
from server.observability import set_up
from server.settings import Settings

BEFORE = {"models": checks.models, "engine": checks.engine, "data": checks.folder, "database": checks.database}
AFTER = {"mllp": checks.mllp, "api": checks.api, "keys": checks.keys, "certificates": checks.certificates}

OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One dependency: `state` is ok, warn (it works, but look at it) or FAIL."""

    name: str
    state: str
    text: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON, one object a line")
def check(as_json: bool) -> None:
    """Look at every dependency and say what to do. Exit code 1 if one is not as it must be."""
    wanted = settings.load()
    set_up(level="error")
    failed = False
    for line in lines(wanted):
        failed |= line.state == FAIL
        click.echo(json.dumps(asdict(line)) if as_json else f"{line.state:<6}{line.name:<22}{line.text}")
    if failed:
        raise click.exceptions.Exit(FAILURE)


def checks_of(wanted: Settings) -> Iterator[tuple[str, Check]]:
    """The name and the check of each dependency."""
    for name, check_one in BEFORE.items():
        yield name, partial(check_one, wanted)
    yield from site_checks(wanted)
    for name, check_one in AFTER.items():
        yield name, partial(check_one, wanted)


def lines(wanted: Settings) -> Iterator[Line]:
    """Each dependency, as soon as it was checked."""
    for name, check_one in checks_of(wanted):
        try:
            found = check_one()
        except ChromogenError as error:
            yield Line(name=name, state=FAIL, text=str(error))
        except Exception as error:  # a check that breaks is an answer too; the text may hold what is nobody's business
            yield Line(name=name, state=FAIL, text=f"the check broke ({type(error).__name__})")
        else:
            text = f"{found.text}; {found.advice}" if found.advice else found.text
            yield Line(name=name, state=WARN if found.advice else OK, text=text)
