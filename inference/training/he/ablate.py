"""The patent's parts, trained: the same short training with one part off at a time, as a table in Markdown.

    python -m inference.training.he.ablate --consep FOLDER --out RUNS [--steps 300] [--float32] [--only NAME ...]

Each row is a run from random weights on fold 0's training tiles, and its figures on fold 0. Goes on where it was
stopped: a run that is over, or measured, isn't done again. `--table` prints what is measured so far and does no more.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from inference.instances import PostProcess
from inference.training.he import data
from inference.training.he.evaluate import COLUMNS, answer_of_checkpoint, compared, maps_of
from inference.training.he.export import POSTPROCESS
from inference.training.he.loss import Weights
from inference.training.he.recipe import Recipe
from inference.training.he.train import KEPT, begin, resume, train

FOLD = 0
FIGURES = "figures.json"
SHOWN = (*COLUMNS[:2], "dice", *COLUMNS[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row: a table of network.toml, and what of it or of the recipe is other than in the base."""

    network: str = "small_patent"
    attention: bool = True
    cost: float = Weights().cost
    seed: int = 1


RUNS: Mapping[str, Run] = {
    "three branches, all parts, seed 1": Run(),
    "attention off": Run(attention=False),
    "cost-sensitive term off": Run(cost=0.0),
    "one trunk of the same cost": Run(network="small_trunk"),
    "three branches, all parts, seed 2": Run(seed=2),
    "three branches, all parts, seed 3": Run(seed=3),
    "attention of its own for each branch": Run(network="small_unshared"),
}
"""By the name of their row, in the order in which they run: stopped early, the base and the parts are there."""


def measured(run: Run, recipe: Recipe, tiles: list[data.Tile], out: Path, *, fast: bool) -> dict[str, float]:
    """Train to the recipe's end what isn't, and the figures on the fold, written beside the checkpoint."""
    if (out / FIGURES).exists():
        found: dict[str, float] = json.loads((out / FIGURES).read_text())["figures"]
        return found
    training, held = data.split(tiles, FOLD)
    recipe = replace(recipe, seed=run.seed, weights=replace(recipe.weights, cost=run.cost))
    state = begin(run.network, recipe, None, attention=run.attention)
    if (out / KEPT).exists():
        resume(state, out / KEPT)
    train(state, recipe, training, out, every=50, fast=fast)
    answer = answer_of_checkpoint(out / KEPT)
    seen = compared(held, [maps_of(tile.image, answer) for tile in held], PostProcess.read(POSTPROCESS))
    kept = {"run": asdict(run), "steps": state.step, "seconds": round(state.seconds), "figures": seen.figures}
    (out / FIGURES).write_text(json.dumps(kept, indent=1))
    return seen.figures


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """A row of Markdown for each run, and the least and most of the base's seeds."""
    rows = [f"| run | {' | '.join(SHOWN)} |", "|---" * (1 + len(SHOWN)) + "|"]
    rows += [f"| {name} | {' | '.join(f'{found[key]:.3f}' for key in SHOWN)} |" for name, found in figures.items()]
    base = [found for name, found in figures.items() if RUNS[name] == Run(seed=RUNS[name].seed)]
    if len(base) > 1:
        of = np.array([[found[key] for key in SHOWN] for found in base])
        spread = (f"{low:.3f} to {high:.3f}" for low, high in zip(of.min(axis=0), of.max(axis=0), strict=True))
        rows.append(f"| base, {len(base)} seeds | {' | '.join(spread)} |")
    return "\n".join(rows)


def folder_of(out: Path, name: str) -> Path:
    return out / name.replace(",", "").replace(" ", "-")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--consep", type=Path, required=True, help="folder of train_N.png and train_N.npz")
    parser.add_argument("--out", type=Path, required=True, help="a folder for each run is made in it")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--side", type=int, default=256, help="of a crop, px; the patent's is the default")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--average", type=float, default=0.98, help="of the weights, a step")
    parser.add_argument("--only", nargs="*", choices=RUNS, default=list(RUNS), metavar="NAME")
    parser.add_argument("--table", action="store_true", help="print the figures at hand, train nothing")
    parser.add_argument("--float32", action="store_true", help="compute in float32 instead of bfloat16")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    recipe = replace(Recipe(), steps=args.steps, batch=args.batch, side=args.side, rate=args.rate, average=args.average)
    if not args.table:
        tiles = data.consep(args.consep)
        for name in args.only:
            print(name, flush=True)
            measured(RUNS[name], recipe, tiles, folder_of(args.out, name), fast=not args.float32)
    at_hand = {name: folder_of(args.out, name) / FIGURES for name in RUNS}
    found = {name: json.loads(path.read_text())["figures"] for name, path in at_hand.items() if path.exists()}
    print(table(found))


if __name__ == "__main__":
    main()
