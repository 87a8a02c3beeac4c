"""A network of half the shipped one's multiply-adds in its place, for what a path adds to a network that costs less.

It learnt nothing: its weights are random, in int8 as the shipped one's are, and its answer is too faint to count. What
counts is added behind it, a filter for dark spots, so that peaks are searched, graded and kept in about the true
number.
"""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from inference.evaluation.metric import Points
from inference.model import RUNNING
from inference.training import data
from inference.training.export import describe, file_of, marked, write
from inference.training.graphs import DETECTION_OUTPUTS, Detection, detection_graph
from inference.training.model import HEAT_STRIDE, NucleusNet, multiply_adds_per_pixel
from inference.training.peaks import Calibration
from inference.training.quantise import quantised
from tests.benchmarks.measure import tiles_in_memory
from tests.models import DETECTION, GRADER, GRADING, IHC_TILE

WIDTHS = (16, 32, 64, 128, 160)  # 1.95 GFLOP for 256 x 256 px, 2 operations a multiply-add
FAINT = 1e-6
NEAR, FAR, REACH = 1.5, 3.0, 4  # heat-map px: widths of the filter's two Gaussians, and its half side
SLOPE, OFFSET = (
    60.0,
    3.0,
)  # logits: for about as many nuclei on the tissue of `tests.laid` as the shipped network counts


class DarkSpots(NucleusNet):
    """(b, 3, h, w) RGB in [0, 1] to (b, 2, h/2, w/2) logits."""

    spot: Tensor

    def __init__(self) -> None:
        super().__init__(WIDTHS)
        self.register_buffer("spot", torch.tensor(_gaussian(NEAR) - _gaussian(FAR))[None, None])

    def forward(self, x: Tensor) -> Tensor:
        faint = super().forward(x) * FAINT
        light = x[:, :, ::HEAT_STRIDE, ::HEAT_STRIDE].mean(dim=1, keepdim=True)
        nucleus = functional.conv2d(light, self.spot, padding=REACH) * -SLOPE - OFFSET
        return torch.cat([faint[:, :1] + nucleus, faint[:, 1:] + (0.6 - light)], dim=1)


def _gaussian(width: float) -> npt.NDArray[np.float32]:
    line = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / width) ** 2)
    return np.asarray(np.outer(line, line) / line.sum() ** 2, np.float32)


def small_models(out: Path) -> None:
    """Write the model repository to `out`; grading is the shipped one's."""
    torch.manual_seed(1)
    net = DarkSpots().eval()
    float32 = out / "float32.onnx"
    tiles = torch.zeros((2, 256, 320, 3), dtype=torch.uint8)
    axes = {"tiles": {0: "batch", 1: "height", 2: "width"}, "count": {0: "batch"}}
    axes |= {name: {0: "batch", 1: "places"} for name in DETECTION_OUTPUTS[:-1]}
    write(Detection(net, Calibration()).eval(), (tiles,), float32, ["tiles"], DETECTION_OUTPUTS, axes)
    for name in (DETECTION, GRADING):
        file_of(out, name).parent.mkdir(parents=True)
    onnx.save(quantised(float32, _tissue()), file_of(out, DETECTION))
    shutil.copyfile(file_of(IHC_TILE.repository, GRADING), file_of(out, GRADING))
    describe(
        out,
        (detection_graph(*marked(out, DETECTION, RUNNING)), GRADER),
        name="a small network that learnt nothing",
        version="1",
        counting_threshold=IHC_TILE.counting_threshold,
        multiply_adds=round(multiply_adds_per_pixel(net)),
    )


def _tissue() -> list[data.Tile]:
    none = Points(xy=np.empty((0, 2)), label=np.empty(0, np.int64), confidence=np.empty(0))
    return [data.Tile(name=str(i), image=image, points=none) for i, image in enumerate(tiles_in_memory(8, 256))]
