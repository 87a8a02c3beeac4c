"""`chromogen inspect` says what it understood of every slide, also of one that it refuses."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from pydicom import dcmread

from inference.draw import draw_slide
from inference.errors import Reason, Refused
from inference.geometry import Size
from server.cli.inspect import inspect
from server.demo.slide_header import SlideIdentity
from server.slides.slide_writer import JpegFrames, write_dicom_slide

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
SIDE = 2048


def run(*arguments: object) -> Result:
    return CliRunner().invoke(inspect, [*map(str, arguments)], standalone_mode=False)


def said(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exception is None or isinstance(done.exception, Refused), done.exception
    found = dict(json.loads(done.stdout))
    assert (found["refused"] is None) == (done.exception is None)
    return found


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspected")
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=4, h_score=150)
    write_dicom_slide(folder, JpegFrames(drawing), mpp=0.25, identity=SlideIdentity(key="inspect"))
    label = dcmread(folder / "level-2.dcm")
    label.ImageType, label.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "LABEL", "NONE"], "2.25.3"
    label.file_meta.MediaStorageSOPInstanceUID = "2.25.3"
    label.save_as(folder / "label.dcm")
    return folder


def test_a_dicom_slide_is_told_image_by_image(slide: Path) -> None:
    found = said(slide)
    assert (found["format"], found["scanner"]) == ("DICOM folder", "chromogen drawn slide 0")
    kinds = {image["name"]: image["kind"] for image in found["images"]}
    assert kinds == {"label.dcm": "label", **{f"level-{k}.dcm": "level" for k in range(2)}, "level-2.dcm": "level"}
    base = next(image for image in found["images"] if image["name"] == "level-0.dcm")
    assert base["size"] == [SIDE, SIDE]
    assert base["spacing_um"] == pytest.approx([0.25, 0.25])
    assert base["origin_mm"] == [20.0, 40.0]
    assert (base["optical_paths"], base["focal_planes"]) == (["1"], 1)
    assert (base["colour"], base["reader"]) == ("YBR_FULL_422", "frame index")
    assert base["icc_sha256"]
    assert [level["mpp"] for level in found["slide"]["levels"]] == [0.25, 0.5, 1.0]
    assert found["read"] == {"level": 1, "decoded_at": "1/1", "resampled": False, "mpp": 0.5, "size": [1024, 1024]}


def test_the_text_says_the_same(slide: Path) -> None:
    text = run(slide).stdout
    assert "label in label.dcm" in text
    assert "read: level 1, decoded at 1/1: 1024 x 1024 px of 0.5 µm" in text
    assert "TEST-INVENTED" not in text + json.dumps(said(slide))


def test_a_thumbnail_shows_the_whole_slide(slide: Path, tmp_path: Path) -> None:
    run(slide, "--png", tmp_path / "t.png")
    picture = cv2.imread(str(tmp_path / "t.png"))
    assert picture.shape == (SIDE // 2, SIDE // 2, 3)
    assert picture.std() > 5


def test_what_is_refused_is_understood_as_far_as_it_goes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "bare.tif") as tiff:
        tiff.write(pixels[:300, :200], photometric="rgb", description="label", metadata=None)
        tiff.write(pixels, tile=(256, 256), photometric="rgb", metadata=None)
    done = run(tmp_path / "bare.tif", "--png", tmp_path / "t.png")
    assert isinstance(done.exception, Refused)
    assert done.exception.reason is Reason.NO_PIXEL_SIZE
    assert "label in page 0" in done.stdout
    assert "level in page 1: 800 x 600 px in frames of 256 x 256 px" in done.stdout
    assert cv2.imread(str(tmp_path / "t.png")).shape[:2] == (600, 800)
    assert said(tmp_path / "bare.tif", "--mpp", "0.5")["read"]["level"] == 0


@pytest.mark.parametrize("content", [b"", b"II*\0\x08\0\0\0\xff", b"\0" * 128 + b"DICM\xff\xff", b"nothing known"])
def test_damage_is_a_refusal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "slide").write_bytes(content)
    assert said(tmp_path / "slide")["refused"]["message"].startswith("slide ")
    with pytest.raises(Refused, match="isn't there"):
        raise run(tmp_path / "absent").exception  # type: ignore[misc]


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not there: it holds slides that aren't shipped")
def test_every_slide_that_went_wrong_once_is_told_of() -> None:
    for path in sorted(p for name in ("slides-failing", "slides") for p in (SHARED / name).iterdir()):
        found = said(path, *(("--mpp", "0.5") if path.suffix == ".png" else ()))
        assert found["images"] or path.suffix == ".png" or path.name == "broken.svs", path.name
        assert (found["read"] is None) != (found["refused"] is None), path.name
