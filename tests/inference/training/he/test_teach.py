"""What a teacher answers of a tile lies on its crops however they are turned, and is what a taught network comes to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

import torch

from inference.instances import Maps
from inference.training.augment import Image
from inference.training.he import data
from inference.training.he.loss import Weights, costs, loss_of
from inference.training.he.targets import distances
from inference.training.he.teach import taught
from tests.inference.he_maps import perfect_maps
from tests.inference.training.he.made import lay_tiles
from tests.inference.training.he.test_data import STILL


def perfect(tile: data.Tile) -> data.Tile:
    """The tile with what is annotated as its teacher's answer."""
    kinds = np.stack([tile.kind == i + 1 for i in range(4)])
    planes = [tile.labels[None] > 0, distances(tile.labels), kinds]
    return replace(tile, answer=np.concatenate(planes).astype(np.float32))


def test_an_answer_lies_on_its_crop_and_distances_are_known_of_right_angles_alone(tmp_path: Path) -> None:
    tiles = [perfect(tile) for tile in lay_tiles(tmp_path, range(1, 2))]
    off: list[float] = []  # of the crops turned by right angles
    for seed in range(12):
        crop = data.sample(tiles, STILL, 0.0, np.random.default_rng(seed), 256)
        nucleus, across, down, *kinds, straight = crop.answer
        whole = np.zeros_like(crop.inside, bool)  # a nucleus that the tile's side cuts has another extent in the crop
        whole[24:-24, 24:-24] = (crop.inside[24:-24, 24:-24] > 0) & (nucleus[24:-24, 24:-24] > 0.99)
        assert (np.abs(nucleus - crop.target[0])[crop.inside > 0] < 0.6).mean() > 0.98
        assert (np.argmax(kinds, axis=0) == crop.target[3])[whole].sum() >= 0.99 * whole.sum()  # but where two touch
        assert straight.min() == straight.max()
        errors = [np.abs(found - crop.target[1 + i])[whole] for i, found in enumerate((across, down))]
        off += [float(np.quantile(np.concatenate(errors), 0.98))] if straight.all() else []
    assert 3 <= len(off) <= 9
    assert max(off) < 0.15  # half a pixel of the smallest nucleus


def test_several_teachers_answer_by_their_mean_over_all_turns(tmp_path: Path) -> None:
    tile = lay_tiles(tmp_path, range(1, 2))[0]

    def sure(image: Image) -> Maps:
        dark = (image.sum(axis=2) < 550).astype(np.int32)
        return perfect_maps(dark, np.zeros_like(dark))

    def blind(image: Image) -> Maps:
        return perfect_maps(np.zeros(image.shape[:2], np.int32), np.zeros(image.shape[:2], np.int32))

    answer = taught([tile], [sure, blind])[0].answer
    assert answer is not None
    assert answer.shape == (7, *tile.labels.shape)
    np.testing.assert_allclose(answer[0], 0.5 * (tile.image.sum(axis=2) < 550), atol=0.01)
    assert np.abs(answer[1:3]).max() <= 1


def test_the_teachers_share_of_the_loss_is_least_where_its_answer_is_given() -> None:
    random = torch.Generator().manual_seed(1)
    target = torch.zeros(1, 5, 8, 8)
    target[:, 3] = -1  # nothing is annotated
    inside = torch.ones(1, 8, 8)
    answer = torch.rand(1, 8, 8, 8, generator=random)
    answer[:, 3:7] /= answer[:, 3:7].sum(dim=1, keepdim=True)
    answer[:, 7] = 1
    same = torch.cat([answer[:, :1].logit(), answer[:, 1:3], answer[:, 3:7].log()], dim=1)
    off = same + 0.5 * torch.randn(same.shape, generator=random)
    all_of_it, none = Weights(taught=1.0, overlap=0, cost=0), Weights(overlap=0, cost=0)
    matrix = costs(np.array([1, 1, 1, 1]))
    near, far = (loss_of(maps, target, inside, answer, matrix, all_of_it) for maps in (same, off))
    assert near["distance"] == near["gradient"] == 0
    assert all(near[name] < far[name] for name in ("nucleus", "distance", "gradient", "kind"))
    crooked = answer.clone()
    crooked[:, 7] = 0
    assert loss_of(off, target, inside, crooked, matrix, all_of_it)["distance"] == 0
    untaught = loss_of(off, target, inside, answer, matrix, none)
    half = loss_of(off, target, inside, answer, matrix, replace(all_of_it, taught=0.5))
    for name, part in half.items():
        torch.testing.assert_close(part, (untaught[name] + far[name]) / 2)
