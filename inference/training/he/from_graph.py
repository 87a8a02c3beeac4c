"""A checkpoint of the H&E network from its float32 graph, where the checkpoint it was exported from is lost.

    python -m inference.training.he.from_graph --consep FOLDER --out RUN/shipped.pt [--graph FILE] [--network shared]

`inference.training.he.train --start` goes on from it. What becomes of the norms: `inference.training.from_graph`.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto, numpy_helper
from torch import Tensor, nn

from inference.training import from_graph as nuclei
from inference.training.he import data
from inference.training.he.model import MAPS, Branch, HeNet, network
from inference.training.he.recipe import AUGMENTATION
from inference.training.model import Block

GRAPH = Path("triton_models/he_maps/float32/model.onnx")
BATCHES, BATCH = 24, 4
PARTS = ("query", "key", "value")


def from_graph(path: Path, name: str, tiles: list[data.Tile], seed: int = 3) -> HeNet:
    """The network `name` of network.toml with a graph's weights, in evaluation mode.

    Raises ValueError where they don't fit.
    """
    net = HeNet(network(name))
    model = onnx.load(path)
    pairs = convolutions(net)
    nuclei.fill(pairs, _weights(model), path)
    _give(net, model)
    random = np.random.default_rng(seed)
    nuclei.measure(net, pairs, [_batch(tiles, random) for _ in range(BATCHES)])
    return net.eval()


def convolutions(net: HeNet) -> nuclei.Pairs:
    """All but the heads and the attention's, in the order in which the graph runs them."""
    found: nuclei.Pairs = []
    for branch in net.each_branch():
        for shrinking, stage in zip(branch.down, branch.encode, strict=True):
            convolution, norm, _ = shrinking.children()
            found.append((convolution, norm))  # type: ignore[arg-type]
            _blocks(stage, found)
        for lifting, block in zip(reversed(branch.lift), reversed(branch.decode), strict=True):
            found.append((lifting, None))  # type: ignore[arg-type]
            _blocks(block, found)
    return found


def _blocks(module: nn.Module, found: nuclei.Pairs) -> None:
    for block in module.modules():
        if isinstance(block, Block):
            found.extend([(block.conv1, block.norm1), (block.conv2, block.norm2)])


def _weights(model: ModelProto) -> list[tuple[nuclei.Weights, nuclei.Weights]]:
    held, found, half = _held(model), [], np.zeros((0, 0, 3, 3), np.float32)
    for node in model.graph.node:
        if node.op_type != "Conv" or node.name.split("/")[1] in ("attention", "sum_of_kinds", *MAPS):
            continue
        weight = held[node.input[1]]
        if "/of_half/" in node.name:  # `export.Parted`: it and the next are one
            half = weight
            continue
        if "/of_rest/" in node.name:
            weight = np.concatenate([half, weight], axis=1)
        found.append((weight, held[node.input[2]]))
    return found


def _held(model: ModelProto) -> dict[str, nuclei.Weights]:
    return {i.name: numpy_helper.to_array(i).copy() for i in model.graph.initializer}


@torch.no_grad()
def _give(net: HeNet, model: ModelProto) -> None:
    """The heads, each of which the graph holds as one convolution a map, and the attention."""
    held = {name: torch.from_numpy(value) for name, value in _held(model).items()}
    for branch in net.each_branch():
        _join(branch, held)
    if net.attention is not None:
        net.attention.weight.copy_(held["net.attention.weight"])
        for part in PARTS:
            convolution = getattr(net.attention, part)
            convolution.weight.copy_(held[f"net.attention.{part}.weight"])
            convolution.bias.copy_(held[f"net.attention.{part}.bias"])


def _join(branch: Branch, held: dict[str, Tensor]) -> None:
    assert branch.head.bias is not None
    branch.head.weight.copy_(torch.cat([held[f"head.{name}.weight"] for name in branch.maps]))
    branch.head.bias.copy_(torch.cat([held[f"head.{name}.bias"] for name in branch.maps]))


def _batch(tiles: list[data.Tile], random: np.random.Generator) -> Tensor:
    crops = [data.sample(tiles, AUGMENTATION, 0.4, random).image for _ in range(BATCH)]
    pictures = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().div(255)
    return pictures.contiguous(memory_format=torch.channels_last)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--consep", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--graph", type=Path, default=GRAPH)
    parser.add_argument("--network", default="shared", help="a table of network.toml (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = from_graph(args.graph, args.network, data.consep(args.consep))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    kept = {"network": args.network, "attention": net.attention is not None, "average": net.state_dict()}
    torch.save(kept, args.out)


if __name__ == "__main__":
    main()
