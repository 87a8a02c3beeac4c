"""The two graphs as torch modules: what is exported, and what the engines' answers are compared with."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from inference.grade import DENSITIES, HUES, VALUES
from inference.model import COUNT, TILES, Dtype, Graph, Role, Runtime
from inference.model import Tensor as Output
from inference.stain import SIDE, unmixing
from inference.training.peaks import Calibration, find_peaks

PIXELS_PER_PLACE = 64
DETECTION, GRADING = "nuclei_detection", "staining_grading"
FINGERPRINTS = {
    DETECTION: "detection_fingerprint",
    GRADING: "grading_fingerprint",
    "membrane_stains": "membrane_fingerprint",
    "he_maps": "he_fingerprint",
}
"""The output of each graph that says which graph answered."""


def _by_place(name: str, dtype: Dtype, low: float, high: float | str) -> Output:
    return Output(name=name, dtype=dtype, shape=("places",), low=low, high=high)


DETECTION_TENSORS = (
    _by_place("x", Dtype.FLOAT32, -0.5, "side"),
    _by_place("y", Dtype.FLOAT32, -0.5, "side"),
    _by_place("label", Dtype.INT32, 0, 1),
    _by_place("nucleus", Dtype.FLOAT32, 0, 1),
    _by_place("confidence", Dtype.FLOAT32, 0, 1),
    Output(name=COUNT, dtype=Dtype.INT32, shape=(), low=0),
)
GRADING_TENSORS = (
    _by_place("hue", Dtype.INT32, 0, HUES - 1),
    _by_place("value", Dtype.INT32, 0, VALUES - 1),
    _by_place("dab_od_centi", Dtype.INT32, 0, DENSITIES - 1),
)
DETECTION_OUTPUTS, GRADING_OUTPUTS = ([t.name for t in tensors] for tensors in (DETECTION_TENSORS, GRADING_TENSORS))
Digests = Mapping[str, str]
"""By version of the graph."""


def detection_graph(sha256: Digests, fingerprint: Digests) -> Graph:
    """What the manifest says of `Detection`."""
    return Graph(
        name=DETECTION,
        role=Role.FIND,
        runtime=Runtime.OPENVINO,
        inputs=(TILES,),
        outputs=DETECTION_TENSORS,
        fingerprint_output=FINGERPRINTS[DETECTION],
        sha256=sha256,
        fingerprint=fingerprint,
        probability="nucleus",
    )


def grading_graph(sha256: Digests, fingerprint: Digests) -> Graph:
    """What the manifest says of `Grading`."""
    return Graph(
        name=GRADING,
        role=Role.MEASURE,
        runtime=Runtime.ONNX_RUNTIME,
        inputs=(TILES, "x", "y", COUNT),
        outputs=GRADING_TENSORS,
        fingerprint_output=FINGERPRINTS[GRADING],
        sha256=sha256,
        fingerprint=fingerprint,
    )


class Detection(nn.Module):
    """(b, h, w, 3) uint8 RGB to x, y, label, nucleus, confidence, each (b, k), and count (b,) of all peaks, beyond k
    too.
    """

    def __init__(self, net: nn.Module, calibration: Calibration) -> None:
        super().__init__()
        self.net = net
        self.calibration = calibration

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        logits = self.net(tiles.permute(0, 3, 1, 2).float() / 255)
        p = find_peaks(logits, top=tiles.shape[1] * tiles.shape[2] // PIXELS_PER_PLACE, calibration=self.calibration)
        return p.x, p.y, p.label.int(), p.nucleus, p.confidence, p.count.int()


class Grading(nn.Module):
    """(b, h, w, 3) uint8 RGB and keypoints (b, k) to hue (degrees), value, DAB density (hundredths), each (b, k) int32.

    Only the first `count` (b,) places are measured, or as many as the fullest tile has; the others are 0. A tile fills
    a sixth.
    """

    dab: Tensor
    reach: Tensor
    added: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("dab", torch.tensor(unmixing()[:, 1], dtype=torch.float32))
        self.register_buffer("reach", torch.arange(SIDE, dtype=torch.int32) - SIDE // 2)
        self.register_buffer(
            "added", torch.eye(3).repeat(SIDE * SIDE, 1)
        )  # (81 * 3, 3): sums of a square's red, green, blue

    def forward(self, tiles: Tensor, x: Tensor, y: Tensor, count: Tensor) -> tuple[Tensor, ...]:
        n = count.max().long().minimum(torch.as_tensor(x.shape[1]))
        rgb = self.mean_rgb(tiles, x[:, :n], y[:, :n])
        rest = torch.zeros_like(x[:, n:], dtype=torch.int32)
        return tuple(torch.cat([measured, rest], dim=1) for measured in self.hue_value_density(rgb))

    def mean_rgb(self, tiles: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(b, n, 3): whole sums, which no order of adding changes, over the number of pixels."""
        b, h, w = tiles.shape[0], tiles.shape[1], tiles.shape[2]
        rows, columns = self.reached(y, h), self.reached(x, w)  # (b, n, side)
        rows = rows + (torch.arange(b, dtype=torch.int32) * h)[:, None, None]
        index = (rows[..., :, None] * w + columns[..., None, :]).reshape(-1)
        squares = tiles.reshape(-1, 3).index_select(0, index).reshape(b, -1, SIDE * SIDE * 3)
        sums = squares.float().matmul(self.added).int()
        return sums.float() / SIDE**2

    def reached(self, centre: Tensor, side: int) -> Tensor:
        """Rows or columns (b, n, SIDE) round the rounded centres; at the border the nearest counts again."""
        return (centre.round().int()[..., None] + self.reach).clamp(min=0).minimum(torch.as_tensor(side - 1).int())

    def hue_value_density(self, rgb: Tensor) -> tuple[Tensor, ...]:
        high, low = rgb.amax(dim=2), rgb.amin(dim=2)
        spread = torch.where(high > low, high - low, torch.ones_like(high))
        red, green, blue = rgb.unbind(dim=2)
        first = (green - blue) / spread
        first = torch.where(first < 0, first + 6, first)
        sector = torch.where(
            high == red, first, torch.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4)
        )
        degrees = torch.where(high > low, torch.floor(sector * 60 + 0.5), torch.zeros_like(high)).int()
        hue = torch.where(degrees >= 360, degrees - 360, degrees)
        density = (-torch.log10((rgb + 1) / 256) * self.dab).sum(dim=2)
        centi = torch.floor(density * 100 + 0.5).clamp(0, 300).int()
        return hue, torch.floor(high + 0.5).int(), centi
