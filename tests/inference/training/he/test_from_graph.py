"""A network comes back from its float32 graph."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

import torch

from inference.model import FLOAT32
from inference.training.export import file_of, write
from inference.training.he.export import GRAPH, OUTPUTS, HeMaps
from inference.training.he.from_graph import from_graph
from inference.training.he.model import HeNet, network
from tests.inference.training.he.made import lay_tiles


@pytest.fixture(scope="module")
def net() -> HeNet:
    """Random weights, an attention that takes part, and norms that have seen something."""
    torch.manual_seed(4)
    net = HeNet(network("shared"))
    assert net.attention is not None
    net.attention.weight.data.fill_(0.5)
    net.train()(torch.rand(2, 3, 128, 128))
    return net.eval()


def test_a_network_comes_back_from_its_graph(net: HeNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.training.he.from_graph.BATCHES", 2)
    graph = file_of(tmp_path, GRAPH, FLOAT32)
    tiles = torch.randint(0, 256, (1, 128, 128, 3), dtype=torch.uint8)
    sides = {0: "batch", 1: "height", 2: "width"}
    write(HeMaps(net).eval(), (tiles,), graph, ["tiles"], [output.name for output in OUTPUTS], {"tiles": sides})
    back = from_graph(graph, "shared", lay_tiles(tmp_path, range(1, 3)))
    picture = torch.rand(1, 3, 192, 128)
    with torch.no_grad():
        (nucleus, kind), (wanted, wanted_kind) = (maps.split([3, 4], dim=1) for maps in (back(picture), net(picture)))
    assert torch.allclose(nucleus, wanted, atol=2e-3)
    assert torch.allclose(kind.softmax(dim=1), wanted_kind.softmax(dim=1), atol=2e-3)


def test_a_graph_of_another_network_is_refused(net: HeNet, tmp_path: Path) -> None:
    graph = file_of(tmp_path, GRAPH, FLOAT32)
    tiles = torch.randint(0, 256, (1, 128, 128, 3), dtype=torch.uint8)
    write(HeMaps(net).eval(), (tiles,), graph, ["tiles"], [output.name for output in OUTPUTS], {})
    with pytest.raises(ValueError, match="isn't a float32 graph"):
        from_graph(graph, "patent", lay_tiles(tmp_path, range(1, 3)))
