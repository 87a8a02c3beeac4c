"""H&E tiles for training: what is read, where crops come from, and what the network shall answer."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

from inference.training.augment import STRONG
from inference.training.he import data
from inference.training.he.targets import distances, evenness
from tests.inference.training.he.made import lay_tiles

STILL = replace(
    STRONG, stain_share=0, hue_share=0, blur_share=0, jpeg_share=0, gamma_share=0, white_balance_share=0,
    noise_share=0, brightness=(1.0, 1.0), scale=(1.0, 1.0),
)  # fmt: skip


def test_distances_run_from_minus_one_to_one_across_each_nucleus() -> None:
    labels = np.zeros((9, 14), np.int32)
    labels[2:5, 1:6], labels[2:5, 6:9] = 7, 3
    across, down = distances(labels)
    np.testing.assert_allclose(across[3, 1:6], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_allclose(across[3, 6:9], [-1, 0, 1])
    np.testing.assert_allclose(down[2:5, 4], [-1, 0, 1])
    assert not across[labels == 0].any()


def test_each_side_is_scaled_to_its_own_extent() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[1:5, 1:3], labels[1, 3:7] = 1, 1  # an L: its centre of mass lies left of its middle
    across = distances(labels)[0]
    assert (across[1, 1], across[1, 6]) == (-1, 1)
    assert 0 < across[1, 3] < 0.5


def test_no_nucleus_no_distance() -> None:
    assert not distances(np.zeros((4, 4), np.int32)).any()


def test_small_nuclei_weigh_more_a_pixel_and_less_in_all() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[:10, :20], labels[20:25, :10] = 1, 2
    weight = evenness(labels)
    assert weight[0, 0] == 1 < weight[20, 0]
    assert weight[labels == 2].sum() < weight[labels == 1].sum()
    assert not weight[labels == 0].any()


def test_tiles_are_read_with_ids_in_a_row_and_four_kinds(tmp_path: Path) -> None:
    tile = lay_tiles(tmp_path)[0]
    maps = np.load(tmp_path / "train_1.npz")
    assert np.array_equal(np.unique(tile.labels), np.arange(len(tile.centre) + 1))
    assert np.array_equal(tile.labels > 0, maps["inst_map"] > 0)
    x, y = np.round(tile.centre).astype(int).T
    assert (tile.labels[y, x] == np.arange(1, len(x) + 1)).mean() > 0.9
    assert set(tile.centre_kind) == {0, 1, 2, 3}
    assert np.array_equal(
        data.KIND_OF_TYPE[maps["type_map"][maps["type_map"] == 6]], [4] * (maps["type_map"] == 6).sum()
    )


def test_a_folder_without_tiles_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no train_N\.png in"):
        data.consep(tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_targets_lie_on_the_nuclei_of_a_turned_crop(tmp_path: Path, seed: int) -> None:
    crop = data.sample(lay_tiles(tmp_path), STILL, 1.0, np.random.default_rng(seed))
    nucleus, across, down, kind, weight = crop.target
    dark = crop.image.sum(axis=2) < 550
    inside = crop.inside > 0
    assert (dark[inside] == (nucleus[inside] > 0)).mean() > 0.98
    assert np.array_equal(kind >= 0, nucleus > 0)
    assert np.array_equal(weight > 0, nucleus > 0)
    assert max(np.abs(across).max(), np.abs(down).max()) <= 1


def test_folds_hold_large_nuclei_mucosa_and_debris_once() -> None:
    folds = json.loads(data.FOLDS_FILE.read_text())["folds"]
    names = [name for fold in folds for name in fold]
    assert len(names) == len(set(names))
    for wanted in ({"train_6", "train_10", "train_20"}, {"train_7", "train_8", "train_14"}):
        assert all(wanted & set(fold) for fold in folds)


def test_split_leaves_a_fold_out(tmp_path: Path) -> None:
    tiles = lay_tiles(tmp_path, range(5, 10))
    training, held = data.split(tiles, 0)
    assert [t.name for t in held] == ["train_5", "train_8"]
    assert len(training) == 3
