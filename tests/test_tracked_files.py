"""What holds of every file of the project."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 400

# In parts, so that this file doesn't name what it looks for.
MACHINE_FOLDERS = [("wo", "rk"), ("ro", "ot"), ("fa", "rm"), ("ho", "me")]
REGISTRIES = [
    ("py", "pi", "org"),
    ("python", "hosted", "org"),
    ("npm", "js", "org"),
    ("deb", "ian", "org"),
    ("docker", "", "io"),
    ("py", "torch", "org"),
]
_FOLDERS = "|".join(a + b for a, b in MACHINE_FOLDERS)
_HOSTS = "|".join(re.escape(f"{a}{b}.{top}") for a, b, top in REGISTRIES)
MACHINE_PATH = re.compile(rf"(?<![\w.$}}])/(?:{_FOLDERS})/[A-Za-z]")
REGISTRY_HOST = re.compile(rf"\b(?:{_HOSTS})\b")


def tracked() -> list[Path]:
    """The files that git tracks; without git, those that a tree of the project has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    pytest.skip("git doesn't list the project's files")


def texts() -> list[tuple[str, str]]:
    """Name and text of each tracked file that is text."""
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:4096]:
            found.append((str(path.relative_to(ROOT)), data.decode("utf-8", "replace")))
    return found


def test_no_python_file_is_longer_than_one_reads_in_a_sitting() -> None:
    lengths = {
        name: len(text.splitlines())
        for name, text in texts()
        if name.endswith(".py") and not name.startswith("proto/gen/")
    }
    assert len(lengths) > 200
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_tracked_file_names_a_place_of_the_machine_it_was_made_on(pattern: re.Pattern[str]) -> None:
    named = [
        f"{name}:{number}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert named == []


def test_the_service_takes_the_names_of_regions_from_the_assay() -> None:
    """But for the code table, and the demo, which draws a nuclear slide."""
    naming = re.compile("stroma|epithelium")
    named = {
        name for name, text in texts() if name.startswith("server/") and name.endswith(".py") and naming.search(text)
    }
    assert {name for name in named if not name.startswith("server/demo/")} <= {"server/report/codes.py"}
