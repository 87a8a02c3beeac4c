"""The bill of materials and the licences of what `constraints.txt` pins, from the metadata of what is installed.

    python deploy/sbom.py              CycloneDX 1.5, JSON
    python deploy/sbom.py --licences   a table: package, version, licence

A package that isn't installed here is listed without a licence.
"""

import argparse
import json
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;#]+)")
UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A package as it is pinned; `licence` is an SPDX expression, or else what its author wrote."""

    name: str
    version: str
    licence: str

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version}"


def components(constraints: Path = ROOT / "constraints.txt") -> list[Component]:
    """All pinned packages by name."""
    pins = (PINNED.match(line) for line in constraints.read_text().splitlines())
    found = [Component(name=p[1], version=p[2], licence=licence_of(p[1])) for p in pins if p]
    return sorted(found, key=lambda c: c.name.lower())


def licence_of(name: str) -> str:
    """By the package's own metadata: the expression, else its classifiers, else the first line of its licence field."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return UNKNOWN
    if expression := said.get("License-Expression"):
        return expression
    classifiers = [c.rpartition(" :: ")[2] for c in said.get_all("Classifier") or () if c.startswith("License :: ")]
    stated = [c for c in classifiers if c != "OSI Approved"]
    return " AND ".join(stated) or (said.get("License") or UNKNOWN).strip().partition("\n")[0]


def bill(listed: list[Component]) -> dict[str, object]:
    """CycloneDX 1.5, without a time or a serial number: the same pins give the same bill."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "chromogen", "licenses": [{"license": {"id": "Apache-2.0"}}]}
        },
        "components": [
            {"type": "library", "name": c.name, "version": c.version, "purl": c.purl}
            | ({"licenses": [{"license": {"name": c.licence}}]} if c.licence else {})
            for c in listed
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--licences", action="store_true", help="a table")
    if parser.parse_args().licences:
        for one in components():
            print(f"{one.name:<32} {one.version:<16} {one.licence or 'not installed here'}")
    else:
        print(json.dumps(bill(components()), indent=2))


if __name__ == "__main__":
    main()
