"""The two graphs as torch modules: what is exported, and what the engines' answers are compared with."""

import torch
from torch import Tensor, nn

from inference.stain import SIDE, unmixing
from inference.training.peaks import Calibration, find_peaks

PIXELS_PER_PLACE = 64
DETECTION_OUTPUTS = ["x", "y", "label", "nucleus", "confidence", "count"]
GRADING_OUTPUTS = ["hue", "value", "dab_od_centi"]


class Detection(nn.Module):
    """(b, h, w, 3) uint8 RGB to x, y, label, nucleus, confidence, each (b, k), and count (b,) of all peaks, beyond k too."""

    def __init__(self, net: nn.Module, calibration: Calibration) -> None:
        super().__init__()
        self.net = net
        self.calibration = calibration

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        logits = self.net(tiles.permute(0, 3, 1, 2).float() / 255)
        p = find_peaks(logits, top=tiles.shape[1] * tiles.shape[2] // PIXELS_PER_PLACE, calibration=self.calibration)
        return p.x, p.y, p.label.int(), p.nucleus, p.confidence, p.count.int()


class Grading(nn.Module):
    """(b, h, w, 3) uint8 RGB and keypoints (b, k) to hue (degrees), value, DAB density (hundredths), each (b, k) int32."""

    dab: Tensor
    reach: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("dab", torch.tensor(unmixing()[:, 1], dtype=torch.float32))
        self.register_buffer("reach", torch.arange(SIDE) - SIDE // 2)

    def forward(self, tiles: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        b, h, w = tiles.shape[0], tiles.shape[1], tiles.shape[2]
        rows = (y.round().long()[..., None] + self.reach).clamp(min=0).minimum(torch.as_tensor(h - 1))  # (b, k, side)
        columns = (x.round().long()[..., None] + self.reach).clamp(min=0).minimum(torch.as_tensor(w - 1))
        index = (rows[..., :, None] * w + columns[..., None, :]).reshape(b, -1, 1).expand(-1, -1, 3)
        squares = tiles.reshape(b, -1, 3).gather(1, index).reshape(b, -1, SIDE * SIDE, 3)
        rgb = squares.float().sum(dim=2) / SIDE**2  # (b, k, 3)
        high, low = rgb.amax(dim=2), rgb.amin(dim=2)
        spread = torch.where(high > low, high - low, torch.ones_like(high))
        red, green, blue = rgb.unbind(dim=2)
        first = (green - blue) / spread
        first = torch.where(first < 0, first + 6, first)
        sector = torch.where(high == red, first, torch.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4))
        degrees = torch.where(high > low, torch.floor(sector * 60 + 0.5), torch.zeros_like(high)).int()
        hue = torch.where(degrees >= 360, degrees - 360, degrees)
        density = (-torch.log10((rgb + 1) / 256) * self.dab).sum(dim=2)
        centi = torch.floor(density * 100 + 0.5).clamp(0, 300).int()
        return hue, torch.floor(high + 0.5).int(), centi
