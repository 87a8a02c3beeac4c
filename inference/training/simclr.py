"""SimCLR (Chen et al. 2020): pre-train the network's encoder on tiles without labels, to start `train` from.

    python -m inference.training.simclr --endonuke FOLDER [--consep FOLDER] --out RUN/simclr.pt [--steps 300]

Two crops of one tile, stained and turned each in its own way, should get the same code, and those of other tiles
another. Empty crops are left out by their mean and spread, as EndoNet does.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.training import data
from inference.training.augment import STRONG, Image, disturbed
from inference.training.model import NucleusNet

SIDE = 96  # px of a crop
PAIRS = 24  # of a batch
CODE = 64
TEMPERATURE = 0.2
RATE = 1e-3
SCALE = (0.7, 1.4)
EMPTY_MEAN, EMPTY_SPREAD = 225, 12  # a crop brighter and flatter than this holds no tissue


def pretrain(net: NucleusNet, tiles: list[data.Tile], steps: int, seed: int) -> list[float]:
    """Train the encoder of `net` in place; returns the losses."""
    project = nn.Sequential(nn.Linear(net.widths[-1], 128), nn.ReLU(), nn.Linear(128, CODE))
    encoder = [*net.down.parameters(), *net.encode.parameters()]
    optimizer = torch.optim.AdamW([*encoder, *project.parameters()], lr=RATE, weight_decay=0.01)
    losses = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 20) * (1 + np.cos(np.pi * step / steps)) / 2
        views = batch(tiles, np.random.default_rng((seed, step)))
        net.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            codes = project(net.features(views)[-1].mean(dim=(2, 3)))
        loss = contrast(functional.normalize(codes.float(), dim=1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def contrast(codes: Tensor) -> Tensor:
    """NT-Xent of (2n, c) unit codes; i and i + n are two views of one crop."""
    n = len(codes) // 2
    likeness = (codes @ codes.T / TEMPERATURE).masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    return functional.cross_entropy(likeness, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def batch(tiles: list[data.Tile], random: np.random.Generator) -> Tensor:
    """(2 PAIRS, 3, SIDE, SIDE) float32: first views, then second views."""
    first: list[Image] = []
    second: list[Image] = []
    while len(first) < PAIRS:
        tile = tiles[int(random.integers(len(tiles)))].image
        x, y = (int(random.integers(0, s - SIDE + 1)) for s in (tile.shape[1], tile.shape[0]))
        if not empty(tile[y : y + SIDE, x : x + SIDE]):
            first.append(_view(tile, x, y, random))
            second.append(_view(tile, x, y, random))
    images = torch.from_numpy(np.stack([*first, *second])).permute(0, 3, 1, 2)
    return images.float().div(255).contiguous(memory_format=torch.channels_last)


def empty(crop: Image) -> bool:
    """Is this glass?"""
    return bool(crop.mean() > EMPTY_MEAN and crop.std() < EMPTY_SPREAD)


def _view(tile: Image, x: int, y: int, random: np.random.Generator) -> Image:
    scale = np.exp(random.uniform(*np.log(SCALE)))
    angle = np.degrees(random.uniform(0, 2 * np.pi))
    move = random.uniform(-SIDE / 6, SIDE / 6, 2)
    matrix = np.asarray(cv2.getRotationMatrix2D((x + SIDE / 2, y + SIDE / 2), angle, scale), np.float64)
    matrix[:, 2] -= np.array([x, y]) - move
    view = cv2.warpAffine(tile, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return disturbed(np.asarray(view, np.uint8), STRONG, random)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endonuke", type=Path, required=True)
    parser.add_argument("--consep", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint for `train --start`")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    training, _ = data.split(data.endonuke(args.endonuke))
    net = NucleusNet()
    losses = pretrain(net, training + (data.consep(args.consep) if args.consep else []), args.steps, args.seed)
    torch.save({"net": net.state_dict(), "step": args.steps, "seed": args.seed}, args.out)
    print(f"loss {np.mean(losses[:10]):.3f} to {np.mean(losses[-10:]):.3f}")


if __name__ == "__main__":
    main()
