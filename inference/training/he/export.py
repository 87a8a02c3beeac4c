"""Write a trained H&E network as the model that runs: graph `he_maps` in int8 and float32, model `he_nuclei`.

    python -m inference.training.he.export --checkpoint RUN/last.pt --consep FOLDER [--out triton_models] [--version 1]
    python -m inference.engines.triton_repository stamp

uint8 tiles go in; out come `nucleus` (probability x 255), `distance` (-127..127) and `kind` (probability x 255 of each
of four), at the tile's size. Ranges of int8 are measured on tiles of `--consep`, a third of them stained anew.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from inference.model import FLOAT32, RUNNING, Dtype, Graph, Model, Resolution, Role, Runtime
from inference.model import Tensor as Output
from inference.tile import TileShape
from inference.training.augment import Image, disturbed
from inference.training.export import OPSET, file_of, marked, write
from inference.training.graphs import FINGERPRINTS
from inference.training.he import data
from inference.training.he.attention import CrissCross
from inference.training.he.model import MAPS, HeNet, load
from inference.training.he.recipe import AUGMENTATION
from inference.training.manifest import write_graph, write_model
from inference.training.model import multiply_adds_per_pixel
from inference.training.quantise import in_int8

GRAPH, FOLDER, NAME, CELLS = "he_maps", "he_nuclei", "chromogen-he", "he/1"
RESOLUTION = Resolution(working=0.25, finest=0.2, coarsest=0.625, enlarged_from=0.35)
TILE = TileShape(core=2048, halo=64, stride=64)
PICTURE = 512  # px of a side of a calibration picture
PICTURES = 12
LARGEST = 60.0  # of a logit: its exponential is a float32
SEED = 5
IN_INT8 = {"Conv", "Relu", "Add", "Concat", "Resize", "AveragePool"}
IN_FLOAT32 = ("/attention/", "/down.0/", "/AveragePool", "/down.1/of_half/", "/down.1/Add", "/sum_of_kinds/")
"""What looks at pixels. The halved picture and scale 1/2 in one range of int8 cost 0.05 of PQ; `Parted` has two."""
POSTPROCESS = {"split_from": 0.05, "reach_px": 3.0, "least_px": 30.0, "sure_from": 0.7}
"""Where `inference.instances` shall go by other numbers than its own: chosen on all tiles (docs/models/he.md)."""
OUTPUTS = (
    Output(name="nucleus", dtype=Dtype.UINT8, shape=("side", "side"), low=0, high=255),
    Output(name="distance", dtype=Dtype.INT8, shape=(2, "side", "side"), low=-127, high=127),
    Output(name="kind", dtype=Dtype.UINT8, shape=(len(data.KINDS), "side", "side"), low=0, high=255),
)


class HeMaps(nn.Module):
    """(b, h, w, 3) uint8 RGB to OUTPUTS: the network with all that is before and after it.

    Each map has a head of its own (OpenVINO parts and joins a tensor's channels slowly), and becomes bytes before its
    pixels are laid out at full size: a quarter of the memory is moved. Channels are nowhere but last for the same
    reason, not for the softmax of kinds either.
    """

    def __init__(self, net: HeNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        self.head = nn.ModuleDict()
        for branch in self.net.each_branch():
            self.head.update(parted(branch.head, branch.maps))
            branch.down[1] = Parted(branch.down[1])
        kind = self.head["kind"]
        assert isinstance(kind, nn.Conv2d)
        centred(kind)
        self.sum_of_kinds = sum_of_kinds()

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = ((tiles.float() - 127.5) * (4 / 255)).permute(0, 3, 1, 2)
        packed: dict[str, Tensor] = {}
        for i, branch in enumerate(self.net.each_branch()):
            trunk = branch.trunk(x, self.net.attention_of(i), self.net.net.attention_scale)
            packed |= {name: self.head[name](trunk) for name in branch.maps}
        nucleus = (packed["nucleus"].sigmoid() * 255).round().to(torch.uint8)
        distance = (packed["distance"].clamp(-1, 1) * 127).round().to(torch.int8)
        kind = packed["kind"].clamp(-LARGEST, LARGEST).exp()
        kind = (kind / self.sum_of_kinds(kind) * 255).round().to(torch.uint8)
        return laid_out(nucleus)[:, 0], laid_out(distance), laid_out(kind)


class Parted(nn.Module):
    """`Joining` as a convolution for each of its two pictures."""

    @torch.no_grad()
    def __init__(self, joining: nn.Module) -> None:
        super().__init__()
        conv, norm, _ = joining.children()
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        whole = nn.utils.fuse_conv_bn_eval(conv, norm)
        self.of_half, self.of_rest = (
            nn.Conv2d(n, conv.out_channels, 3, stride=2, padding=1, bias=bias)
            for n, bias in ((3, False), (conv.in_channels - 3, True))
        )
        self.of_half.weight.copy_(whole.weight[:, :3])
        self.of_rest.weight.copy_(whole.weight[:, 3:])
        assert self.of_rest.bias is not None
        assert whole.bias is not None
        self.of_rest.bias.copy_(whole.bias)

    def forward(self, half: Tensor, x: Tensor) -> Tensor:
        joined: Tensor = self.of_half(half) + self.of_rest(x)
        return joined.relu()


@torch.no_grad()
def centred(head: nn.Conv2d) -> None:
    """Give logits of kinds a mean of 0 (in place), which no probability depends on: their exponentials stay finite."""
    assert head.bias is not None
    for each in (head.weight, head.bias):
        by_kind = each.view(len(data.KINDS), 4, *each.shape[1:])
        by_kind -= by_kind.mean(dim=0)


@torch.no_grad()
def sum_of_kinds() -> nn.Conv2d:
    """(b, 4 kinds, h, w) to the same: over the kinds of each of four pixels."""
    n = 4 * len(data.KINDS)
    conv = nn.Conv2d(n, n, 1, bias=False)
    conv.weight.copy_(torch.eye(4).repeat(len(data.KINDS), len(data.KINDS))[:, :, None, None])
    return conv


@torch.no_grad()
def parted(head: nn.Conv2d, maps: tuple[str, ...]) -> dict[str, nn.Module]:
    """A head as one convolution for each of its maps."""
    found: dict[str, nn.Module] = {}
    first = 0
    for name in maps:
        last = first + 4 * MAPS[name]
        one = nn.Conv2d(head.in_channels, last - first, 3, padding=1)
        one.weight.copy_(head.weight[first:last])
        assert one.bias is not None
        assert head.bias is not None
        one.bias.copy_(head.bias[first:last])
        found[name], first = one, last
    return found


def laid_out(packed: Tensor) -> Tensor:
    """(b, 4 n, h, w) to (b, n, 2 h, 2 w), as a pixel shuffle does, of any type."""
    b, n, h, w = packed.shape[0], packed.shape[1] // 4, packed.shape[2], packed.shape[3]
    return packed.reshape(b, n, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, n, 2 * h, 2 * w)


def export(checkpoint: Path, out: Path, version: str, tiles: list[data.Tile]) -> Model:
    """Write graph and manifests below `out`; int8 is calibrated on `tiles`. Raises Refused MODEL_INVALID."""
    net = load(checkpoint)
    batch, sides = {0: "batch"}, {1: "height", 2: "width"}
    reference, running = file_of(out, GRAPH, FLOAT32), file_of(out, GRAPH)
    write(
        HeMaps(net).eval(),
        (torch.randint(0, 256, (2, 256, 320, 3), dtype=torch.uint8),),
        reference,
        ["tiles"],
        [output.name for output in OUTPUTS],
        {"tiles": batch | sides, "nucleus": batch | sides}
        | dict.fromkeys(("distance", "kind"), batch | {2: "height", 3: "width"}),
    )
    model = onnx.load(reference)
    running.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(in_int8(model, pictures(tiles), outside(model)), running)
    sha256, fingerprint = marked(out, GRAPH, RUNNING, FLOAT32)
    graph = Graph(
        name=GRAPH,
        role=Role.MAP,
        runtime=Runtime.OPENVINO,
        inputs=("tiles",),
        outputs=OUTPUTS,
        fingerprint_output=FINGERPRINTS[GRAPH],
        sha256=sha256,
        fingerprint=fingerprint,
    )
    write_graph(out, graph, opset=OPSET)
    return describe(out, graph, version, net)


def describe(out: Path, graph: Graph, version: str, net: HeNet) -> Model:
    """Write the model's manifest."""
    model = Model(
        repository=out,
        folder=FOLDER,
        name=NAME,
        version=version,
        cells=CELLS,
        resolution=RESOLUTION,
        tile=TILE,
        pixels_per_place=64,
        counting_threshold=0.0,
        graphs=(graph,),
        postprocess=POSTPROCESS,
    )
    write_model(model, multiply_adds_per_pixel=round(multiply_adds(net)))
    return model


def multiply_adds(net: HeNet, side: int = TILE.side) -> float:
    """A pixel, of convolutions and of what attention compares and adds up in a tile of `side` px."""
    stride, total = 2 ** (net.net.attention_scale + 1), float(multiply_adds_per_pixel(net))
    for i in range(len(net.branches)):
        if isinstance(attention := net.attention_of(i), CrissCross):
            inner = attention.query.out_channels + attention.value.out_channels
            total += attention.passes * 2 * (side // stride) * inner / stride**2
    return total


def outside(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that stay float32: all but convolutions and what joins them, and but for IN_FLOAT32."""
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    return [n.name for n in nodes if n.op_type not in IN_INT8 or any(part in n.name for part in IN_FLOAT32)]


def pictures(tiles: list[data.Tile]) -> list[Image]:
    """Squares (PICTURE, PICTURE, 3) of tiles, every third stained anew."""
    random = np.random.default_rng(SEED)
    found = []
    for i in range(PICTURES):
        image = tiles[i % len(tiles)].image
        left, top = (int(random.integers(max(side - PICTURE, 0) + 1)) for side in image.shape[1::-1])
        square = np.ascontiguousarray(image[top : top + PICTURE, left : left + PICTURE])
        found.append(disturbed(square, AUGMENTATION, random) if i % 3 == 2 else square)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--consep", type=Path, required=True, help="training tiles, on which int8 ranges are measured")
    parser.add_argument("--out", type=Path, default=Path("triton_models"))
    parser.add_argument("--version", default="1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    export(args.checkpoint, args.out, args.version, data.consep(args.consep))


if __name__ == "__main__":
    main()
