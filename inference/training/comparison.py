"""A network of the paper's kind, for the table of ablations only: UNet++ on a residual encoder, a heat map a class,
full size.

After EndoNet (Informatics 2023, 10(4), 90), smaller so that the budget of a CPU holds a few hundred steps: basic blocks
and widths 32 to 256 in place of ResNet-50, the tiles' own 0.5 µm/px in place of 512 px, targets of sigma 2.5 px
(theirs: 2.98). Huber loss with classes weighted 1 : 4, Adam 1e-3, and their keypoint extractor are kept.
"""

import time
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.evaluation.metric import Points
from inference.training.augment import Image
from inference.training.evaluate import BORDER, PLACES, bordered
from inference.training.model import Block, shrink
from inference.training.recipe import Recipe
from inference.training.train import Material, draw

WIDTHS = (32, 64, 128, 256)  # at scales 1/2 to 1/16
RATE = 1e-3
CLASS_WEIGHTS = (1.0, 4.0)  # stroma, epithelium
WINDOW = 5  # px: 13 of their 512 for 100 µm
FAINTEST = 0.02  # of the map: peaks below it aren't kept
GAIN = 100.0  # of the loss, which is small beside its gradients' clip


class Node(nn.Module):
    """A node of the nested decoder: what lies left of it at its scale, and what lies below, twice as large."""

    def __init__(self, left: int, below: int, width: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(left + below, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, left: list[Tensor], below: Tensor) -> Tensor:
        up = functional.interpolate(below, scale_factor=2.0, mode="nearest")
        return functional.relu(self.norm(self.join(torch.cat([*left, up], dim=1))))


class UNetPlusPlus(nn.Module):
    """(b, 3, h, w) RGB in [0, 1] to heat maps (b, 2, h, w): stroma, epithelium. h and w multiples of 16."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.down = nn.ModuleList(shrink(a, b) for a, b in pairwise((3, *widths)))
        self.encode = nn.ModuleList(nn.Sequential(Block(w), Block(w)) for w in widths)
        self.nodes = nn.ModuleDict(
            {
                f"{i}_{j}": Node(j * widths[i], widths[i + 1], widths[i])
                for j in range(1, len(self.encode))
                for i in range(len(self.encode) - j)
            }
        )
        self.last = nn.Sequential(nn.Conv2d(widths[0], 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) * 4
        grid: list[list[Tensor]] = []
        for shrinking, blocks in zip(self.down, self.encode, strict=True):
            x = blocks(shrinking(x))
            grid.append([x])
        for j in range(1, len(self.encode)):
            for i in range(len(self.encode) - j):
                grid[i].append(self.nodes[f"{i}_{j}"](grid[i][:j], grid[i + 1][j - 1]))
        out: Tensor = self.head(self.last(functional.interpolate(grid[0][-1], scale_factor=2.0, mode="nearest")))
        return out


def train_for(net: UNetPlusPlus, recipe: Recipe, material: Material, seconds: float) -> int:
    """Train in place until the time is over, at a rate that falls with it; returns the number of steps."""
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    began, steps = time.monotonic(), 0
    for batch in draw(recipe, material, 0):
        spent = (time.monotonic() - began) / seconds
        if spent >= 1:
            break
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (steps + 1) / 20) * (1 - 0.95 * spent)
        net.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            maps = net(batch.images)
        optimizer.zero_grad(set_to_none=True)
        loss_of(maps.float(), batch.target).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
        optimizer.step()
        steps += 1
    net.eval()
    return steps


def loss_of(maps: Tensor, target: Tensor) -> Tensor:
    """Huber's loss of (b, 2, h, w) maps against the Gaussians of each class, brought from `data.target`'s stride to
    full size.
    """
    nucleus, epithelium, _, inside = target[:, :4].unbind(1)
    classes = torch.stack([nucleus * (1 - epithelium), nucleus * epithelium], dim=1)
    wanted = functional.interpolate(classes, scale_factor=2.0, mode="bilinear", align_corners=False)
    counts = functional.interpolate(inside[:, None], scale_factor=2.0, mode="nearest")
    weights = torch.tensor(CLASS_WEIGHTS)[:, None, None]
    return GAIN * (functional.huber_loss(maps, wanted, reduction="none") * weights * counts).mean()


@torch.no_grad()
def predict(net: UNetPlusPlus, image: Image) -> Points:
    """Keypoints by their extractor: peaks of the larger map, of the class that it is."""
    x = torch.from_numpy(bordered(image)).permute(2, 0, 1)[None].float().div(255)
    best, label = net(x).max(dim=1, keepdim=True)
    highest = functional.max_pool2d(best, WINDOW, stride=1, padding=WINDOW // 2)
    peak = torch.where((best == highest) & (best >= FAINTEST), best, torch.zeros_like(best)).clamp(max=1)
    score, index = peak.flatten().topk(PLACES)
    rows, columns = (v.numpy() - BORDER for v in (index // best.shape[3], index % best.shape[3]))
    h, w = image.shape[:2]
    keep = (score.numpy() > 0) & (columns >= 0) & (rows >= 0) & (columns < w) & (rows < h)
    xy = np.stack([columns[keep], rows[keep]], axis=1).astype(np.float64)
    labels = label.flatten()[index].numpy()[keep].astype(np.int64)
    return Points(xy=xy, label=labels, confidence=score.numpy()[keep].astype(np.float64))
