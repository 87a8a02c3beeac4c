"""The H&E network that ships: what its manifest says, on pixels; int8 beside its float32 reference."""

import numpy as np
import pytest

from inference.analyzers.he_cells import SCHEMA
from inference.engines.local import LocalEngine
from inference.instances import PostProcess
from inference.model import FLOAT32, read_model, shipped_models
from inference.slide import Rgb

MODEL = read_model(shipped_models(), "he_nuclei")


@pytest.fixture(scope="module")
def tile() -> Rgb:
    """Purple discs of 16 px on pink, every 32 px."""
    y, x = np.mgrid[:256, :320] % 32 - 16
    inside = (x**2 + y**2 < 64)[..., None]
    noise = np.random.default_rng(1).integers(-12, 13, (256, 320, 3))
    return np.clip(np.where(inside, (96, 62, 140), (232, 190, 218)) + noise, 0, 255).astype(np.uint8)


def test_its_manifest_names_the_cells_and_numbers_that_are_read() -> None:
    assert MODEL.cells == f"{SCHEMA.name}/{SCHEMA.version}"
    assert PostProcess.read(MODEL.postprocess).least_px == MODEL.postprocess["least_px"]


def test_discs_are_nuclei_that_part_left_from_right_and_top_from_bottom(tile: Rgb) -> None:
    maps = LocalEngine(MODEL, threads=1).detect(tile[None], 0.0)[0].maps
    y, x = np.mgrid[:256, :320] % 32 - 16
    disc, ground = x**2 + y**2 < 36, x**2 + y**2 > 144
    assert maps["nucleus"][disc].mean() > 100 > 60 > maps["nucleus"][ground].mean()
    across, down = maps["distance"]
    assert across[disc & (x < -3)].mean() < -20 < 20 < across[disc & (x > 3)].mean()
    assert down[disc & (y < -3)].mean() < -20 < 20 < down[disc & (y > 3)].mean()


def test_int8_stays_near_its_reference(tile: Rgb) -> None:
    ours, exact = (LocalEngine(MODEL, threads=1, version=v).detect(tile[None], 0.0)[0].maps for v in ("1", FLOAT32))
    for name, most in (("nucleus", 6), ("distance", 6), ("kind", 8)):
        assert np.abs(ours[name].astype(float) - exact[name].astype(float)).mean() < most


def test_a_batch_changes_nothing(tile: Rgb) -> None:
    engine = LocalEngine(MODEL, threads=1)
    alone, both = engine.detect(tile[None], 0.0)[0].maps, engine.detect(np.stack([tile[::-1], tile]), 0.0)[1].maps
    assert all(np.array_equal(alone[name], both[name]) for name in alone)
