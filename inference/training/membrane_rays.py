"""Fit the network of `inference/analyzers/membrane_rays.py` on drawn cells of known truth, and write its weights.

    python -m inference.training.membrane_rays [--drawings 96] [--epochs 30] [--out FILE]

About six minutes of one core. Drawings are of laboratories at random, half of them beyond `Scanner.any` in blur,
noise, compression and widths of membranes; at 0.25 and at 0.5 µm/px. What is fitted is each ray's staining and each
cell's completeness.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from inference.analyzers.her2 import CLASSES
from inference.analyzers.membrane_cells import HALO, THRESHOLDS, arcs, contoured
from inference.analyzers.membrane_columns import gain
from inference.analyzers.membrane_contour import ANGLE, RAYS
from inference.analyzers.membrane_criteria import LEAST_SCALE, MOST_SCALE, MembraneCriteria
from inference.analyzers.membrane_rays import ACROSS, ALONG, APART, OFFSETS_UM, PLANES, WEIGHTS, profiles, told
from inference.draw.expression import STAINED, WIDTHS_UM
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.draw.tessellation import Floats, Ints
from inference.stain import unmixing

FIRST_SEED, SIDE_UM = 5000, 250.0
RESOLUTIONS = (0.25, 0.5)
HIDDEN, FEW, SETTLED = 32, 4, 8
BATCH, RATE = 32, 4e-3
BESIDE_UM, FARTHEST_UM, TURN_RAYS = (0.1, 0.9), 1.6, 5.0
"""Contours beside the one that is found: their deviation from it, the most, and over how many rays it keeps."""
_BESIDE = (0.6, 0.2, 0.2)
"""How often the found contour is shown, and each of those beside it."""
SCALE_UNSURE = 0.05
COMPLETENESS_WEIGHT, SHARPER = 2.0, 3.0
NEAREST_UM, EDGE_UM = 4.0, 6.0
HELD = (-4.0, 25.0)
"""In units of the threshold: so dense a membrane is stained whatever else it is."""
MIX = dict.fromkeys(CLASSES, 1.0) | {"none": 3.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Of a drawing's n cells that were found: what the network sees, (n, RAYS, offsets x planes), in units of the
    laboratory's threshold, of the contour that is found and of two beside it; whether each ray is stained; the
    contour's length by ray; the cell's completeness.
    """

    seen: tuple[torch.Tensor, ...]
    told: torch.Tensor
    stained: torch.Tensor
    arc: torch.Tensor
    completeness: torch.Tensor


def sample(drawing: Her2Drawing) -> Sample:
    """Cells of a drawing as the analyzer finds them, beside what was drawn."""
    scanner, mpp = drawing.scanner, drawing.scanner.mpp
    around = cv2.copyMakeBorder(drawing.pixels(), HALO, HALO, HALO, HALO, cv2.BORDER_REFLECT_101)
    density = np.log10(256) - np.log10(around.astype(np.float32) + 1)
    haematoxylin, dab = np.moveaxis((density @ unmixing())[..., :2].astype(np.float32), -1, 0)
    found = contoured(np.ascontiguousarray(haematoxylin), np.ascontiguousarray(dab) * np.float32(gain(mpp)), mpp)
    xy = (np.stack([found.nuclei.x, found.nuclei.y], axis=1).astype(np.float64) - HALO) * mpp
    cells, ours = _matched(drawing, xy)
    scale = float(np.clip(1 / scanner.density_scale, LEAST_SCALE, MOST_SCALE))
    threshold = THRESHOLDS[MembraneCriteria(od_scale=scale).step]
    random, nuclei = np.random.default_rng(len(ours)), found.nuclei
    seen = [found.seen[ours]]
    for _ in _BESIDE[1:]:
        radius = found.radius[ours] + _beside(len(ours), random)
        seen.append(profiles(found.planes, nuclei.x[ours], nuclei.y[ours], radius, ANGLE, mpp))
    return Sample(
        seen=tuple(torch.tensor(np.clip(one / np.float32(threshold), *HELD)) for one in seen),
        told=torch.tensor(told(mpp, threshold)),
        stained=torch.tensor(_stained(drawing, cells, xy[ours])),
        arc=torch.tensor(arcs(found.radius[ours])),
        completeness=torch.tensor(drawing.expression.completeness[cells].astype(np.float32)),
    )


