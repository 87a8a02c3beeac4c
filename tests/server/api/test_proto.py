"""G-1: the API's files follow the style, break no client, and the generated code is theirs. buf comes from npm."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from server.api.methods import operation_of
from server.api.server import methods, services
from server.domain.access import Role
from server.services import permissions
from tests import proto_drift

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "proto" / "README.md"
RELEASED = ROOT / "proto" / "released.binpb"
HOW = "npm install --prefix .venv/node @bufbuild/buf@1.75.0"
INSTALLED = ROOT / ".venv" / "node" / "node_modules" / ".bin"


def buf(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("buf") or shutil.which("buf", path=INSTALLED)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"buf is not installed: {HOW}")
        pytest.skip(f"buf is not installed: {HOW}")
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.peer
def test_g1_buf_lints_it() -> None:
    done = buf("lint", "proto")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.peer
def test_g1_nothing_that_was_released_is_broken() -> None:
    done = buf("breaking", "proto", "--against", str(RELEASED))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.peer
def test_g1_a_breaking_change_would_be_seen(tmp_path: Path) -> None:
    changed = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", changed, ignore=shutil.ignore_patterns("gen"))
    path = changed / "chromogen" / "v1" / "order.proto"
    path.write_text(path.read_text().replace("string marker = 6;", "int32 marker = 6;"))
    done = buf("breaking", str(changed), "--against", str(RELEASED))
    assert done.returncode != 0
    assert "marker" in done.stdout


def test_the_generated_code_is_up_to_date(tmp_path: Path) -> None:
    proto_drift.generate(tmp_path)
    assert proto_drift.drifted(proto_drift.contents(proto_drift.GENERATED), proto_drift.contents(tmp_path)) == []


def test_a_stale_file_is_named() -> None:
    assert proto_drift.drifted({"a": b"1", "b": b"1"}, {"a": b"1", "b": b"2", "c": b"3"}) == ["b", "c"]


def _comments() -> dict[str, str]:
    """Leading comment of every field, by its full name."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "proto" / "chromogen").rglob("*.proto")):
        comment: list[str] = []
        for line in path.read_text().splitlines():
            bare = line.strip()
            if bare.startswith("//"):
                comment.append(bare[2:].strip())
                continue
            if bare.endswith(";") and " = " in bare and not bare.startswith(("syntax", "option")):
                found[f"{path.name}: {bare}"] = " ".join(comment)
            comment = []
    return found


def test_every_field_says_whether_it_is_required_and_every_value_what_it_means() -> None:
    comments = _comments()
    assert len(comments) > 250
    for name, comment in comments.items():
        is_value = name.split(": ")[1].split(" ")[0].isupper()
        in_oneof = name.split(": ")[0] in ("result_service.proto", "admin_service.proto", "profile.proto") and comment
        assert comment, name
        assert is_value or in_oneof or comment.startswith(("Required.", "Optional.", "Output only.")), name


def test_enums_begin_with_unspecified() -> None:
    files = {service.file.name: service.file for service in services()}
    seen = 0
    for file in files.values():
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        for dependency in (file, *file.dependencies):
            for enum in dependency.enum_types_by_name.values():
                seen += 1
                assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")
    assert seen >= 6


def test_the_guide_s_table_of_roles_is_the_one_that_is_kept() -> None:
    rows = [line.strip("| ").split("|") for line in GUIDE.read_text().splitlines() if line.startswith("|")]
    header = [cell.strip() for cell in rows[0]]
    said = {}
    for row in rows[2:]:
        cells = [cell.strip() for cell in row] + [""] * (len(header) - len(row))
        held = {Role(header[i]) for i in range(2, len(header)) if cells[i] == "yes"}
        said[cells[1]] = held
    called = {operation_of(method) for method in methods()}  # others are the HTTP door's alone
    assert said == {name: set(roles) for name, roles in permissions.ROLES.items() if name in called}
