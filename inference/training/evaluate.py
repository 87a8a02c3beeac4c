"""Validation of a network in torch: the post-processing of the exported graph, the metric of
`inference.evaluation.metric`.
"""

from dataclasses import asdict

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from inference.evaluation.metric import Points, evaluate
from inference.training.augment import Image
from inference.training.data import Tile
from inference.training.model import STRIDE
from inference.training.peaks import WINDOW, Calibration, find_peaks

BORDER = 32  # px of reflection round an image, as in `chromogen detect`
PLACES = 2048
TURNS = tuple((quarter, flip) for quarter in range(4) for flip in (False, True))
RAW = Calibration()


def validate(net: nn.Module, tiles: list[Tile], calibration: Calibration = RAW) -> dict[str, float]:
    """Figures on tiles of 0.5 µm/px."""
    predicted = [predict(net, t.image, calibration) for t in tiles]
    return asdict(evaluate(predicted, [t.points for t in tiles], mpp=0.5))


def predict(net: nn.Module, image: Image, calibration: Calibration = RAW) -> Points:
    """Keypoints of one (h, w, 3) image."""
    return points(logits_of(net, image), image.shape[:2], calibration)


@torch.no_grad()
def logits_of(net: nn.Module, image: Image, *, averaged: bool = False) -> Tensor:
    """Logits (1, 2, h', w') of an image with its border; `averaged` over the eight turns and flips."""
    device = next(net.parameters()).device
    x = torch.from_numpy(bordered(image)).to(device).permute(2, 0, 1)[None].float().div(255)
    if not averaged:
        return net(x)  # type: ignore[no-any-return]
    return torch.stack([turned_back(net(turned(x, *t)), *t) for t in TURNS]).mean(0)


def points(logits: Tensor, size: tuple[int, int], calibration: Calibration = RAW, window: int = WINDOW) -> Points:
    """Keypoints inside of an image of `size` (h, w), confidence at least 0.01, from the logits of
    it with its border.
    """
    p = find_peaks(logits, top=min(PLACES, logits.shape[2] * logits.shape[3]), calibration=calibration, window=window)
    x, y, label, confidence = (v[0].cpu().numpy() for v in (p.x, p.y, p.label, p.confidence))
    x, y = x - BORDER, y - BORDER
    keep = (confidence >= 0.01) & (x >= -0.5) & (y >= -0.5) & (x < size[1] - 0.5) & (y < size[0] - 0.5)
    xy = np.stack([x[keep], y[keep]], axis=1).astype(np.float64)
    return Points(xy=xy, label=label[keep].astype(np.int64), confidence=confidence[keep].astype(np.float64))


def bordered(image: Image) -> Image:
    """The image with BORDER px of reflection, more at the right and below up to a multiple of the stride."""
    down, right = (-(-(s + 2 * BORDER) // STRIDE) * STRIDE - s - BORDER for s in image.shape[:2])
    return np.asarray(cv2.copyMakeBorder(image, BORDER, down, BORDER, right, cv2.BORDER_REFLECT_101), np.uint8)


def turned(x: Tensor, quarter: int, flip: bool) -> Tensor:
    """(b, c, h, w), mirrored and then turned by quarters."""
    return torch.rot90(x.flip(3) if flip else x, quarter, (2, 3))


def turned_back(x: Tensor, quarter: int, flip: bool) -> Tensor:
    """Undoes `turned`."""
    back = torch.rot90(x, -quarter, (2, 3))
    return back.flip(3) if flip else back
