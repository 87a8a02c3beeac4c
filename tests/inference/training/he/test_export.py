"""The H&E graph does what its manifest says: bytes in, bytes out, the same as the network, whatever the tile's size."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

import torch

from inference.engines.local import LocalEngine
from inference.model import FLOAT32, Model, read_model
from inference.slide import Rgb
from inference.training.he import data, export
from inference.training.he.model import HeNet, network
from inference.training.he.recipe import Recipe
from inference.training.he.train import begin, save
from tests.inference.training.he.made import lay_tiles

CHECKPOINT = "run.pt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a network of random weights whose attention takes part, and its checkpoint."""
    folder = tmp_path_factory.mktemp("he")
    state = begin("shared", Recipe(), None)
    assert state.average.attention is not None
    state.average.attention.weight.data.fill_(0.5)
    save(state, folder / CHECKPOINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "PICTURES", 2)
        patch.setattr(export, "PICTURE", 128)
        export.export(folder / CHECKPOINT, folder / "models", "3", lay_tiles(folder, range(1, 3)))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return read_model(folder / "models", export.FOLDER)


def tiles() -> Rgb:
    return np.random.default_rng(1).integers(0, 256, (2, 128, 192, 3)).astype(np.uint8)


def test_the_manifest_says_what_the_model_is(model: Model) -> None:
    assert (model.name, model.version, model.tile.side) == ("chromogen-he", "3", 2176)
    assert [t.name for t in model.maps] == ["nucleus", "distance", "kind"]
    assert model.tile.stride % network("shared").stride == 0


def test_the_float_graph_answers_what_the_network_does(folder: Path, model: Model) -> None:
    net = export.load(folder / CHECKPOINT)
    with torch.no_grad():
        maps = net(torch.from_numpy(tiles()).permute(0, 3, 1, 2).float() / 255)
    kind = torch.softmax(maps[:, 3:], dim=1)
    for i, answer in enumerate(LocalEngine(model, threads=1, version=FLOAT32).detect(tiles(), 0.0)):
        nucleus, distance = maps[i, 0].sigmoid() * 255, maps[i, 1:3].clamp(-1, 1) * 127
        wanted = {"nucleus": nucleus, "distance": distance, "kind": kind[i] * 255}
        for name, values in wanted.items():
            found = answer.maps[name]
            assert found.dtype == (np.int8 if name == "distance" else np.uint8)
            assert found.shape == tuple(values.shape)
            assert np.abs(found.astype(float) - values.numpy()).max() < 0.6


def test_int8_answers_nearly_the_same_and_is_a_quarter_of_the_size(folder: Path, model: Model) -> None:
    exact, small = (LocalEngine(model, threads=1, version=v).detect(tiles(), 0.0)[0].maps for v in (FLOAT32, "1"))
    for name, values in exact.items():
        assert not np.array_equal(values, small[name])
        assert np.corrcoef(values.ravel(), small[name].ravel())[0, 1] > 0.8
    files = [(folder / "models" / export.GRAPH / v / "model.onnx").stat().st_size for v in (FLOAT32, "1")]
    assert files[1] < 0.3 * files[0]


def test_maps_of_kinds_add_up(model: Model) -> None:
    kind = LocalEngine(model, threads=1).detect(tiles(), 0.0)[0].maps["kind"]
    assert np.abs(kind.astype(int).sum(axis=0) - 255).max() <= len(data.KINDS)


def test_the_network_that_ships_costs_less_than_its_budget() -> None:
    net = HeNet(network("shared"))
    halo = (export.TILE.side / export.TILE.core) ** 2
    assert export.multiply_adds(net) > export.multiply_adds(HeNet(network("shared", attention=False)))
    assert export.multiply_adds(net) * halo * 16e6 <= 3e11
    assert export.multiply_adds(HeNet(network("patent"))) == pytest.approx(export.multiply_adds(net), rel=0.15)


def test_pictures_for_the_ranges_are_of_one_size_even_of_small_tiles(tmp_path: Path) -> None:
    shapes = {picture.shape for picture in export.pictures(lay_tiles(tmp_path, range(1, 2)))}
    assert len(shapes) == 1
