"""`chromogen score --dicom`: the objects, and which picture of a slide is scored where it holds several."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import highdicom as hd
import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate

from inference.draw import draw_slide
from inference.errors import Refused
from inference.geometry import Size
from server.cli.score import score
from server.demo.slide_header import SlideIdentity
from server.report import codes
from server.slides.slide_writer import JpegFrames, write_dicom_slide

SIDE = 1024
WEAK, STRONG = 60, 260
VALIDATOR = shutil.which("dciodvfy")
ALLOWED = "Only valid for AnnotationCoordinateType of 3D"


def drawing(h_score: float) -> JpegFrames:
    return JpegFrames(draw_slide(size=Size(width=SIDE, height=SIDE), seed=4, h_score=h_score))


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects")
    write_dicom_slide(folder, drawing(150), mpp=0.5, identity=SlideIdentity(key="objects"))
    return folder


def scored(*arguments: object) -> dict[str, Any]:
    """What `--json` prints. Raises Refused."""
    done = CliRunner().invoke(score, [*map(str, arguments), "--json"], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def out(slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    scored(slide, "--out", folder, "--dicom")
    return folder


def test_the_objects_stand_beside_the_other_files(out: Path) -> None:
    names = {
        "result.json",
        "nuclei.parquet",
        "nuclei.geojson",
        "overlay.png",
        "sr.dcm",
        "ann.dcm",
        "seg.dcm",
        "map.dcm",
    }
    assert {path.name for path in out.iterdir()} == names


@pytest.mark.peer
@pytest.mark.parametrize("name", ["sr", "ann", "seg"])
def test_a_validator_finds_no_error_in_them(out: Path, name: str) -> None:
    if VALIDATOR is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    said = subprocess.run([VALIDATOR, out / f"{name}.dcm"], capture_output=True, text=True, check=False).stderr
    assert said
    assert [line for line in said.splitlines() if line.startswith("Error") and ALLOWED not in line] == []


def test_the_sr_holds_the_score_the_tissue_and_the_image(out: Path, slide: Path) -> None:
    report, result = hd.sr.srread(out / "sr.dcm"), json.loads((out / "result.json").read_text())
    measured = [m for g in report.content.get_image_measurement_groups() for m in g.get_measurements()]
    said = {m.name.value: m.value for m in measured}
    assert said[codes.AREA.value] == pytest.approx(result["tissue_mm2"] * 1e6, abs=50)
    assert result["compartments"]["all"]["h_score"] in [m.value for m in measured]
    base = dcmread(slide / "level-0.dcm", stop_before_pixels=True)
    (library,) = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "111028"]
    (group,) = library.ContentSequence
    uids = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in group.ContentSequence]
    assert uids == [base.SOPInstanceUID]


def test_the_map_has_the_geometry_of_a_level(out: Path, slide: Path) -> None:
    seg = hd.seg.segread(out / "seg.dcm")
    levels = [dcmread(path, stop_before_pixels=True) for path in sorted(slide.glob("level-*.dcm"))]
    coarsest = levels[-1]
    size = (seg.TotalPixelMatrixColumns, seg.TotalPixelMatrixRows)
    assert size == (coarsest.TotalPixelMatrixColumns, coarsest.TotalPixelMatrixRows)
    (measures,) = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    (expected,) = coarsest.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert list(measures.PixelSpacing) == pytest.approx(list(expected.PixelSpacing))


def test_each_group_of_annotations_has_a_colour_of_its_own_grade(out: Path) -> None:
    groups = dcmread(out / "ann.dcm").AnnotationGroupSequence
    colours = {group.AnnotationGroupLabel: tuple(group.RecommendedDisplayCIELabValue) for group in groups}
    assert len({colour for label, colour in colours.items() if label.startswith("epithelium")}) > 1


def test_what_is_no_dicom_slide_is_refused_before_it_is_scored(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "white.png"), np.full((64, 64, 3), 255, np.uint8))
    with pytest.raises(Refused, match="no DICOM slide"):
        scored(tmp_path / "white.png", "--mpp", "0.5", "--out", tmp_path / "out", "--dicom")
    assert not (tmp_path / "out").exists()


def test_objects_without_a_folder_are_a_mistake(slide: Path) -> None:
    done = CliRunner().invoke(score, [str(slide), "--dicom"])
    assert done.exit_code == 2
    assert "--out" in done.stderr


# Of two pictures in one series or file, the weak one comes first.


def h_score(found: dict[str, Any]) -> float:
    return float(found["compartments"]["all"]["h_score"])


def frames(h_score: float) -> list[bytes]:
    return [frame for row in drawing(h_score).rows() for frame in row]


def written(folder: Path, header: Dataset, encoded: Sequence[bytes], name: str) -> None:
    header.PixelData, header.NumberOfFrames = encapsulate(list(encoded)), len(encoded)
    header.save_as(folder / name, enforce_file_format=True)


@pytest.fixture
def header(slide: Path) -> Dataset:
    return dcmread(slide / "level-0.dcm")


def test_a_pyramid_is_chosen_by_its_number(tmp_path: Path, header: Dataset) -> None:
    for k, strength in enumerate((WEAK, STRONG), 1):
        header.SOPInstanceUID, header.PyramidUID = f"2.25.{k}", f"2.25.10{k}"
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.TotalPixelMatrixOriginSequence[0].YOffsetInSlideCoordinateSystem = 40.0 - 5 * k
        written(tmp_path, header, frames(strength), f"{k}.dcm")
    with pytest.raises(Refused, match="name one by --pyramid") as refused:
        scored(tmp_path)
    assert "1: 1024 x 1024 px of 0.5 µm" in refused.value.message
    weak, strong = (h_score(scored(tmp_path, "--pyramid", name)) for name in ("1", "2.25.102"))
    assert weak + 100 < strong
    with pytest.raises(Refused, match="has no pyramid '3'"):
        scored(tmp_path, "--pyramid", "3")


def test_an_optical_path_is_chosen_by_its_name(tmp_path: Path, header: Dataset) -> None:
    second = deepcopy(header.OpticalPathSequence[0])
    second.OpticalPathIdentifier = "second"
    header.OpticalPathSequence.append(second)
    header.NumberOfOpticalPaths = 2
    written(tmp_path, header, [*frames(WEAK), *frames(STRONG)], "paths.dcm")
    weak, strong = scored(tmp_path), scored(tmp_path, "--optical-path", "second")
    assert h_score(weak) + 100 < h_score(strong)
    assert "SEVERAL_OPTICAL_PATHS" in weak["warnings"]
    with pytest.raises(Refused, match="has no optical path 'third': name one of 1, second"):
        scored(tmp_path, "--optical-path", "third")


def test_a_focal_plane_is_chosen_by_its_number(tmp_path: Path, header: Dataset) -> None:
    header.TotalPixelMatrixFocalPlanes = 2
    written(tmp_path, header, [*frames(WEAK), *frames(STRONG)], "planes.dcm")
    assert h_score(scored(tmp_path, "--focal-plane", "1")) + 100 < h_score(scored(tmp_path, "--focal-plane", "2"))
    with pytest.raises(Refused, match="has no focal plane 3: name one from 1 to 2"):
        scored(tmp_path, "--focal-plane", "3")


def test_views_are_only_of_dicom(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "p.png"), np.full((64, 64, 3), 255, np.uint8))
    with pytest.raises(Refused, match="can be named only of one"):
        scored(tmp_path / "p.png", "--mpp", "0.5", "--pyramid", "1")


def test_what_an_earlier_run_left_in_the_folder_goes_with_its_other_files(slide: Path, tmp_path: Path) -> None:
    for name in ("sr.dcm", "ann.dcm", "ann-2.dcm", "cells.parquet", "nuclei.geojson", "of_another.txt"):
        (tmp_path / name).write_text("of an earlier run")
    scored(slide, "--out", tmp_path, "--region", "0,0,256,256")
    names = {"result.json", "nuclei.parquet", "nuclei.geojson", "overlay.png", "of_another.txt"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (tmp_path / "nuclei.geojson").read_text() != "of an earlier run"
