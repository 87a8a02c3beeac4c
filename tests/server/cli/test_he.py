"""`chromogen he` of a folder of pictures: some can't be read, some were done before."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from inference.errors import Refused
from server.cli.he import he


def told(*arguments: str) -> Result:
    return CliRunner().invoke(he, arguments, standalone_mode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture of H&E, one cut short, a blank one, a text, and the small one again in a folder."""
    made = tmp_path_factory.mktemp("pictures")
    (made / "other").mkdir()
    pixels = HeDrawing(Plan(side_um=75, tissue=0.97), Scanner(mpp=0.25), seed=11).pixels()
    cv2.imwrite(str(made / "a.png"), pixels[..., ::-1])
    (made / "cut.png").write_bytes((made / "a.png").read_bytes()[:5000])
    cv2.imwrite(str(made / "glass.png"), np.full((300, 300, 3), 205, np.uint8))
    (made / "text.png").write_text("no picture")
    (made / "other" / "a.png").write_bytes((made / "a.png").read_bytes())
    return made


def test_pictures_that_cant_be_read_are_named_and_the_others_answered_and_skipped_next_time(
    folder: Path, tmp_path: Path
) -> None:
    names = ["text.png", "a.png", "cut.png", "gone.png", "glass.png"]
    command = [*(str(folder / name) for name in names), "--mpp", "0.25", "--out", str(tmp_path / "out")]
    done = told(*command)
    assert done.return_value == 2
    lines = done.stderr.splitlines()
    assert [line.split(": ")[2] for line in lines] == [str(folder / name) for name in (names[0], *names[2:4])]
    files = {p.name: p for p in (tmp_path / "out").iterdir()}
    assert sorted(files) == ["a.geojson", "a.json", "glass.geojson", "glass.json"]
    assert json.loads(files["a.json"].read_text())["nuclei"] > 5
    blank = json.loads(files["glass.json"].read_text())
    assert (blank["nuclei"], set(blank["counts"].values()), set(blank["per_mm2"].values())) == (0, {0}, {0.0})
    assert json.loads(files["glass.geojson"].read_text())["features"] == []
    before = {name: (path.stat().st_ino, path.read_bytes()) for name, path in files.items()}
    again = told(*command)
    assert (again.return_value, again.stdout.count("skipped")) == (2, 2)
    assert {name: (path.stat().st_ino, path.read_bytes()) for name, path in files.items()} == before
    over = told(*command, "--again")
    assert (over.return_value, over.stdout) == (2, "")
    assert {name: path.read_bytes() for name, path in files.items()} == {name: of for name, (_, of) in before.items()}
    assert all(path.stat().st_ino != before[name][0] for name, path in files.items())


def test_a_picture_of_other_pixels_under_a_name_is_done_anew_and_two_of_a_name_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes((folder / "glass.png").read_bytes())
    to = ["--mpp", "0.25", "--out", str(tmp_path / "out")]
    assert told(str(folder / "a.png"), *to).return_value == 0
    assert told(str(tmp_path / "a.png"), *to).stdout == ""
    assert json.loads((tmp_path / "out" / "a.json").read_text())["nuclei"] == 0
    two = told(str(folder / "a.png"), str(folder / "other" / "a.png"), *to)
    assert isinstance(two.exception, Refused)
    assert str(two.exception).startswith("OUTPUT_NOT_WRITABLE: 2 images are called a ")
    assert str(folder / "other" / "a.png") in str(two.exception)
    assert json.loads((tmp_path / "out" / "a.json").read_text())["nuclei"] == 0


def test_a_slide_without_tissue_has_no_nuclei_and_no_density(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.cli.he.LARGEST_PICTURE_PX", 0)  # every picture is a slide
    cv2.imwrite(str(tmp_path / "bare.png"), np.full((600, 600, 3), 244, np.uint8))
    done = told(str(tmp_path / "bare.png"), "--mpp", "0.25", "--out", str(tmp_path / "out"))
    assert (done.return_value, done.stderr) == (0, "")
    said = json.loads((tmp_path / "out" / "bare.json").read_text())
    assert (said["nuclei"], set(said["per_mm2"].values())) == (0, {None})
    assert json.loads((tmp_path / "out" / "bare.geojson").read_text())["features"] == []
