"""`chromogen demo --archive` against an Orthanc that something else started."""

import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import highdicom as hd
import pyarrow.parquet
import pytest
from pydicom import dcmread

from server.demo.pacs import address_of
from tests.orthanc import PASSWORD, USER, Orthanc, orthanc

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("pacs")) as server:
        yield server


def demo(out: Path, address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server.cli.main", "demo", "--out", str(out), "--archive", address]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def test_slide_and_reports_go_the_whole_way_over_a_pacs(pacs: Orthanc, tmp_path: Path) -> None:
    done = demo(tmp_path / "out", f"dicomweb://{USER}:{PASSWORD}@127.0.0.1:{pacs.http_port}/dicom-web")
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in left if PASSWORD.encode() in path.read_bytes()]
    kept = [dcmread(BytesIO(content)) for content in pacs.kept()]
    assert sorted(found.Modality for found in kept) == ["ANN", "OT", "SEG", "SM", "SM", "SM", "SR"]
    assert len({found.StudyInstanceUID for found in kept}) == 1
    nuclei = pyarrow.parquet.read_metadata(tmp_path / "out" / "nuclei.parquet").num_rows
    ann = hd.ann.annread(tmp_path / "out" / "ann.dcm")
    assert sum(group.number_of_annotations for group in ann.get_annotation_groups()) == nuclei
    for name in ("sr", "ann", "seg", "map"):
        assert (tmp_path / "out" / f"{name}.dcm").read_bytes() in pacs.kept()
    assert re.search(r"H-score of all nuclei [0-9.]+, truth [0-9.]+, off by [0-9]\.", done.stdout)


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        (f"dicomweb://{USER}:wrong-pass@127.0.0.1:{{port}}/dicom-web", 1, "ARCHIVE_DENIED"),
        (f"dicomweb://{USER}:{PASSWORD}@127.0.0.1:{{port}}/nowhere", 1, "ARCHIVE_ANSWER"),
        (f"dicomweb://{USER}:{PASSWORD}@127.0.0.1:1/dicom-web", 1, "ARCHIVE_UNREACHABLE"),
        (f"http://{USER}:{PASSWORD}@127.0.0.1/dicom-web", 2, "dicomweb://user:password@host:port/path"),
        ("dicomweb://u:wrong-pass/word@127.0.0.1/dicom-web", 2, "%2F"),
        ("dicomweb://:wrong-pass@127.0.0.1/dicom-web", 2, "belong together"),
    ],
)
def test_a_pacs_that_can_t_be_used_is_told_in_one_line_without_the_password(
    pacs: Orthanc, tmp_path: Path, address: str, code: int, said: str
) -> None:
    done = demo(tmp_path / "out", address.format(port=pacs.http_port))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert "wrong-pass" not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_an_address_is_read_with_its_escapes_and_shows_no_password() -> None:
    found = address_of("dicomwebs://a%40b:p%2Fw%3A@[::1]:8443/x/y")
    assert (found.url, found.user, found.password) == ("https://[::1]:8443/x/y", "a@b", "p/w:")
    assert "p/w" not in repr(found)
