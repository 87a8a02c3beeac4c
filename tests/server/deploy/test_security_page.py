"""docs/security.md names tests: each is there, and holds tests."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
PAGE = (TESTS.parent / "docs" / "security.md").read_text()


def test_each_proof_is_there() -> None:
    named = set(re.findall(r"`((?:\w+/)+test_\w+\.py)`", PAGE))
    assert len(named) > 15
    assert [name for name in sorted(named) if "def test_" not in _text(TESTS / name)] == []


def test_each_thing_that_fell_has_a_test_by_its_number() -> None:
    kept = dict(re.findall(r"^\| (\d+[a-f]?) \| [^|]+ \| (.*) \|$", PAGE, re.MULTILINE))
    assert list(kept) == [*"12", *(f"2{letter}" for letter in "abcdef"), *map(str, range(3, 22))]
    assert all(".py`" in tests for tests in kept.values())


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def test_each_defence_names_its_proof() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| a")]
    assert all(".py`" in row.rsplit("|", 2)[1] for row in rows if not row.startswith("| against"))
