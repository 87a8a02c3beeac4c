"""docs/architecture.md says what the code is."""

import re
import tomllib
from pathlib import Path

from tests.architecture_picture import drawn_from, source_digest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_picture_is_drawn_from_its_source() -> None:
    assert drawn_from() == source_digest(), "make pictures"


def test_every_file_that_is_named_is_there() -> None:
    named = re.findall(
        r"`((?:server|inference|proto|migrations|triton_models|docs|deploy|tests)/[\w./-]*)`", TEXT + GUIDE
    )
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_tree_of_the_readme_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    tree = readme.split("## The tree")[1].split("\n## ")[0]
    named = re.findall(r"^    ([\w./]+) ", tree, re.MULTILINE)
    assert [name for name in named if not (ROOT / name).exists()] == []
    packages = {
        f"{path.parent.relative_to(ROOT)}/"
        for root in ("server", "inference")
        for path in (ROOT / root).glob("*/__init__.py")
    }
    assert packages <= set(named)


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["name"] == "layers of the service")
    (line,) = (line for line in TEXT.splitlines() if line.strip().startswith("cli > "))
    checked = [[name.strip(" ()") for name in layer.split("|")] for layer in layers]
    assert [[name.strip() for name in part.split(",")] for part in line.split(">")] == checked
