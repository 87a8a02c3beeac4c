"""`chromogen check`: every dependency looked at, and what to mend."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import click

from inference.errors import ChromogenError
from server import settings
from server.cli import looks
from server.cli.looks import Found
from server.cli.main import FAILURE
from server.observability import set_up
from server.settings import Settings

LOOKS: dict[str, Callable[[Settings], Found]] = {
    "models": looks.models,
    "engine": looks.engine,
    "data": looks.folder,
    "database": looks.database,
    "archive": looks.archive,
    "mllp": looks.mllp,
    "lis": looks.lis,
    "api": looks.api,
    "keys": looks.keys,
    "certificates": looks.certificates,
}

OK, SOON, FAIL = "ok", "mend", "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One dependency: `state` is ok, mend (it works, but look at it) or FAIL."""

    name: str
    state: str
    text: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON, one object a line")
def check(as_json: bool) -> None:
    """Look at every dependency and say what to mend. Exit code 1 if one is not as it must be."""
    wanted = settings.load()
    set_up(level="error")
    failed = False
    for line in lines(wanted):
        failed |= line.state == FAIL
        click.echo(json.dumps(asdict(line)) if as_json else f"{line.state:<6}{line.name:<14}{line.text}")
    if failed:
        raise click.exceptions.Exit(FAILURE)


def lines(wanted: Settings) -> Iterator[Line]:
    """Each dependency, as soon as it was looked at."""
    for name, look in LOOKS.items():
        try:
            found = look(wanted)
        except ChromogenError as error:
            yield Line(name=name, state=FAIL, text=str(error))
        except Exception as error:  # a look that breaks is an answer too; the text may hold what is nobody's business
            yield Line(name=name, state=FAIL, text=f"the look broke ({type(error).__name__})")
        else:
            text = f"{found.text}; {found.mend}" if found.mend else found.text
            yield Line(name=name, state=SOON if found.mend else OK, text=text)
