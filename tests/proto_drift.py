"""Is the generated code in proto/gen what the .proto files give? `--write` makes it so; `make check` asks.

Deterministic: grpcio-tools is pinned, files are compiled in the order of their names.
"""

import importlib.resources
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
SOURCES, GENERATED = ROOT / "proto", ROOT / "proto" / "gen"
PACKAGES = {
    "chromogen/__init__.py": '"""Generated code."""\n',
    "chromogen/v1/__init__.py": '"""Generated from proto/chromogen/v1."""\n',
}


def generate(target: Path) -> None:
    """Compile every .proto file into `target`: messages, their stubs for mypy, services."""
    well_known = str(importlib.resources.files("grpc_tools") / "_proto")
    files = sorted(str(p.relative_to(SOURCES)) for p in (SOURCES / "chromogen").rglob("*.proto"))
    paths = [f"-I{SOURCES}", f"-I{well_known}"]
    outs = [f"--python_out={target}", f"--pyi_out={target}", f"--grpc_python_out={target}"]
    if protoc.main(["protoc", *paths, *outs, *files]) != 0:
        sys.exit("proto_drift: protoc failed")
    for name, text in PACKAGES.items():
        (target / name).write_text(text)
    for path in target.rglob("*_pb2_grpc.py"):  # resources hold no service: an empty file says nothing
        if "class " not in path.read_text():
            path.unlink()


def contents(folder: Path) -> dict[str, bytes]:
    """Every generated file by its path."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*.py*"))
        if "__pycache__" not in p.parts
    }


def drifted(committed: dict[str, bytes], fresh: dict[str, bytes]) -> list[str]:
    """Names of files that are missing, stale or left over."""
    return sorted(name for name in committed.keys() | fresh.keys() if committed.get(name) != fresh.get(name))


def main(arguments: list[str]) -> int:
    """Exit code: 0 where nothing has drifted, or with `--write`."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = contents(Path(folder))
    names = drifted(contents(GENERATED), fresh)
    if "--write" in arguments:
        for name in names:
            path = GENERATED / name
            if name not in fresh:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fresh[name])
        return 0
    if names:
        print(f"generated code is stale: {', '.join(names)}; run `make proto`", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