def _beside(n: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """How far other contours of n cells lie off, (n, RAYS) µm."""
    turned = np.tile(random.standard_normal((n, RAYS)), 3)
    away = np.asarray(cv2.GaussianBlur(turned, (8 * int(TURN_RAYS) + 1, 1), TURN_RAYS)[:, RAYS : 2 * RAYS], np.float64)
    away *= random.uniform(*BESIDE_UM) / max(float(away.std()), 1e-6)
    return np.asarray(away.clip(-FARTHEST_UM, FARTHEST_UM), np.float32)


def _matched(drawing: Her2Drawing, xy: Floats) -> tuple[Ints, Ints]:
    """Cells that can be judged and lie wholly on the drawing, and the place in `xy` (n, 2) µm of each one's nucleus."""
    centre, side = drawing.cells.centre, drawing.plan.side_um
    judged = drawing.tumour & ~drawing.tangential & ~drawing.empty
    cells = np.flatnonzero(judged & ((centre > EDGE_UM) & (centre < side - EDGE_UM)).all(axis=1))
    squared = ((xy[None] - centre[cells][:, None]) ** 2).sum(axis=2)
    there = squared.min(axis=1) < NEAREST_UM**2
    return cells[there], squared.argmin(axis=1)[there]


def _stained(drawing: Her2Drawing, cells: Ints, xy: Floats) -> npt.NDArray[np.float32]:
    """Whether the segment of its contour that lies on each ray from (x, y) is stained, (n, RAYS)."""
    drawn = drawing.cells
    found = np.empty((len(cells), RAYS), np.float32)
    for i, (cell, at) in enumerate(zip(cells.tolist(), xy, strict=True)):
        segments = np.flatnonzero((drawn.sides == cell).any(axis=1))
        away = drawn.middle[segments] - at
        turn = np.arctan2(away[:, 1], away[:, 0])[None] - ANGLE[:, None]
        nearest = np.abs((turn + np.pi) % (2 * np.pi) - np.pi).argmin(axis=1)
        found[i] = drawing.expression.density[segments[nearest]] >= STAINED
    return found


def drawings(n: int) -> Iterator[Her2Drawing]:
    """Every one at each of RESOLUTIONS."""
    for i in range(n // len(RESOLUTIONS)):
        for mpp in RESOLUTIONS:
            random = np.random.default_rng(FIRST_SEED + i)
            scanner, cell_um = Scanner.any(random, mpp), float(random.uniform(11, 20))
            plan = Plan(side_um=SIDE_UM, mix=MIX, cell_um=cell_um)
            if i % 2:
                scanner, plan = _farther(scanner, plan, random)
            yield Her2Drawing(plan, scanner, FIRST_SEED + i)


def _farther(scanner: Scanner, plan: Plan, random: np.random.Generator) -> tuple[Scanner, Plan]:
    by, blur_um, noise = (float(random.uniform(low, high)) for low, high in ((0.85, 1.2), (0.2, 0.5), (1, 4.5)))
    jpeg, alike = int(random.integers(65, 92)), float(random.uniform(0.5, 0.9))
    faint, moderate, intense = (by * width for width in WIDTHS_UM)
    wide = replace(plan, widths_um=(faint, moderate, intense), alike=alike)
    return replace(scanner, blur_um=blur_um, noise=noise, jpeg=jpeg), wide


class Network(nn.Module):
    """(n, RAYS, offsets x planes) to (n, RAYS) logits, as `inference.analyzers.membrane_rays` computes them."""

    def __init__(self) -> None:
        super().__init__()
        self.across = _along_rays(len(OFFSETS_UM) * PLANES, HIDDEN, ACROSS)
        self.told = nn.Linear(2, HIDDEN, bias=False)
        self.mid = nn.Conv1d(HIDDEN, FEW, 1)
        self.along = _along_rays(FEW, SETTLED, ALONG)
        self.out = nn.Conv1d(SETTLED, 1, 1)
        self.direct = nn.Conv1d(FEW, 1, 1, bias=False)
        nn.init.normal_(self.across.weight, std=0.02)

    def forward(self, seen: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.across(seen.transpose(1, 2)) + self.told(said)[None, :, None])
        few = self.mid(hidden)
        found: torch.Tensor = self.out(torch.relu(self.along(few))) + self.direct(few)
        return found[:, 0]


def _along_rays(wide: int, out: int, rays: int) -> nn.Conv1d:
    return nn.Conv1d(wide, out, rays, padding=APART * (rays // 2), dilation=APART, padding_mode="circular")


def fitted(samples: Sequence[Sample], epochs: int) -> Network:
    """Deterministic but for the order in which a processor adds. Of a drawing's cells now the contour that is found is
    seen, now one beside it; half of them the other way round; the scale is never quite known.
    """
    torch.manual_seed(0)
    random, network = np.random.default_rng(0), Network()
    step = torch.optim.Adam(network.parameters(), RATE, weight_decay=1e-5)
    batches = [(s, part) for s in samples for part in _parts(len(s.arc), random)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(step, max(epochs * len(batches), 1))
    for _ in range(epochs):
        for i in random.permutation(len(batches)).tolist():
            s, part = batches[i]
            way = random.choice(len(s.seen), p=_BESIDE)
            shown = [s.seen[way][part], s.stained[part], s.arc[part]]
            if random.random() < 0.5:
                shown = [values.flip(1) for values in shown]
            seen, stained, arc = shown
            by = float(np.exp(random.normal(0, SCALE_UNSURE)))
            logits = network(seen / by, s.told + torch.tensor([0.0, float(np.log(by))]))
            share = (torch.sigmoid(SHARPER * logits) * arc).sum(1) / arc.sum(1)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, stained)
            loss = loss + COMPLETENESS_WEIGHT * (share - s.completeness[part]).abs().mean()
            step.zero_grad()
            loss.backward()
            step.step()
            schedule.step()
    return network


def _parts(n: int, random: np.random.Generator) -> Sequence[Ints]:
    return np.array_split(random.permutation(n), max(n // BATCH, 1))


def write(network: Network, path: Path) -> None:
    """As `inference.analyzers.membrane_rays` reads them."""
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    np.savez_compressed(
        path,
        across=weights["across.weight"].transpose(2, 1, 0),
        told=weights["told.weight"].T,
        bias=weights["across.bias"],
        mid=weights["mid.weight"][..., 0].T,
        mid_bias=weights["mid.bias"],
        along=weights["along.weight"].transpose(2, 1, 0),
        along_bias=weights["along.bias"],
        out=weights["out.weight"][0, :, 0],
        direct=weights["direct.weight"][0, :, 0],
        out_bias=weights["out.bias"][0],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--drawings", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    write(fitted([sample(drawing) for drawing in drawings(asked.drawings)], asked.epochs), asked.out)


if __name__ == "__main__":
    main()
