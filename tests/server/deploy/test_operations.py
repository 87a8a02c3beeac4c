"""docs/operations.md names commands, settings and files that there are."""

import re
from pathlib import Path

import click
import pytest

from server.cli.main import COMMANDS, chromogen
from server.settings import variables

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def commands() -> list[list[str]]:
    """As they are written, without options."""
    written = re.findall(r"(?:`|^    |\s)chromogen ((?:[a-z]+ ?)+)", PAGE, re.MULTILINE)
    return [words.split() for words in written if words.split()[0] in COMMANDS]


def test_it_names_the_commands_that_an_operator_needs() -> None:
    assert {tuple(c[:2]) for c in commands()} >= {
        ("audit", "verify"),
        ("outbox", "replay"),
        ("order", "retry"),
        ("check",),
        ("work",),
    }


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_is_there(words: list[str]) -> None:
    context, found = click.Context(chromogen), chromogen
    for word in words:
        if not isinstance(found, click.Group):
            break  # an argument, or the sentence going on
        found = found.get_command(context, word)  # type: ignore[assignment]
        assert found is not None, word


def test_each_event_of_the_log_and_metric_is_there() -> None:
    source = "".join(path.read_text() for path in sorted((ROOT / "server").rglob("*.py")))
    wrong = next(part for part in PAGE.split("\n## ") if part.startswith("When something is wrong"))
    named = re.findall(r"`([a-z]+(?:_[a-z]+)+)`", wrong) + re.findall(r"\(`([a-z]+(?:_[a-z]+)+)`", PAGE)
    assert {"case_not_ended", "certificate_taken", "any_laboratory"} <= set(named)
    assert [name for name in named if f'"{name}"' not in source] == []


def test_each_setting_and_file_is_there() -> None:
    assert set(re.findall(r"CHROMOGEN_\w+", PAGE)) <= set(variables())
    for name in re.findall(r"`?(deploy/[\w./]+)", PAGE):
        assert (ROOT / name.rstrip(".")).exists(), name
