"""Bill of materials and licences, from the pins and what is installed. INTEROP.md S-7."""

import importlib.util
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]

ALLOWED = (
    "MIT",
    "BSD",
    "Apache",
    "Python Software Foundation",
    "PSF-2.0",
    "MPL",
    "Mozilla Public License",
    "LGPL",
    "Zlib",
    "CC0",
    "0BSD",
    "BSL-1.0",
    "DFSG approved",
    "ISC",
    "Unlicense",
)
"""What an Apache-2.0 program may be shipped with (LGPL: as a library that can be exchanged)."""


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "deploy" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sbom"] = module
    spec.loader.exec_module(module)
    return module


def same(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(name: str, seen: set[str]) -> set[str]:
    """The installed packages that running chromogen needs, itself included."""
    if same(name) not in seen:
        seen.add(same(name))
        for requirement in map(Requirement, metadata.requires(name) or ()):
            here = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if here and is_installed(requirement.name):
                needed(requirement.name, seen)
    return seen


def is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def test_s7_every_package_that_runs_is_pinned_and_listed_in_the_version_that_is_installed(sbom: ModuleType) -> None:
    listed = {same(c.name): c.version for c in sbom.components()}
    running = needed("chromogen", set()) - {"chromogen"}
    assert len(running) > 30
    assert running <= set(listed)
    assert {name: metadata.version(name) for name in running} == {name: listed[name] for name in running}


def test_s7_every_package_that_runs_has_a_licence_that_allows_it(sbom: ModuleType) -> None:
    running = needed("chromogen", set())
    for one in sbom.components():
        if same(one.name) in running:
            assert any(allowed in one.licence for allowed in ALLOWED), f"{one.name}: {one.licence!r}"
            assert not re.search(r"(?<!L)\bA?GPL", one.licence), one.name


def test_s7_the_bill_is_cyclonedx_and_the_same_each_time(sbom: ModuleType) -> None:
    command = [sys.executable, str(ROOT / "deploy" / "sbom.py")]
    first, second = (subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2))
    assert first == second
    bill = json.loads(first)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9-]+@\S+", c["purl"]) for c in bill["components"])
    assert len({c["purl"] for c in bill["components"]}) == len(bill["components"]) == len(sbom.components())
