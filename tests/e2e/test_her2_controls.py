"""A slide of a pale laboratory with four control cores, by the profile that ships: the cores tell the density scale."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inference.assay import assay_of
from inference.draw.her2 import Core, Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.engines.local import LocalEngine
from inference.errors import Reason, Refused
from inference.model import read_model, shipped_models
from inference.picture import PictureSlide
from inference.slide import Rgb
from server.cli.drawn import control_cores
from server.cli.main import chromogen
from server.control_gate import gate_of, profile_under
from server.domain.profile import built_in
from server.scoring import score_slide

MPP, SIDE_UM, RADIUS_UM = 0.5, 760.0, 105.0
PALE = 0.45
"""Of the true density: a 3+ that is measured without a scale is found 2+."""
CASE = {"none": 0.3, "moderate_complete": 0.2, "intense_complete": 0.5}
CORES = {
    "0": {"none": 1.0},
    "1+": {"none": 0.4, "faint_incomplete": 0.6},
    "2+": {"none": 0.3, "faint_incomplete": 0.2, "moderate_complete": 0.5},
    "3+": {"none": 0.1, "moderate_complete": 0.2, "intense_complete": 0.7},
}
CENTRES = {name: (125.0 + 170 * i, 125.0) for i, name in enumerate(CORES)}


@pytest.fixture(scope="module")
def pixels() -> Rgb:
    cores = [
        Core(name=name, x_um=x, y_um=y, radius_um=RADIUS_UM - 30, mix=CORES[name]) for name, (x, y) in CENTRES.items()
    ]
    plan = Plan(side_um=SIDE_UM, mix=CASE, cell_um=13, cores=cores, tumour_share=0.75)
    return Her2Drawing(plan, Scanner(mpp=MPP, density_scale=PALE, noise=1.0), seed=31).pixels()


def regions(names: dict[str, str]) -> str:
    """Rings round the cores, each called what `names` says, and the tumour below them."""
    turn = np.linspace(0, 2 * np.pi, 33)
    rings = {
        f"control {names[name]}": [[(x + 80 * np.cos(a)) / MPP, (y + 80 * np.sin(a)) / MPP] for a in turn]
        for name, (x, y) in CENTRES.items()
        if name in names
    }
    return json.dumps({"type": "FeatureCollection", "features": [feature(*named) for named in rings.items()]})


def feature(name: str, ring: list[list[float]]) -> dict[str, object]:
    shape = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"classification": {"name": name}}, "geometry": shape}


def scored(pixels: Rgb, folder: Path, names: dict[str, str]) -> Result:
    cv2.imwrite(str(folder / "s.png"), pixels[..., ::-1])
    (folder / "c.geojson").write_text(regions(names))
    files = [str(folder / "s.png"), "--control-file", str(folder / "c.geojson")]
    return CliRunner().invoke(chromogen, ["score", *files, "--mpp", str(MPP), "--marker", "HER2", "--json"])


def test_four_cores_tell_the_scale_that_the_case_is_scored_by(pixels: Rgb, tmp_path: Path) -> None:
    done = scored(pixels, tmp_path, {name: name for name in CORES})
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["control"]["status"] == "passed"
    assert [core["found"] for core in said["control"]["cores"]] == list(CORES)
    assert said["scores"][0]["category"] == "3+"
    assert 1.3 < said["thresholds"]["od_scale"] < 3.2
    assert "SCALE_BY_CONTROLS" in said["warnings"]
    assert "SCALE_UNKNOWN" not in said["warnings"]


@pytest.mark.parametrize("names", [{"3+": "3+"}, {"3+": "3+", "0": "0"}])
def test_fewer_cores_judge_and_tell_no_scale(pixels: Rgb, tmp_path: Path, names: dict[str, str]) -> None:
    done = scored(pixels, tmp_path, names)
    assert isinstance(done.exception, Refused)
    assert done.exception.reason is Reason.CONTROL_FAILED
    said = json.loads(done.stdout)
    assert (said["control"]["status"], said["scores"], said["thresholds"]["od_scale"]) == ("failed", [], 1.0)


def test_cores_in_another_order_fail_at_any_scale(pixels: Rgb, tmp_path: Path) -> None:
    done = scored(pixels, tmp_path, dict(zip(CORES, reversed(CORES), strict=True)))
    assert isinstance(done.exception, Refused)
    assert done.exception.reason is Reason.CONTROL_FAILED
    said = json.loads(done.stdout)
    assert (said["control"]["status"], said["scores"]) == ("failed", [])


def test_a_laboratorys_own_profile_is_judged_by_its_cores_and_not_changed(pixels: Rgb, tmp_path: Path) -> None:
    """And a result that is scored anew by the profile that ships has its cores' scale again."""
    assay = assay_of("HER2")
    engine = LocalEngine(read_model(shipped_models(), assay.model))
    (tmp_path / "c.geojson").write_text(regions({name: name for name in CORES}))
    slide = PictureSlide(pixels, engine.model.resolution, mpp=MPP)
    cores = control_cores(tmp_path / "c.geojson", assay, slide.facts.size)
    own = replace(built_in(assay), name="own")
    shipped = built_in(assay)
    result = score_slide(
        slide, engine, assay, shipped, tmp_path, gate=lambda slide: gate_of(slide, engine, shipped, cores, assay)
    )
    assert profile_under(result, shipped) == result.profile != shipped
    assert profile_under(result, own) == own
