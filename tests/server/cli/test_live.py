"""`chromogen live`: frames of a folder, each place once, control tissue first."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inference.draw import draw_slide
from inference.draw.expression import Mix
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.cli.live import live

MPP, SIDE, STEP = 0.5, 256, 128
STRONG: Mix = {"none": 0.1, "intense_complete": 0.9}


def run(*arguments: object, marker: str = "HER2") -> Result:
    return CliRunner().invoke(
        live, [*map(str, arguments), "--marker", marker, "--mpp", str(MPP)], standalone_mode=False
    )


def reason(done: Result) -> Reason:
    assert isinstance(done.exception, Refused), done.exception
    return Reason(done.exception.reason)


def save(path: Path, picture: Rgb) -> None:
    assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


@pytest.fixture(scope="module")
def pixels() -> Rgb:
    plan = Plan(side_um=(SIDE + STEP) * MPP, mix=STRONG, tumour_share=0.95)
    return Her2Drawing(plan, Scanner(mpp=MPP, jpeg=None), seed=5).pixels()


@pytest.fixture
def folder(tmp_path: Path, pixels: Rgb) -> Path:
    """Two frames that share a half."""
    save(tmp_path / "1.png", pixels[:SIDE, :SIDE])
    save(tmp_path / "2.png", pixels[:SIDE, STEP : STEP + SIDE])
    return tmp_path


def test_what_two_frames_share_is_counted_once(folder: Path) -> None:
    done = run(folder, "--json")
    assert done.exception is None, done.exception
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert [first["frame"], second["frame"]] == ["1.png", "2.png"]
    assert first["new"] == first["cells"] > 20
    assert 0.3 < second["new"] / second["cells"] < 0.7
    assert (second["fields"], second["control"]) == (2, "absent")
    assert second["scores"][0]["category"] == "3+"


def test_a_line_for_a_person_names_the_score(folder: Path) -> None:
    last = run(folder).stdout.splitlines()[-1]
    assert "2.png" in last
    assert last.endswith("HER2 score 3+")


def test_a_control_that_fails_leaves_no_score(folder: Path, pixels: Rgb, tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.mkdir()
    save(control / "core.png", pixels)
    assert run(folder, "--control", control / "core.png", "--expected", "3+").exception is None
    done = run(folder, "--control", control / "core.png", "--expected", "0")
    assert reason(done) is Reason.CONTROL_FAILED
    assert done.stdout == ""


def test_a_frame_that_is_none_is_said_and_holds_up_no_other(folder: Path) -> None:
    (folder / "1a.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = run(folder, "--json")
    assert reason(done) is Reason.SLIDE_DAMAGED
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [s.get("refused") for s in said] == [None, "SLIDE_DAMAGED", None]
    assert said[-1]["fields"] == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [(("--expected", "4+"), Reason.CONTROL_INVALID), (("--expected", "3+"), Reason.CONTROL_FAILED)],
)
def test_a_control_frame_must_show_what_the_stain_knows(
    folder: Path, given: tuple[str, ...], expected: Reason, tmp_path: Path
) -> None:
    blank = tmp_path / "blank"
    blank.mkdir()
    save(blank / "core.png", cv2.UMat(64, 64, cv2.CV_8UC3).get() * 0 + 245)
    assert reason(run(folder, "--control", blank / "core.png", *given)) is expected


def test_a_folder_without_frames_is_refused(tmp_path: Path) -> None:
    assert reason(run(tmp_path)) is Reason.NOT_A_SLIDE
    assert reason(run(tmp_path / "none")) is Reason.NOT_A_SLIDE


def test_a_frame_without_glass_is_graded_by_the_glass_of_others(tmp_path: Path) -> None:
    """Brown nuclei on ground that is pale brown: by that ground they are paler."""
    drawn = draw_slide(size=Size(width=SIDE, height=SIDE), seed=4, h_score=200)
    glass = drawn.read(Region(x=0, y=0, width=SIDE, height=SIDE))
    ground = np.asarray(np.clip(np.rint(glass * np.array((0.86, 0.78, 0.70))), 0, 255), np.uint8)
    alone, after = tmp_path / "alone", tmp_path / "after"
    for folder, pictures in ((alone, (ground,)), (after, (glass, ground))):
        folder.mkdir()
        for number, picture in enumerate(pictures):
            save(folder / f"{number}.png", picture)
    (own,), (_, by_glass) = (
        [json.loads(line) for line in run(f, "--json", marker="ER").stdout.splitlines()] for f in (alone, after)
    )
    assert "COLOUR_CAST" in own["warnings"]
    assert "COLOUR_CAST" not in by_glass["warnings"]
    assert "   COLOUR_CAST   " in run(alone, marker="ER").stdout
