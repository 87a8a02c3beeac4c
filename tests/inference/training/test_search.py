"""Suppression and fusion of peaks on cases worked out by hand; the comparison network and SimCLR on invented tiles."""

import numpy as np
import pytest
import torch

from inference.evaluation.metric import Points
from inference.training import comparison, simclr
from inference.training.model import NucleusNet, multiply_adds_per_pixel
from inference.training.recipe import Recipe
from inference.training.search import fused, suppressed
from inference.training.train import Material
from tests.inference.training.made_tiles import made_tile


def points(*rows: tuple[float, float, float]) -> Points:
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Points(xy=table[:, :2], label=np.zeros(len(table), np.int64), confidence=table[:, 2])


NEAR = points((0, 0, 0.6), (4, 0, 0.2), (20, 0, 0.5))


def test_the_weaker_of_two_near_peaks_is_suppressed() -> None:
    assert suppressed(NEAR, 5).xy.tolist() == [[0, 0], [20, 0]]
    assert suppressed(NEAR, 4).xy.tolist() == [[0, 0], [20, 0], [4, 0]]


def test_fused_peaks_lie_between_by_their_confidence() -> None:
    assert fused(NEAR, 5).xy.tolist() == [[pytest.approx(1.0), 0], [20, 0]]


def test_no_peaks_stay_no_peaks() -> None:
    assert len(suppressed(points(), 5).xy) == 0


def test_the_comparison_network_trains_and_answers_with_keypoints_inside_of_the_picture() -> None:
    torch.manual_seed(1)
    net = comparison.UNetPlusPlus((8, 16, 24, 32))
    material = Material(training=[made_tile(i) for i in range(2)], validation=[])
    assert comparison.train_for(net, Recipe(steps=50, batch=2), material, seconds=2) > 0
    p = comparison.predict(net, made_tile(3, side=90, nuclei=9).image)
    assert ((p.xy >= 0) & (p.xy < 90)).all()


def test_views_of_one_crop_that_look_alike_cost_less_than_views_mixed_up() -> None:
    codes = torch.eye(4)
    right = simclr.contrast(torch.cat([codes, codes]))
    wrong = simclr.contrast(torch.cat([codes, codes.roll(1, dims=0)]))
    assert float(right) < float(wrong)


def test_glass_is_left_out_of_pre_training_and_tissue_isnt() -> None:
    assert simclr.empty(np.full((96, 96, 3), 240, np.uint8))
    assert not simclr.empty(made_tile(1).image[:96, :96])


def test_pre_training_runs_and_only_the_encoder_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simclr, "PAIRS", 4)
    torch.manual_seed(1)
    net = NucleusNet((8, 8, 8, 8, 8))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    losses = simclr.pretrain(net, [made_tile(i) for i in range(3)], 2, seed=1)
    moved = {
        k.split(".")[0] for k, v in net.state_dict().items() if v.is_floating_point() and not torch.equal(v, before[k])
    }
    assert len(losses) == 2
    assert moved == {"down", "encode"}


def test_the_shipped_shape_keeps_within_the_arithmetic_that_was_agreed() -> None:
    # 1.5e11 multiply-adds for a square millimetre of tissue, the halo of a production tile (960 + 2 x 32 px) counted
    assert multiply_adds_per_pixel(NucleusNet()) * 4e6 * (1024 / 960) ** 2 < 1.5e11
