"""From logits to nuclei, inside the exported graph and in validation: peaks, their compartment, calibrated
probabilities.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from inference.training.model import HEAT_STRIDE

WINDOW = 3  # heat-map px: a peak is the largest of its window
COMPARTMENT_WINDOW = 3  # heat-map px over which the compartment's logit is averaged
FURTHEST = 0.475  # heat-map px: a peak moves towards the weight of its 3 x 3 square, never out of its own pixel
FAINTEST = 0.01  # a peak counts from this nucleus probability
EDGE = 1e-6

SQUARE = torch.tensor([[[1, 1, 1]] * 3, [[-1, 0, 1]] * 3, [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]], dtype=torch.float32)[
    :, None
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Monotone maps in logit space, fitted on validation tiles: slope and offset of the nucleus, slope of the
    compartment.
    """

    nucleus_slope: float = 1.0
    nucleus_offset: float = 0.0
    compartment_slope: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The highest peaks of each picture, (b, k) tensors in descending `nucleus`; places beyond the last peak hold 0.

    `x`, `y` in px of the picture; `label` 0 or 1; `nucleus` the probability that a nucleus is there, `confidence` that
    it is and of this label; `count` (b,) counts all peaks, also those beyond k.
    """

    x: Tensor
    y: Tensor
    label: Tensor
    nucleus: Tensor
    confidence: Tensor
    count: Tensor


def find_peaks(
    logits: Tensor, top: int, calibration: Calibration, faintest: float = FAINTEST, window: int = WINDOW
) -> Peaks:
    """The `top` highest peaks of (b, 2, h, w) logits: pixels that equal the maximum of their window and reach
    `faintest`.
    """
    nucleus = (logits[:, :1] * calibration.nucleus_slope + calibration.nucleus_offset).sigmoid()
    highest = functional.max_pool2d(nucleus, window, stride=1, padding=window // 2)
    peak = torch.where((nucleus == highest) & (nucleus >= faintest), nucleus, torch.zeros_like(nucleus))
    mean = functional.avg_pool2d(logits[:, 1:], COMPARTMENT_WINDOW, stride=1, padding=COMPARTMENT_WINDOW // 2)
    epithelium = (mean * calibration.compartment_slope).sigmoid()
    score, index = peak.flatten(1).topk(top)  # (b, top)
    share = epithelium.flatten(1).gather(1, index)
    row = torch.div(index, logits.shape[3], rounding_mode="floor")
    across, down = _shift(logits[:, :1].sigmoid(), index)
    x, y = (v * HEAT_STRIDE + (HEAT_STRIDE - 1) / 2 for v in ((index - row * logits.shape[3]) + across, row + down))
    there = (score > 0).to(score.dtype)
    return Peaks(
        x=x * there,
        y=y * there,
        label=((share >= 0.5) & (score > 0)).long(),
        nucleus=score,
        confidence=score * torch.maximum(share, 1 - share),
        count=(peak > 0).flatten(1).sum(1),
    )


def _shift(nucleus: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """From each peak to the centre of weight of its 3 x 3 square: heat-map px (b, k) across and down, within FURTHEST.

    A core's edge lies between heat-map pixels, so a nucleus near it has the same owner whatever the shift.
    """
    total, across, down = functional.conv2d(nucleus, SQUARE.to(nucleus), padding=1).unbind(1)
    moves = [(v / (total + EDGE)).clamp(-FURTHEST, FURTHEST).flatten(1).gather(1, index) for v in (across, down)]
    return moves[0], moves[1]
