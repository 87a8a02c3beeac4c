"""The container image, as far as its files say: tests/integration/test_image.py builds it."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.server.deploy.environment_example import EXAMPLE

DEPLOY = EXAMPLE.parent


def test_the_image_is_not_root_s_and_names_no_index() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER 10001:10001"
    assert not re.search(r"https?://|index-url|trusted-host", "\n".join(lines))
    assert sum(line.startswith("FROM ${BASE}") for line in lines) == 2


def test_the_image_copies_what_the_wheel_is_built_of() -> None:
    copied = {line.split()[1] for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")}
    assert {"server", "inference", "proto", "triton_models", "migrations"} <= copied
    assert all((DEPLOY.parent / name).is_dir() for name in copied - {"pyproject.toml", "--from=build"})


def pinned(file: Path) -> dict[str, str]:
    """By normalised name, the version of each requirement or constraint."""
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,-]+\])?==([^\s;\\]+)", file.read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_the_image_takes_each_package_by_its_digests_at_the_version_that_is_tested(name: str) -> None:
    text, constraints = (DEPLOY / name).read_text(), pinned(DEPLOY.parent / "constraints.txt")
    found = pinned(DEPLOY / name)
    assert found
    assert found.items() <= constraints.items()
    for entry in re.split(r"\n(?=\w)", text)[1:]:
        assert "--hash=sha256:" in entry, entry
    assert not re.search(r"https?://|index-url", text)


def test_the_image_s_packages_are_all_that_chromogen_names() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["formats"]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", each)[0]).lower() for each in asked}  # type: ignore[index]
    assert names <= set(pinned(DEPLOY / "requirements.txt"))
    installs = re.findall(r"pip install [^&]*", (DEPLOY / "Dockerfile").read_text())
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)


def test_the_builder_gets_what_the_image_copies_and_nothing_else() -> None:
    lines = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert {line[1:] for line in lines if line.startswith("!")} == {name for line in copies for name in line.split()}
