"""Post-processing searched without training: window, suppression, fusion, compartment's window, average over turns.

    python -m inference.training.search --checkpoint RUN/best.pt --endonuke FOLDER --out docs/models/postprocessing.json

On the validation tiles; the network's logits are computed once.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from inference.evaluation.metric import Points, evaluate
from inference.training import data
from inference.training.evaluate import logits_of, points
from inference.training.model import NucleusNet, load

WINDOWS = (3, 5, 7, 9)  # heat-map px
COMPARTMENT_WINDOWS = (3, 5, 7)
RADII = (4.0, 5.0, 6.0, 7.0)  # px within which a weaker peak is suppressed or fused


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Logits of a bordered tile, and the tile's (h, w)."""

    logits: Tensor
    size: tuple[int, int]


def variants(plain: list[Maps], turned: list[Maps]) -> Iterator[tuple[str, list[Points]]]:
    """Name and keypoints of every way tried; the first is the one in the graph."""
    yield "as exported (window 3)", [points(m.logits, m.size) for m in plain]
    for window in WINDOWS[1:]:
        yield f"window {window}", [points(m.logits, m.size, window=window) for m in plain]
    for window in COMPARTMENT_WINDOWS:
        yield (
            f"compartment averaged over {window} px more",
            [points(_compartment(m, window).logits, m.size) for m in plain],
        )
    for radius in RADII:
        yield f"suppression within {radius:g} px", [suppressed(points(m.logits, m.size), radius) for m in plain]
    for radius in RADII[:2]:
        yield f"weighted fusion within {radius:g} px", [fused(points(m.logits, m.size), radius) for m in plain]
    yield "eight turns averaged (eight times the cost)", [points(m.logits, m.size) for m in turned]


def suppressed(p: Points, radius_px: float) -> Points:
    """Without the peaks that lie within the radius of a stronger kept one."""
    return _grouped(p, radius_px, lambda members: members[0])


def fused(p: Points, radius_px: float) -> Points:
    """Each kept peak moves to the mean of what it suppresses, weighted by confidence."""
    return _grouped(p, radius_px, lambda members: np.average(members[:, :2], axis=0, weights=members[:, 2]))


def _grouped(p: Points, radius_px: float, place: Callable[[np.ndarray], np.ndarray]) -> Points:
    order = np.argsort(-p.confidence, kind="stable")
    free = np.ones(len(order), bool)
    rows = np.column_stack([p.xy, p.confidence])
    kept, xy = [], []
    for i in order:
        if not free[i]:
            continue
        near = free & (np.hypot(*(p.xy - p.xy[i]).T) < radius_px)
        near[i] = True
        members = np.concatenate([[i], np.setdiff1d(np.flatnonzero(near), [i])])
        kept.append(i)
        xy.append(place(rows[members])[:2])
        free[near] = False
    return Points(xy=np.array(xy).reshape(-1, 2), label=p.label[kept], confidence=p.confidence[kept])


def _compartment(m: Maps, window: int) -> Maps:
    """The compartment's logit averaged once more, before the 3 x 3 average that is part of the graph."""
    mean = functional.avg_pool2d(m.logits[:, 1:], window, stride=1, padding=window // 2)
    return replace(m, logits=torch.cat([m.logits[:, :1], mean], dim=1))


def maps(net: NucleusNet, tiles: list[data.Tile], *, averaged: bool) -> list[Maps]:
    return [
        Maps(logits=logits_of(net, t.image, averaged=averaged), size=(t.image.shape[0], t.image.shape[1]))
        for t in tiles
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--endonuke", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    _, tiles = data.split(data.endonuke(args.endonuke))
    net = load(args.checkpoint)
    rows = []
    for name, predicted in variants(maps(net, tiles, averaged=False), maps(net, tiles, averaged=True)):
        e = evaluate(predicted, [t.points for t in tiles], mpp=0.5)
        rows.append(
            {
                "name": name,
                "mAP": e.mAP,
                "stroma": e.stroma,
                "epithelium": e.epithelium,
                "agnostic": e.agnostic,
                "f1": e.f1,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
