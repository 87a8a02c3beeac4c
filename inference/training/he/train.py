"""Train a network of H&E nuclei on CoNSeP's 27 training tiles; goes on where a run stopped.

    python -m inference.training.he.train --consep FOLDER --out RUN --network shared --fold 0 [--start nuclei.pt]

`--start` is a checkpoint of the nuclear network (`inference.training.from_graph` makes one of the shipped graph), or of
another run of the same network.
`last.pt` in RUN holds all that goes on, its `average` is the network; `log.jsonl` one line for each validation.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from inference.training.he import data
from inference.training.he.evaluate import answer_of_checkpoint
from inference.training.he.loss import Weights, costs, loss_of
from inference.training.he.model import HeNet, network, start_from
from inference.training.he.recipe import Recipe
from inference.training.he.teach import taught
from inference.training.model import multiply_adds_per_pixel
from inference.training.train import follow

KEPT = "last.pt"
PIXELS_PER_MM2 = 16e6


@dataclass(slots=True, kw_only=True)
class State:
    """What a run holds and goes on from; `average` of the weights is what it gives."""

    name: str
    net: HeNet
    average: HeNet
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def train(state: State, recipe: Recipe, tiles: Sequence[data.Tile], out: Path, *, every: int, fast: bool) -> None:
    """Train until the recipe's end; checkpoints and log go to `out`. `fast` computes in bfloat16."""
    out.mkdir(parents=True, exist_ok=True)
    matrix = costs(data.counts(list(tiles)))
    sums: dict[str, float] = {}
    since = state.step
    while (progress := recipe.progress(state.step, state.seconds)) < 1:
        began = time.monotonic()
        drawn = batch(tiles, recipe, state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = recipe.rate_at(progress) * group["share"]
        parts = _step(state, recipe, drawn, matrix, fast)
        sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
        state.step += 1
        state.seconds += time.monotonic() - began
        if state.step % every == 0 or recipe.progress(state.step, state.seconds) >= 1:
            n = state.step - since
            _log(out, state, progress, {name: round(value / n, 4) for name, value in sums.items()})
            save(state, out / KEPT)
            sums, since = {}, state.step


def _step(state: State, recipe: Recipe, drawn: Sequence[Tensor], matrix: Tensor, fast: bool) -> dict[str, float]:
    images, target, inside, answer = drawn
    state.net.train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
        maps = state.net(images)
    parts = loss_of(maps.float(), target, inside, answer, matrix, recipe.weights)
    state.optimizer.zero_grad(set_to_none=True)
    torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip)
    state.optimizer.step()
    follow(state.average, state.net, min(recipe.average, (state.step + 1) / (state.step + 10)))
    return {name: float(part.detach()) for name, part in parts.items()}


def batch(tiles: Sequence[data.Tile], recipe: Recipe, step: int) -> tuple[Tensor, ...]:
    """Pictures (b, 3, s, s) in 0..1, targets (b, 5, s, s), inside (b, s, s), answers (b, 8, s, s): what a step draws
    depends on the seed and the step only.
    """
    random = np.random.default_rng((recipe.seed, step))
    crops = [
        data.sample(list(tiles), recipe.augmentation, recipe.focus, random, recipe.side) for _ in range(recipe.batch)
    ]
    images = torch.from_numpy(np.stack([c.image for c in crops])).permute(0, 3, 1, 2).float().div(255)
    beside = (torch.from_numpy(np.stack([getattr(c, name) for c in crops])) for name in ("target", "inside", "answer"))
    return images.contiguous(memory_format=torch.channels_last), *beside


def begin(name: str, recipe: Recipe, start: Path | None, *, attention: bool = True) -> State:
    """A new run of the network `name`, from random weights or with those of the checkpoint `start`."""
    torch.manual_seed(recipe.seed)
    net = HeNet(network(name, attention=attention))
    known = start is not None and give(net, torch.load(start, map_location="cpu", weights_only=True))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(list(_groups(net, recipe, known)), lr=recipe.rate, betas=(0.9, 0.99))
    return State(name=name, net=net, average=copy.deepcopy(net).eval(), optimizer=optimizer)


def give(net: HeNet, kept: dict[str, Any]) -> bool:
    """Weights of an H&E run (its average), or of the nuclear network, True then: only a part of them is known."""
    if "network" in kept:
        net.load_state_dict(kept["average"])
        return False
    start_from(net, kept["net"])
    return True


