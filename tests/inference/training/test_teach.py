"""Teachers' answers to whole tiles follow the crop; a network can be had back from its graph."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.training import data
from inference.training.augment import STRONG, Image
from inference.training.export import write
from inference.training.from_graph import from_graph
from inference.training.graphs import DETECTION_OUTPUTS, Detection
from inference.training.model import NucleusNet
from inference.training.peaks import Calibration
from inference.training.recipe import Recipe
from inference.training.stress import Found, Set, figures, of_graph, of_network
from inference.training.teach import over_scales, taught
from inference.training.train import Material, train
from tests.inference.training.made_tiles import made_tile


def network(seed: int = 4) -> NucleusNet:
    torch.manual_seed(seed)
    return NucleusNet().eval()


def test_an_answer_turns_and_grows_with_its_crop() -> None:
    tile = made_tile(3)
    blank = data.target(tile.points.xy, tile.points.label, np.ones(tile.image.shape[:2], np.uint8))
    tile = replace(tile, answer=blank[:2])  # the annotations themselves for an answer
    for seed in range(4):
        crop = data.sample(tile, tile, replace(STRONG, mosaic=0.0, scale=(0.9, 1.2)), np.random.default_rng(seed))
        inner = np.zeros(crop.target.shape[1:], bool)
        inner[6:-6, 6:-6] = True
        peaks = (crop.target[0] >= 0.999) & (crop.target[3] > 0) & inner
        assert peaks.any()
        assert crop.target[4][peaks].mean() > 0.75
        assert np.array_equal(crop.target[6], crop.target[3])


def test_taught_tiles_change_what_is_learnt_and_carry_maps_of_half_their_size(tmp_path: Path) -> None:
    tiles = taught([made_tile(i) for i in range(2)], [network()])
    answer = tiles[0].answer
    assert answer is not None
    assert answer.shape == (2, 100, 100)
    recipe = Recipe(steps=1, batch=2, distil=0.5)
    losses = []
    for name, material in (("with", tiles), ("without", [made_tile(i) for i in range(2)])):
        losses += train(network(), recipe, Material(training=material, validation=()), tmp_path / name)
    assert losses[0] != losses[1]


def test_one_scale_is_what_the_mean_over_scales_is_without_others() -> None:
    image = made_tile(2).image
    net = network()
    with torch.no_grad():
        mean = over_scales(net, image, coarser=(1.0,))
        alone = over_scales(net, image, coarser=())
    assert torch.allclose(mean.sigmoid(), alone.sigmoid(), atol=1e-3)
    assert over_scales(net, image).shape == alone.shape


def test_a_network_comes_back_from_its_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.training.from_graph.CROPS", 32)
    net = network(7)
    write(
        Detection(net, Calibration()).eval(),
        (torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8),),
        tmp_path / "g.onnx",
        ["tiles"],
        DETECTION_OUTPUTS,
        {"tiles": {0: "batch", 1: "height", 2: "width"}},
    )
    back = from_graph(tmp_path / "g.onnx", [made_tile(i) for i in range(2)])
    x = torch.from_numpy(made_tile(5).image[:192, :192]).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        assert torch.allclose(back(x), net(x), atol=1e-3)


def test_figures_of_a_perfect_answer_are_perfect() -> None:
    tiles = [made_tile(i) for i in range(2)]

    def find(image: Image) -> Found:
        points = next(t.points for t in tiles if t.image is image)
        return points, points.confidence

    done = figures(Set(name="made", tiles=tiles), find, 0.9)
    assert done.f1 == done.best_f1 == 1
    assert done.bias == 0
    assert done.epithelium == pytest.approx(1)


def test_a_graph_finds_what_its_network_does(tmp_path: Path) -> None:
    net, calibration = network(3), Calibration(nucleus_slope=2.0)
    write(
        Detection(net, calibration).eval(),
        (torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8),),
        tmp_path / "g.onnx",
        ["tiles"],
        DETECTION_OUTPUTS,
        {"tiles": {0: "batch", 1: "height", 2: "width"}},
    )
    image = made_tile(1).image
    (points, nucleus), (same, again) = of_network(net, calibration)(image), of_graph(tmp_path / "g.onnx")(image)
    n = min(len(nucleus), 50)
    assert n > 0
    assert np.allclose(nucleus[:n], again[:n], atol=1e-4)
    assert np.allclose(points.xy[:n], same.xy[:n], atol=0.1)
