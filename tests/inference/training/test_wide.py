"""Training material for other organs and scanners: it keeps shape and kind, repeats itself, and its truth lies where it
says.
"""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.training import data, groups, wide
from inference.training.augment import WIDE, disturbed
from inference.training.recoloured import consep_as_ihc, painted, recoloured
from inference.training.rendered import SIDE, rendered
from tests.inference.training.made_tiles import made_tile


@pytest.mark.parametrize("seed", range(4))
def test_a_widely_changed_picture_keeps_shape_and_kind_and_repeats_itself(seed: int) -> None:
    image = made_tile(seed).image
    every = {f"{n}_share": 1.0 for n in ("hollow", "browned", "veil", "cast", "gamma", "vignette")}
    always = replace(WIDE, wide=wide.Wide(**every))
    first, again = (disturbed(image, always, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, image)


def test_a_hollow_nucleus_is_paler_in_its_middle_than_at_its_rim() -> None:
    disc = np.full((40, 40, 3), 240, np.uint8)
    cv2.circle(disc, (20, 20), 10, (90, 90, 160), -1)
    density = wide.hollowed(wide.densities(disc), 0.7, 4.0).sum(axis=2)
    assert density[20, 20] < 0.8 * density[20, 12]
    assert density[20, 20] > density[2, 2]


def test_browning_turns_blue_to_brown_and_leaves_glass() -> None:
    picture = np.full((4, 8, 3), 250, np.uint8)
    picture[:, 4:] = (90, 90, 160)
    changed = wide.pixels(wide.browned(wide.densities(picture), 1.6, np.ones((4, 8), np.float32)))
    assert np.abs(changed[:, :4].astype(int) - 250).max() < 10
    assert (changed[:, 4:, 0] > changed[:, 4:, 2]).all()


def test_a_vignette_takes_no_more_light_than_it_says() -> None:
    gain = wide.vignette((30, 50), 0.3, np.random.default_rng(1))
    assert gain.max() <= 1
    assert gain.min() == pytest.approx(0.7)


@pytest.mark.parametrize("um", [(4.0, 6.0), (10.0, 16.0)])
def test_invented_nuclei_have_their_size_and_lie_under_their_keypoints(um: tuple[float, float]) -> None:
    tiles = [rendered(seed, um) for seed in range(3)]
    assert all(
        np.array_equal(a.image, b.image) for a, b in zip(tiles, (rendered(s, um) for s in range(3)), strict=True)
    )
    assert all(t.image.shape == (SIDE, SIDE, 3) and not t.compartments for t in tiles)
    darker = []
    for tile in tiles:
        grey = tile.image.mean(axis=2)
        x, y = np.rint(tile.points.xy).astype(int).T.clip(0, SIDE - 1)
        darker.append(np.median(grey) - np.median(grey[y, x]))
    assert np.mean(darker) > 5
    apart = [
        np.sort(np.linalg.norm(t.points.xy[:, None] - t.points.xy[None], axis=2), axis=1)[:, 1].min() for t in tiles
    ]
    assert min(apart) > 2 * um[0] * 0.7  # no two nearer than the smallest diameter, in px, allows


def test_compartments_that_mean_nothing_arent_learnt() -> None:
    tile = rendered(5)
    crop = data.sample(tile, tile, replace(WIDE, mosaic=0.0), np.random.default_rng(2))
    assert crop.target[0].max() == 1
    assert not crop.target[2].any()
    assert not crop.target[6].any()


def test_dab_is_painted_into_nuclei_only_and_not_into_all() -> None:
    instance = np.zeros((60, 60), np.int32)
    for i in range(9):
        instance[20 * (i // 3) + 6 : 20 * (i // 3) + 14, 20 * (i % 3) + 6 : 20 * (i % 3) + 14] = i + 1
    blue = np.where(instance > 0, 0.5, 0.02).astype(np.float32)
    planes = [painted(blue, instance, np.random.default_rng(s)) for s in range(6)]
    for plane in planes:
        assert plane[0, 0] == pytest.approx(0, abs=0.02)
        assert plane[instance > 0].mean() > 5 * plane[instance == 0].mean()
    assert any(p[10, 10] < 0.02 for p in planes)
    assert any(p[10, 10] > 0.1 for p in planes)


def test_an_he_tile_made_ihc_keeps_its_keypoints_at_both_zooms(tmp_path: Path) -> None:
    picture = np.full((80, 80, 3), (235, 190, 215), np.uint8)
    instance, kind = np.zeros((80, 80), np.int32), np.zeros((80, 80), np.uint8)
    for i, (x, y, k) in enumerate(((20, 20, 4), (60, 40, 2)), start=1):
        cv2.circle(picture, (x, y), 8, (110, 70, 150), -1)
        cv2.circle(instance, (x, y), 8, i, -1)
        cv2.circle(kind, (x, y), 8, k, -1)
    cv2.imwrite(str(tmp_path / "train_1.png"), picture[..., ::-1])
    np.savez(tmp_path / "train_1.npz", inst_map=instance, type_map=kind)
    small, large = consep_as_ihc(tmp_path, (1.0, 1.5))
    assert small.image.shape == (40, 40, 3)
    assert large.image.shape == (60, 60, 3)
    assert small.points.label.tolist() == large.points.label.tolist() == [1, 0]
    for tile in (small, large):
        for x, y in np.rint(tile.points.xy).astype(int):
            assert tile.image[y, x].mean() < np.median(tile.image.mean(axis=2)) - 10
    assert recoloured(picture, instance, np.random.default_rng(1)).shape == picture.shape


def test_each_tile_validates_in_one_fold() -> None:
    kept = json.loads(groups.GROUPS_FILE.read_text())
    for name, tiles in (("endonuke", 229), ("consep", 27)):
        names = [n for fold in kept[name] for n in fold]
        assert len(names) == len(set(names)) == tiles


def test_neighbours_stay_in_one_group_and_folds_share_the_nuclei() -> None:
    tiles = [replace(made_tile(i), name=str(n)) for i, n in enumerate((1, 2, 3, 50, 51, 100, 150, 200, 250))]
    found = groups.grouped(tiles)
    assert sorted(i for g in found for i in g) == list(range(9))
    assert any({0, 1, 2} <= set(g) for g in found)
    assert any({3, 4} <= set(g) for g in found)
    names = groups.folds(tiles, found, 3)
    assert sorted((n for fold in names for n in fold), key=int) == [t.name for t in tiles]
    assert all(names)
