"""A teacher's answers to whole tiles, worked out once: means over the eight turns, and over scales if asked for."""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.training.data import Tile
from inference.training.evaluate import BORDER, RAW, logits_of
from inference.training.model import HEAT_STRIDE
from inference.training.peaks import Calibration

Floats = npt.NDArray[np.float32]
LIMIT = 1e-6  # of a probability


def taught(tiles: list[Tile], teachers: list[nn.Module]) -> list[Tile]:
    """The tiles with the mean answer of the teachers, each over eight turns."""
    return [replace(t, answer=np.mean([_answer(n, t) for n in teachers], axis=0).astype(np.float32)) for t in tiles]


def _answer(net: nn.Module, tile: Tile) -> Floats:
    """(2, h/2, w/2) logits of a tile without its border."""
    h, w = (s // HEAT_STRIDE for s in tile.image.shape[:2])
    edge = BORDER // HEAT_STRIDE
    logits = logits_of(net, tile.image, averaged=True)[0, :, edge : edge + h, edge : edge + w]
    return np.ascontiguousarray(logits.float().cpu().numpy())


def over_scales(
    net: nn.Module, image: npt.NDArray[np.uint8], calibration: Calibration = RAW, coarser: tuple[float, ...] = (0.714,)
) -> Tensor:
    """Logits (1, 2, h', w') of the mean of calibrated probabilities at 0.5 µm/px and of the picture shrunk by
    `coarser`.
    """
    own = _calibrated(logits_of(net, image), calibration)
    means = [own]
    h, w = image.shape[:2]
    for factor in coarser:
        size = (round(w * factor), round(h * factor))
        small = logits_of(net, np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
        means.append(_enlarged(_calibrated(small, calibration), size, (w, h), own.shape))
    mean = torch.stack(means).mean(0).clamp(LIMIT, 1 - LIMIT)
    return (mean / (1 - mean)).log()


def _calibrated(logits: Tensor, c: Calibration) -> Tensor:
    """Probabilities (b, 2, h, w)."""
    slope = logits.new_tensor([c.nucleus_slope, c.compartment_slope])[None, :, None, None]
    return (logits * slope + logits.new_tensor([c.nucleus_offset, 0.0])[None, :, None, None]).sigmoid()


def _enlarged(small: Tensor, size: tuple[int, int], wanted: tuple[int, int], shape: torch.Size) -> Tensor:
    """Maps of a shrunk picture at the places of the maps of the picture itself; both have a border of BORDER px."""
    column, row = (
        ((torch.arange(n) * HEAT_STRIDE + (HEAT_STRIDE - 1) / 2 - BORDER + 0.5) * s / w - 0.5 + BORDER - 0.5)
        / HEAT_STRIDE
        for n, s, w in zip((shape[3], shape[2]), size, wanted, strict=True)
    )
    x = column / (small.shape[3] - 1) * 2 - 1
    y = row / (small.shape[2] - 1) * 2 - 1
    grid = torch.stack([x.expand(len(y), len(x)), y[:, None].expand(len(y), len(x))], dim=-1)[None]
    return functional.grid_sample(small, grid.to(small), align_corners=True, padding_mode="border")
