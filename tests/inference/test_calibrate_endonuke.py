"""Calibration on real tiles grouped into slides, graded by hidden thresholds with noise: left out, they err little."""

from pathlib import Path

import numpy as np
import pytest

from inference.analyze import find_cells
from inference.analyzers.nuclear import NUCLEAR
from inference.calibrate import calibrate
from inference.calibration.fit import Objective, Settings
from inference.calibration.sample import Annotated, Sample, graded_sample
from inference.engines.factory import make_engine
from inference.evaluation.metric import EPITHELIUM
from inference.grade import HueValueThresholds, grades_by_hue_value
from inference.picture import PictureSlide
from inference.stain import hue_value_density, mean_rgb
from server.cli.evaluate import read_labels, read_picture

TILES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "endonuke"
HIDDEN = HueValueThresholds(hue=110, left=80, right=120)
SLIDES, NOISE = 8, 0.05

pytestmark = pytest.mark.skipif(not TILES.is_dir(), reason="the annotated tiles (../shared/data/endonuke) are not here")


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Every second tile: a tile is a region."""
    engine, random = make_engine("local", model="ihc_tile"), np.random.default_rng(0)
    made = []
    for i, path in enumerate(sorted((TILES / "images").glob("*.png"))[::2]):
        picture, points = read_picture(path), read_labels(TILES / "labels" / f"{path.stem}.txt")
        hue, value, _ = hue_value_density(mean_rgb(picture, points.xy[:, 0], points.xy[:, 1]))
        right = grades_by_hue_value(hue, value, HIDDEN).astype(np.int64)
        step = np.where(random.random(len(right)) < NOISE, random.choice([-1, 1], len(right)), 0)
        grade = (right + step).clip(0, 3).astype(np.uint8)
        marks = Annotated(xy=points.xy, compartment=(points.label == EPITHELIUM).astype(np.int64), grade=grade)
        slide = PictureSlide(picture, engine.model.resolution, mpp=0.5)
        cells = find_cells(slide, engine, NUCLEAR, engine.model.counting_threshold)
        made.append(graded_sample(f"slide {i % SLIDES}", path.name, cells, marks, mpp=0.5))
    return made


@pytest.mark.parametrize("by", list(Objective))
def test_the_mean_error_on_slides_left_out_is_below_eight(samples: list[Sample], by: Objective) -> None:
    found = calibrate(samples, Settings(by=by, draws=5))
    assert found.slides == SLIDES
    assert found.chosen.mean_error is not None
    assert found.chosen.mean_error < 8
    assert found.kappa is not None
    assert found.kappa > 0.8
