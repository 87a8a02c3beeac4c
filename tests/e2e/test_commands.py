"""The commands as a person or a script calls them: real processes, exit codes, one line for an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from inference.analyzers.nuclear import COMPARTMENTS, GRADE_COUNTS, H_SCORE, NUCLEAR, NUCLEI, PERCENT_POSITIVE
from inference.assay import assay_of
from inference.draw import draw_slide
from inference.geometry import Region, Size
from server.cli.main import chromogen as group
from server.demo.slide_header import SlideIdentity
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.models import IHC_TILE

SLIDES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "slides"
needs_slides = pytest.mark.skipif(
    not SLIDES.is_dir(), reason="the development slides (../shared/data/slides) are not here"
)
SIDE = 1024


def chromogen(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)


def refused(done: "subprocess.CompletedProcess[str]", reason: str) -> str:
    """The one line of a refusal: exit code 2, nothing on stdout, no traceback."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"chromogen: {reason}: "), lines[0]
    return lines[0]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn slide as DICOM."""
    folder = tmp_path_factory.mktemp("drawn")
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=4, h_score=150)
    write_dicom_slide(folder / "slide", JpegFrames(drawing), mpp=0.5, identity=SlideIdentity(key="test-commands"))
    picture = drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))
    cv2.imwrite(str(folder / "drawn.png"), picture[..., ::-1])
    return folder


def test_score_prints_one_object_and_leaves_its_files(drawn: Path, tmp_path: Path) -> None:
    done = chromogen("score", drawn / "slide", "--marker", "ER", "--json", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) >= {"slide", "profile", "model", "scores", "compartments", "warnings", "seconds", "tiles"}
    assert (found["marker"], found["clinical_region"]) == ("ER", assay_of("ER").clinical_region)
    assert set(found["compartments"]) == {region.name for region in NUCLEAR.regions}
    everything = found["compartments"]["all"]
    scores = {"h_score", "h_score_ci95", "percent_positive", "percent_positive_ci95", "allred", "irs"}
    assert set(everything) == {"n", "counts", *scores}
    assert everything["n"] == sum(everything["counts"]) > 100
    assert abs(everything["h_score"] - 150) < 20
    keys = {"code", "scheme", "display", "region", "value", "category", "unit", "interval", "n"}
    assert all(set(row) >= keys for row in found["scores"])
    h_score = next(row for row in found["scores"] if (row["code"], row["region"]) == (H_SCORE.code, "all"))
    assert (h_score["value"], h_score["n"]) == (everything["h_score"], everything["n"])
    assert h_score["interval"] == everything["h_score_ci95"]
    assert found["slide"]["size"] == [SIDE, SIDE]
    assert found["slide"]["uids"]["series"].startswith("2.25.")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "result.json",
        "nuclei.parquet",
        "overlay.png",
        "nuclei.geojson",
    }
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == found
    assert pq.read_metadata(tmp_path / "out" / "nuclei.parquet").num_rows == everything["n"]
    groups = json.loads((tmp_path / "out" / "nuclei.geojson").read_text())["features"]
    assert sum(len(g["geometry"]["coordinates"]) for g in groups) == everything["n"]


def test_a_profile_of_ones_own_changes_the_counts_and_is_named(drawn: Path, tmp_path: Path) -> None:
    profile = {
        "name": "strict",
        "revision": 7,
        "thresholds": {"method": "dab_od", "weak": 0.3, "moderate": 0.6, "strong": 0.9},
    }
    (tmp_path / "p.json").write_text(json.dumps(profile))
    done = chromogen("score", drawn / "slide", "--profile", tmp_path / "p.json", "--region", "0,0,512,512", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["profile"] == profile


def test_without_json_the_scores_are_a_table_of_regions(drawn: Path) -> None:
    done = chromogen("score", drawn / "slide", "--region", "0,0,512,512")
    assert done.returncode == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    assert header.split()[:2] == ["nuclei", "H-score"]
    assert [line.split()[0] for line in lines[:3]] == [region.name for region in NUCLEAR.regions]
    assert "Research use only" in done.stdout


def test_p53_is_given_as_a_percentage_alone_and_is_out_of_scope(drawn: Path) -> None:
    done = chromogen("score", drawn / "slide", "--marker", "p53", "--region", "0,0,512,512", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["code"] for row in found["scores"]} == {m.code for m in (PERCENT_POSITIVE, NUCLEI, *GRADE_COUNTS)}
    assert {row["scheme"] for row in found["scores"]} == {"99CHROMOGEN"}
    assert (found["marker"], "OUT_OF_SCOPE" in found["warnings"]) == ("P53", True)
    assert found["compartments"]["all"]["h_score"] is None


def test_detect_prints_a_line_an_image_in_its_own_pixels(drawn: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "white.png"), np.full((200, 150, 3), 245, np.uint8))
    done = chromogen("detect", drawn / "drawn.png", tmp_path / "white.png", "--mpp", "0.5", "--min-confidence", "0.3")
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["image"].endswith("drawn.png")
    assert second["nuclei"] == []
    told = {"x", "y", "class", "nucleus", "confidence", "counted", "hue", "value", "dab_od", "grade"}
    assert all(set(nucleus) == told for nucleus in first["nuclei"])
    assert all(n["counted"] is (n["nucleus"] >= IHC_TILE.counting_threshold) for n in first["nuclei"])
    assert all(n["confidence"] <= n["nucleus"] for n in first["nuclei"])
    assert {n["class"] for n in first["nuclei"]} <= {group.region for group in NUCLEAR.groups}
    assert all(n["confidence"] >= 0.3 and 0 <= n["x"] < SIDE and 0 <= n["y"] < SIDE for n in first["nuclei"])


def test_evaluate_prints_the_metric(drawn: Path, tmp_path: Path) -> None:
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=4, h_score=150)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "images" / "1.png").write_bytes((drawn / "drawn.png").read_bytes())
    rows = zip(drawing.truth.x, drawing.truth.y, drawing.truth.compartment, strict=True)
    (tmp_path / "labels" / "1.txt").write_text("".join(f"{x:.0f} {y:.0f} {c}\n" for x, y, c in rows))
    done = chromogen("evaluate", tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) >= {*COMPARTMENTS, "mAP", "agnostic", "f1", "n"}
    assert found["n"] == len(drawing.truth.x)
    assert found["agnostic"] > 0.8
    (tmp_path / "labels" / "1.txt").write_text("1 2\n")
    refused(chromogen("evaluate", tmp_path), "DATASET_INVALID")


@needs_slides
def test_a_real_he_slide_has_no_score_unless_it_is_asked_for_anyway() -> None:
    refused(chromogen("score", SLIDES / "CMU-1-Small-Region.svs", "--json"), "NOT_IHC")
    done = chromogen("score", SLIDES / "CMU-1-Small-Region.svs", "--json", "--anyway")
    assert done.returncode == 0, done.stderr
    assert "NOT_IHC" in json.loads(done.stdout)["warnings"]


@needs_slides
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("multi_frame_jpeg_camelyon_challenge_image.dcm", "TOO_COARSE"),
        ("multi_frame_jpeg2000_camelyon_challenge_image.dcm", "TOO_COARSE"),
        ("syntaxes", "TOO_COARSE"),
        ("syntaxes/raw.dcm", "TOO_COARSE"),
        ("tcga-cr-7395-01a-01-ts1.svs", "NO_PIXEL_SIZE"),
        ("broken.svs", "NOT_A_SLIDE"),
        ("wsi_annotation.dcm", "NOT_A_SLIDE"),
        ("not-there.svs", "NOT_A_SLIDE"),
    ],
)
def test_slides_that_cannot_be_scored_are_refused_in_one_line(name: str, reason: str) -> None:
    refused(chromogen("score", SLIDES / name, "--json"), reason)


@pytest.mark.parametrize(
    ("region", "word"),
    [
        ("0,0,0,10", "empty"),
        ("1,2,3", "X,Y,W,H"),
        ("0,0,5000,10", "outside"),
        ("a,b,c,d", "X,Y,W,H"),
        ("-5,0,9,9", "outside"),
    ],
)
def test_a_bad_region_is_refused(drawn: Path, region: str, word: str) -> None:
    assert word in refused(chromogen("score", drawn / "slide", "--region", region), "REGION_INVALID")


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        '{"name": "a", "revision": 0, "thresholds": {}}',
        '{"name": "a", "revision": 1, "thresholds": {"hue": 1}}',
        '{"name": "a", "revision": 1, "typo": 1, "thresholds": {}}',
        '{"name": "a", "revision": 1, "thresholds": {"method": "hue_value", "hue": 130, "left": 105, "right": 60}}',
        '{"name": "a", "revision": 1, "thresholds": {"method": "dab_od", "weak": "x", "moderate": 0.4, "strong": 0.6}}',
    ],
)
def test_a_bad_profile_is_refused(drawn: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    refused(chromogen("score", drawn / "slide", "--profile", tmp_path / "p.json"), "PROFILE_INVALID")


def test_other_bad_input_is_refused(drawn: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "white.png"), np.full((400, 400, 3), 245, np.uint8))
    refused(chromogen("score", tmp_path / "white.png", "--mpp", "0.5"), "NO_TISSUE")
    refused(chromogen("score", tmp_path / "white.png"), "NO_PIXEL_SIZE")
    refused(chromogen("score", drawn / "slide", "--engine", "quantum"), "ENGINE_FAILED")
    refused(chromogen("detect", drawn / "drawn.png", "--model", tmp_path), "MODEL_INVALID")
    refused(chromogen("score"), "USAGE")
    refused(chromogen("nonsense"), "USAGE")
    refused(chromogen("check", CHROMOGEN_TYPO="1"), "SETTING_INVALID")


def test_a_full_disk_leaves_nothing_half_written(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = (
        "import resource, sys, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        f"sys.argv = ['chromogen', 'score', {str(drawn / 'slide')!r}, '--out', {str(out)!r}];"
        "from server.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("chromogen: OUTPUT_NOT_WRITABLE: "), done.stderr
    assert [p.name for p in out.iterdir()] == []


def test_every_command_explains_itself() -> None:
    said = chromogen("--help").stdout
    names = group.list_commands(click.Context(group))
    assert len(names) > 12
    for name in names:
        assert f"  {name} " in said
        done = CliRunner().invoke(group, [name, "--help"], prog_name="chromogen")
        assert done.exit_code == 0, name
        assert f"Usage: chromogen {name} " in done.output