def _groups(net: HeNet, recipe: Recipe, known: bool) -> Iterator[dict[str, object]]:
    """Parameters with their weight decay and their share of the rate: scale 1/4 and coarser may be known."""
    for share, taken in ((recipe.known_rate, True), (1.0, False)):
        of = [p for n, p in net.named_parameters() if (known and _may_be_known(n)) == taken]
        for decay, kept in ((recipe.decay, [p for p in of if p.ndim > 1]), (0.0, [p for p in of if p.ndim <= 1])):
            if kept:
                yield {"params": kept, "weight_decay": decay, "share": share}


def _may_be_known(name: str) -> bool:
    """branches.B.PART.SCALE.…: encoder and decoder from the second scale on."""
    parts = name.split(".")
    return parts[0] == "branches" and parts[2] != "head" and int(parts[3]) > 0


def save(state: State, path: Path) -> None:
    """A run killed while it writes keeps the checkpoint before."""
    part = path.with_name(path.name + ".part")
    kept: dict[str, object] = {"network": state.name, "net": state.net.state_dict()}
    kept |= {"average": state.average.state_dict()}
    kept |= {"attention": state.net.attention_of(0) is not None}
    kept |= {"optimizer": state.optimizer.state_dict(), "step": state.step, "seconds": state.seconds}
    torch.save(kept, part)
    part.replace(path)


def resume(state: State, path: Path) -> None:
    """Bring a run just begun to where `path` says it was. Raises ValueError on another network's."""
    kept = torch.load(path, map_location="cpu", weights_only=True)
    if kept["network"] != state.name:
        raise ValueError(f"{path} is of the network {kept['network']}, not {state.name}: give another --out")
    state.net.load_state_dict(kept["net"])
    state.average.load_state_dict(kept["average"])
    state.optimizer.load_state_dict(kept["optimizer"])
    state.step, state.seconds = int(kept["step"]), float(kept["seconds"])


def _log(out: Path, state: State, progress: float, parts: dict[str, float]) -> None:
    line = {"step": state.step, "minutes": round(state.seconds / 60, 2), "progress": round(progress, 3), **parts}
    print(json.dumps(line), flush=True)
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def main() -> None:
    d = Recipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--consep", type=Path, required=True, help="folder of train_N.png and train_N.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log; goes on where it exists")
    parser.add_argument("--network", default="shared", help="a table of network.toml (default: %(default)s)")
    parser.add_argument(
        "--start", type=Path, help="checkpoint of the nuclear network, or of an H&E run; default: random weights"
    )
    parser.add_argument("--fold", type=int, choices=range(3), help="of folds.json, left out; default: train on all")
    parser.add_argument("--steps", type=int, default=d.steps)
    parser.add_argument(
        "--minutes", type=float, default=d.minutes, help="end the cycle then, however many steps it was"
    )
    parser.add_argument("--batch", type=int, default=d.batch)
    parser.add_argument("--rate", type=float, default=d.rate)
    parser.add_argument("--cost", type=float, default=d.weights.cost, help="of the cost-sensitive term; 0: without")
    parser.add_argument(
        "--teacher",
        type=Path,
        action="append",
        default=[],
        help="checkpoint of an H&E run to learn from (more than once: their mean)",
    )
    parser.add_argument("--taught", type=float, default=d.weights.taught, help="share of the loss that follows it")
    parser.add_argument("--no-attention", action="store_true", help="leave the attention module out")
    parser.add_argument("--seed", type=int, default=d.seed)
    parser.add_argument("--every", type=int, default=50, help="steps between checkpoints")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="compute in float32 instead of bfloat16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    recipe = replace(
        d, seed=args.seed, steps=args.steps, minutes=args.minutes, batch=args.batch, rate=args.rate,
        weights=replace(Weights(), cost=args.cost, taught=args.taught),
    )  # fmt: skip
    tiles = data.consep(args.consep)
    tiles = tiles if args.fold is None else data.split(tiles, args.fold)[0]
    if args.taught:
        tiles = taught(tiles, [answer_of_checkpoint(path) for path in args.teacher])
    state = begin(args.network, recipe, args.start, attention=not args.no_attention)
    if (args.out / KEPT).exists():
        resume(state, args.out / KEPT)
    cost = multiply_adds_per_pixel(state.average) * PIXELS_PER_MM2
    print(f"{len(tiles)} tiles, {cost:.3g} multiply-adds/mm² without halo, from step {state.step}", flush=True)
    train(state, recipe, tiles, args.out, every=args.every, fast=not args.float32)


if __name__ == "__main__":
    main()
