"""A checkpoint from a float32 graph, where the checkpoint it was exported from is lost.

    python -m inference.training.from_graph --endonuke FOLDER --out RUN/shipped.pt [--graph FILE]

The exporter folds each norm into its convolution. Its statistics are measured again on training tiles, half of them
stained anew, and its slope and offset take them back: in evaluation mode the network answers what the graph does, in
training nearly.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from inference.training import data
from inference.training.augment import STRONG
from inference.training.model import Block, NucleusNet

GRAPH = Path("triton_models/nuclei_detection/float32/model.onnx")
Weights = npt.NDArray[np.float32]
CROPS = 192  # on which the statistics of the norms are measured
BATCH = 16


def from_graph(path: Path, training: list[data.Tile], seed: int = 3) -> NucleusNet:
    """The network of a float32 detection graph, in evaluation mode. Raises ValueError on a graph of another shape."""
    net = NucleusNet()
    pairs = convolutions(net)
    fill(pairs, _weights(path), path)
    random = np.random.default_rng(seed)
    batches = [_batch(training, random) for _ in range(CROPS // BATCH)]
    measure(net, pairs, batches)
    return net.eval()


Pairs = list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]
"""Convolutions with their norms, in the order in which a graph runs them."""


@torch.no_grad()
def fill(pairs: Pairs, found: Sequence[tuple[Weights, Weights]], path: Path) -> None:
    """Give each convolution its weight, and its bias to it or to its norm. Raises ValueError on other shapes."""
    if [w.shape for w, _ in found] != [tuple(c.weight.shape) for c, _ in pairs]:
        raise ValueError(f"{path} isn't a float32 graph of this network")
    for (convolution, norm), (weight, bias) in zip(pairs, found, strict=True):
        convolution.weight.copy_(torch.from_numpy(weight))
        if norm is None:
            assert convolution.bias is not None
            convolution.bias.copy_(torch.from_numpy(bias))
        else:
            _neutral(norm, torch.from_numpy(bias))


def convolutions(net: NucleusNet) -> Pairs:
    """Those of the network."""
    found: Pairs = []

    def blocks(module: nn.Module) -> None:
        for block in module.modules():
            if isinstance(block, Block):
                found.append((block.conv1, block.norm1))
                found.append((block.conv2, block.norm2))

    for shrinking, stage in zip(net.down, net.encode, strict=True):
        assert isinstance(shrinking, nn.Sequential)
        found.append((shrinking[0], shrinking[1]))  # type: ignore[arg-type]
        blocks(stage)
    for lifting, block in zip(reversed(net.lift), reversed(net.decode), strict=True):
        found.append((lifting, None))  # type: ignore[arg-type]
        blocks(block)
    return [*found, (net.head, None)]


def _weights(path: Path) -> list[tuple[Weights, Weights]]:
    """Weight and bias of the network's convolutions, in the order in which they run."""
    model = onnx.load(path)
    held = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    shared = {
        n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Identity"
    }  # equal tensors are kept once
    held |= {name: held[source] for name, source in shared.items() if source in held}
    nodes = [n for n in model.graph.node if n.op_type == "Conv" and n.name.startswith("/net/")]
    return [
        (held[n.input[1]].copy(), held[n.input[2]].copy()) for n in nodes if n.input[1] in held and len(n.input) == 3
    ]


def _neutral(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """A norm that only adds `bias`."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.copy_(bias)


def _batch(training: list[data.Tile], random: np.random.Generator) -> Tensor:
    crops = [data.sample(training[random.integers(len(training))], training[0], STRONG, random) for _ in range(BATCH)]
    pictures = np.stack([c.clean if i % 2 else c.image for i, c in enumerate(crops)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(255).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def measure(net: nn.Module, pairs: Pairs, batches: Sequence[Tensor]) -> None:
    """Give each norm the mean and variance of what it sees of `batches` of pictures (b, 3, h, w) in 0..1, and the slope
    and offset that take them back.
    """
    sums = [torch.zeros(2, n.num_features, dtype=torch.float64) if n else torch.zeros(0) for _, n in pairs]

    def add(i: int, out: Tensor) -> None:
        x = out.double()
        sums[i] += torch.stack([x.mean(dim=(0, 2, 3)), (x * x).mean(dim=(0, 2, 3))])

    hooks = [c.register_forward_hook(lambda _, __, out, i=i: add(i, out)) for i, (c, n) in enumerate(pairs) if n]
    for pictures in batches:
        net.eval()(pictures)
    for hook in hooks:
        hook.remove()
    for (_, norm), total in zip(pairs, sums, strict=True):
        if norm:
            mean, square = total / len(batches)
            norm.running_mean, norm.running_var = mean.float(), (square - mean**2).clamp(min=1e-8).float()
            norm.weight.copy_((norm.running_var + norm.eps).sqrt())
            norm.bias.add_(norm.running_mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endonuke", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--graph", type=Path, default=GRAPH)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = from_graph(args.graph, data.endonuke(args.endonuke))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"net": net.state_dict(), "step": 0, "seed": 0}, args.out)


if __name__ == "__main__":
    main()
