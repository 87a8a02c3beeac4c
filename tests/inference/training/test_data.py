"""Crops and targets: where a keypoint is in the tile, its Gaussian is in the target."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.training import data
from inference.training.augment import STRONG, disturbed, restained
from tests.inference.training.made_tiles import made_tile

STILL = replace(
    STRONG,
    stain_share=0,
    hue_share=0,
    blur_share=0,
    jpeg_share=0,
    gamma_share=0,
    white_balance_share=0,
    noise_share=0,
    brightness=(1.0, 1.0),
)


@pytest.mark.parametrize("seed", range(6))
def test_a_nucleus_lies_under_each_peak_of_a_turned_and_scaled_crop(seed: int) -> None:
    crop = data.sample(made_tile(seed), made_tile(seed + 1), STILL, np.random.default_rng(seed))
    rows, columns = np.nonzero((crop.target[0] >= 0.999) & (crop.target[3] > 0))
    inner = (rows > 4) & (rows < 91) & (columns > 4) & (columns < 91)
    assert inner.any()
    dark = crop.image[rows[inner] * 2, columns[inner] * 2].astype(int).sum(axis=1) < 500
    assert dark.mean() > 0.9


def test_what_lies_outside_of_the_tile_doesnt_count() -> None:
    crop = data.sample(made_tile(1, side=100, nuclei=9), made_tile(1), STILL, np.random.default_rng(1))
    assert 0 < crop.target[3].mean() < 1


def test_a_mosaic_holds_both_tiles_and_leaves_out_their_seam() -> None:
    always = replace(STILL, mosaic=1.0, scale=(1.0, 1.0))
    crop = data.sample(made_tile(1), made_tile(2), always, np.random.default_rng(3))
    empty_columns = np.flatnonzero((crop.target[3] == 0).all(axis=0))
    assert len(empty_columns) == 2 * data.SEAM // 2


def test_staining_keeps_shape_and_kind_and_leaves_white_nearly_white() -> None:
    white = np.full((8, 8, 3), 255, np.uint8)
    changed = restained(white, replace(STRONG, stain_shift=0.0), np.random.default_rng(0))
    assert changed.dtype == np.uint8
    assert changed.min() > 250


def test_the_same_draw_gives_the_same_picture() -> None:
    image = made_tile(3).image
    assert np.array_equal(*(disturbed(image, STRONG, np.random.default_rng(4)) for _ in range(2)))


def test_class_other_counts_as_stroma_when_tiles_are_read(tmp_path: Path) -> None:
    folder = tmp_path
    for name in ("images", "labels"):
        (folder / name).mkdir()
    cv2.imwrite(str(folder / "images" / "1.png"), made_tile(1).image)
    (folder / "labels" / "1.txt").write_text("1 2 0\n3 4 1\n5 6 2\n")
    assert data.endonuke(folder)[0].points.label.tolist() == [0, 1, 0]
