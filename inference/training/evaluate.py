"""Validation of a network in torch: the same post-processing as the exported graph, the metric of inference.metric."""

from dataclasses import asdict

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.metric import Points, evaluate
from inference.training.data import Tile
from inference.training.model import HEAT_STRIDE, STRIDE

PEAK_WINDOW = 3  # heat-map px: a peak is the largest of its window
FURTHEST = 0.475  # heat-map px: how far a peak moves towards the weight of its 3 x 3 square, never out of its own pixel
COMPARTMENT_WINDOW = 3  # heat-map px over which the compartment is averaged
BORDER = 32  # px of reflection round an image


def peaks(logits: Tensor, top: int, faintest: float = 0.01) -> tuple[Tensor, ...]:
    """The `top` highest peaks of (b, 2, h, w) logits: x, y in px, label 0 or 1, nucleus, confidence, each (b, top); count (b,).

    A peak equals the maximum of its window and reaches `faintest`; `count` counts all, also those beyond `top`. `nucleus` is
    the probability that a nucleus is there, `confidence` that times the label's. Places beyond the last peak hold 0.
    """
    nucleus = logits[:, :1].sigmoid()
    highest = functional.max_pool2d(nucleus, PEAK_WINDOW, stride=1, padding=PEAK_WINDOW // 2)
    nucleus = torch.where((nucleus == highest) & (nucleus >= faintest), nucleus, torch.zeros_like(nucleus))
    epithelium = functional.avg_pool2d(logits[:, 1:], COMPARTMENT_WINDOW, stride=1, padding=COMPARTMENT_WINDOW // 2).sigmoid()
    count = (nucleus > 0).flatten(1).sum(1)
    score, index = nucleus.flatten(1).topk(top)  # (b, top)
    share = epithelium.flatten(1).gather(1, index)
    width = logits.shape[3]
    row = torch.div(index, width, rounding_mode="floor")
    across, down = shift(logits[:, :1].sigmoid(), index)
    x, y = ((v * HEAT_STRIDE + (HEAT_STRIDE - 1) / 2) for v in ((index - row * width).float() + across, row.float() + down))
    return x, y, (share >= 0.5).long(), score, score * torch.maximum(share, 1 - share), count


def shift(nucleus: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """From each peak to the centre of weight of its 3 x 3 square, heat-map px (b, k) across and down, within +-FURTHEST.

    A core's edge lies between heat-map pixels, so that a nucleus near it has the same owner whatever the shift.
    """
    b, _, h, w = nucleus.shape
    padded = functional.pad(nucleus, (1, 1, 1, 1))
    square = [[padded[:, 0, i : i + h, j : j + w] for j in range(3)] for i in range(3)]
    columns = [square[0][j] + square[1][j] + square[2][j] for j in range(3)]
    rows = [square[i][0] + square[i][1] + square[i][2] for i in range(3)]
    total = columns[0] + columns[1] + columns[2] + 1e-6
    return tuple(
        ((v[2] - v[0]) / total).clamp(-FURTHEST, FURTHEST).flatten(1).gather(1, index) for v in (columns, rows)
    )  # type: ignore[return-value]


def validate(net: nn.Module, tiles: list[Tile]) -> dict[str, float]:
    """Figures on tiles of 0.5 µm/px, each reflected by BORDER and to a multiple of the stride, as in `chromogen detect`."""
    predicted = [predict(net, t.image) for t in tiles]
    return asdict(evaluate(predicted, [t.points for t in tiles], mpp=0.5))


@torch.no_grad()
def predict(net: nn.Module, image: np.ndarray) -> Points:  # type: ignore[type-arg]
    """Keypoints of one (h, w, 3) uint8 image, confidence at least 0.01."""
    h, w = image.shape[:2]
    down, right = (-(-(s + 2 * BORDER) // STRIDE) * STRIDE - s - BORDER for s in (h, w))
    padded = cv2.copyMakeBorder(image, BORDER, down, BORDER, right, cv2.BORDER_REFLECT_101)
    device = next(net.parameters()).device
    x = torch.from_numpy(np.asarray(padded)).to(device).permute(2, 0, 1)[None].float().div(255)
    columns, rows, label, _, confidence = (v[0].cpu().numpy() for v in peaks(net(x), top=1024)[:5])
    columns, rows = columns - BORDER, rows - BORDER
    keep = (confidence >= 0.01) & (columns >= -0.5) & (rows >= -0.5) & (columns < w - 0.5) & (rows < h - 0.5)
    xy = np.stack([columns[keep], rows[keep]], axis=1).astype(np.float64)
    return Points(xy=xy, label=label[keep].astype(np.int64), confidence=confidence[keep].astype(np.float64))
