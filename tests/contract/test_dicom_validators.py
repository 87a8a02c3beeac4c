"""SR, ANN and SEG before validators that others wrote: dciodvfy (dicom3tools), dsrdump and dcmdump (dcmtk).

Promise I-4.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from inference.geometry import Region, Size
from inference.measures import ALL, Score
from inference.slide import Rgb
from server.demo.slide_header import SlideIdentity
from server.domain.result import Result
from server.report.ann import Coordinates, build_ann
from server.report.identity import write
from server.report.score_map import build_map
from server.report.seg import build_seg
from server.report.source import KEPT_HEADER, read_source
from server.report.sr import Document, Signature, build_sr
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.made import made_header, made_order, made_result
from tests.made_he import made_he_result

pytestmark = pytest.mark.peer

# Debian 12's dciodvfy asks 2D annotations for an element that only 3D ones may have, and then finds it where it isn't.
_ONLY_3D = "Only valid for AnnotationCoordinateType of 3D - attribute <CommonZCoordinateValue>"
ALLOWED = {"ann-2D": _ONLY_3D, "ann-2D-outlines": _ONLY_3D}
CATEGORY = Score(
    measure="GLOW_OF_THE_SECTION",  # longer than an SH may be
    code="GLOW_OF_THE_SECTION",
    display="Glow, made up",
    region=ALL,
    unit="",
    n=3,
    category="very bright",
)
KINDS = [
    "sr",
    "sr-no-order",
    "sr-no-nuclei",
    "sr-signed",
    "sr-category",
    "ann-2D",
    "ann-3D",
    "ann-2D-outlines",
    "seg",
    "map",
    "map-he",
]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(program) is None:
        missing = f"{program} is not installed: apt-get install dicom3tools dcmtk"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, errors="replace")


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return made_result(tmp_path, warnings=("OUT_OF_SCOPE",))


def build(kind: str, result: Result, tmp_path: Path) -> Dataset | None:
    header = made_header()
    match kind:
        case "sr":
            return build_sr(result, made_order(), [header])
        case "sr-no-order":
            return build_sr(result, None, [header])
        case "sr-no-nuclei":
            return build_sr(made_result(tmp_path, n=0), made_order(), [header])
        case "sr-signed":
            replaces = Document(result_id=result.id)
            at = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)
            signature = Signature(by="dr-test", lab="LAB", at=at, state="FINAL", replaces=replaces)
            return build_sr(result, made_order(), [header], signature)
        case "sr-category":
            return build_sr(replace(result, scores=(*result.scores, CATEGORY)), made_order(), [header])
        case "seg":
            return build_seg(result, [header])
        case "map":
            return build_map(result, [header])
        case "map-he":
            return build_map(made_he_result(tmp_path, 300), [header])
        case "ann-2D-outlines":
            return build_ann(made_result(tmp_path, outlines=True), [header])
        case _:
            return build_ann(result, [header], coordinates=Coordinates(kind.removeprefix("ann-")))


@pytest.fixture(params=KINDS)
def written(request: pytest.FixtureRequest, result: Result, tmp_path: Path) -> tuple[str, Path]:
    report = build(request.param, result, tmp_path)
    assert report is not None
    path = tmp_path / f"{request.param}.dcm"
    write(report, path)
    return request.param, path


def test_dciodvfy_finds_no_error_beyond_the_allowed_list(written: tuple[str, Path]) -> None:
    kind, path = written
    lines = run("dciodvfy", str(path)).stderr.splitlines()
    assert lines, "dciodvfy said nothing at all: not even which IOD it saw"
    errors = [line for line in lines if line.startswith("Error") and ALLOWED.get(kind, line + "!") not in line]
    assert errors == []


def test_dciodvfy_does_find_an_error_in_a_broken_report(result: Result, tmp_path: Path) -> None:
    report = build_sr(result, None, [made_header()])
    del report.CompletionFlag
    write(report, tmp_path / "broken.dcm")
    assert "Error" in run("dciodvfy", str(tmp_path / "broken.dcm")).stderr


def test_dcmdump_parses_every_report(written: tuple[str, Path]) -> None:
    done = run("dcmdump", "--quiet", str(written[1]))
    assert done.returncode == 0, done.stderr
    assert "SOPInstanceUID" in done.stdout


@pytest.mark.parametrize("kind", ["sr", "sr-no-order", "sr-no-nuclei", "sr-signed"])
def test_dsrdump_reads_the_content_tree(kind: str, result: Result, tmp_path: Path) -> None:
    report = build(kind, result, tmp_path)
    assert report is not None
    write(report, tmp_path / "sr.dcm")
    done = run("dsrdump", str(tmp_path / "sr.dcm"))
    assert done.returncode == 0, done.stderr
    assert "E:" not in done.stderr
    assert "Research use only" in done.stdout
    assert ('"H-score"' in done.stdout) == (kind != "sr-no-nuclei")


def test_reports_on_a_slide_that_the_demo_wrote_pass_too(result: Result, tmp_path: Path) -> None:
    size = Size(width=1_200, height=900)
    write_dicom_slide(tmp_path / "slide", JpegFrames(Blank(size)), mpp=0.5, identity=SlideIdentity(key="validators"))
    source = read_source(tmp_path / "slide")
    assert (source[0].TotalPixelMatrixColumns, source[0].TotalPixelMatrixRows) == (1_200, 900)
    scored = replace(result, analysis=replace(result.analysis, slide=replace(result.analysis.slide, size=size)))
    write(source[0], tmp_path / KEPT_HEADER)
    kept = read_source(tmp_path / KEPT_HEADER)
    assert (tmp_path / KEPT_HEADER).stat().st_size < 20_000  # no pixels
    signature = Signature(
        by="dr-test", lab="LAB", at=result.created_at, state="FINAL", replaces=Document(result_id=result.id)
    )
    for kind, report in {
        "sr": build_sr(scored, None, source),
        "sr-signed": build_sr(scored, None, kept, signature),
        "ann-2D": build_ann(scored, source),
        "seg": build_seg(scored, source),
    }.items():
        assert report is not None
        write(report, tmp_path / f"{kind}.dcm")
        lines = run("dciodvfy", str(tmp_path / f"{kind}.dcm")).stderr.splitlines()
        assert [line for line in lines if line.startswith("Error") and ALLOWED.get(kind, line + "!") not in line] == []


@dataclass(frozen=True)
class Blank:
    """A white slide."""

    size: Size

    def read(self, region: Region) -> Rgb:
        return np.full((region.height, region.width, 3), 255, np.uint8)
