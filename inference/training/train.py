"""Train the nucleus network from annotated tiles, in one command, top to bottom.

    python -m inference.training.train --endonuke FOLDER [--consep FOLDER] --out RUN [--steps 3500]

Deterministic by seed on one machine, also when it resumes from RUN/last.pt; writes RUN/best.pt (the best averaged
weights on the validation tiles; with --all the last ones) and RUN/log.jsonl. bf16 on CPU and GPU unless
`--float32`, which is faster on processors without instructions for bf16. Every hyper-parameter: `recipe.py`.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference.training import data, groups
from inference.training.augment import STRENGTHS
from inference.training.evaluate import TURNS, turned, turned_back, validate
from inference.training.loss import distance_to, loss_of
from inference.training.model import NucleusNet, load, multiply_adds_per_pixel
from inference.training.recipe import Recipe, Schedule
from inference.training.recoloured import consep_as_ihc
from inference.training.rendered import rendered
from inference.training.teach import taught

DRAWN = 400  # invented tiles of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a run learns from and is measured on. `teachers` answer the same crops; none without distillation.

    `others` are further sets of tiles with the share of crops that each gives.
    """

    training: Sequence[data.Tile]
    validation: Sequence[data.Tile]
    he: Sequence[data.Tile] = ()
    others: Sequence[tuple[float, Sequence[data.Tile]]] = ()
    teachers: Sequence[nn.Module] = field(default=())
    keep_last: bool = False


def train(
    net: nn.Module,
    recipe: Recipe,
    material: Material,
    out: Path,
    *,
    every: int = 250,
    threads: int = 1,
    fast: bool = True,
) -> list[float]:
    """Train `net` in place and return the loss of each step of this call; checkpoints and log go to `out`. `fast`
    computes in bfloat16.
    """
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net).eval()
    optimizer = torch.optim.AdamW(_groups(net, recipe), lr=recipe.rate, betas=(0.9, 0.99))
    teachers = [t.to(device).eval() for t in material.teachers]
    start, best = _resume(out / "last.pt", net, average, optimizer)
    out.mkdir(parents=True, exist_ok=True)
    losses: list[float] = []
    began = time.monotonic()
    for step, batch in enumerate(draw(recipe, material, start), start):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, recipe)
        random = np.random.default_rng((recipe.seed, step, 1))
        loss = _step(net, batch.to(device), recipe, teachers, random, fast=fast)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
        optimizer.step()
        follow(average, net, _kept(step, recipe))
        losses.append(float(loss.detach()))
        if (step + 1) % every == 0 or step + 1 == recipe.steps:
            result = validate(average, list(material.validation)) if material.validation else {"mAP": 0.0}
            _log(
                out,
                {
                    "step": step + 1,
                    "loss": float(np.mean(losses[-every:])),
                    "seconds": time.monotonic() - began,
                    **result,
                },
            )
            if result["mAP"] >= best or material.keep_last:
                best = result["mAP"]
                _save({"net": average.state_dict(), "step": step + 1, "seed": recipe.seed}, out / "best.pt")
            kept = {"net": net.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
            _save({**kept, "step": step + 1, "best": best}, out / "last.pt")
    return losses


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`clean` and `images` (b, 3, s, s) float32 in [0, 1], `target` (b, 7, s/2, s/2) as of `data.Crop`."""

    clean: Tensor
    images: Tensor
    target: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(clean=self.clean.to(device), images=self.images.to(device), target=self.target.to(device))


def draw(recipe: Recipe, material: Material, start: int) -> Iterator[Batch]:
    """The batches from step `start` on; what a step draws depends on the seed and the step only."""
    for step in range(start, recipe.steps):
        random = np.random.default_rng((recipe.seed, step))
        crops = [_crop(step * recipe.batch + i, step, recipe, material, random) for i in range(recipe.batch)]
        clean, images = (_tensor(np.stack([getattr(c, name) for c in crops])) for name in ("clean", "image"))
        yield Batch(clean=clean, images=images, target=torch.from_numpy(np.stack([c.target for c in crops])))


def _crop(number: int, step: int, recipe: Recipe, material: Material, random: np.random.Generator) -> data.Crop:
    other = material.training[int(random.integers(len(material.training)))]
    if material.he and step < recipe.he_until * recipe.steps and random.random() < recipe.he_share:
        return data.sample(material.he[int(random.integers(len(material.he)))], other, recipe.augmentation, random)
    chance = random.random() if material.others else 1.0
    for share, tiles in material.others:
        if chance < share:
            one, two = (tiles[int(i)] for i in random.integers(len(tiles), size=2))
            return data.sample(one, two, recipe.augmentation, random)
        chance -= share
    epoch, place = divmod(number, len(material.training))  # every tile once an epoch, in a new order
    order = np.random.default_rng((recipe.seed, 7, epoch)).permutation(len(material.training))
    return data.sample(material.training[order[place]], other, recipe.augmentation, random)


def _tensor(images: npt.NDArray[np.uint8]) -> Tensor:
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
    return x.contiguous(memory_format=torch.channels_last)


def _step(
    net: nn.Module,
    batch: Batch,
    recipe: Recipe,
    teachers: Sequence[nn.Module],
    random: np.random.Generator,
    *,
    fast: bool,
) -> Tensor:
    """The loss of a batch. Answers that came with the tiles are followed where known; else one teacher, drawn, sees the
    batch unstained and turned at random: over the steps all of them in all turns.
    """
    net.train()
    with torch.autocast(batch.images.device.type, dtype=torch.bfloat16, enabled=fast):
        logits = net(batch.images).float()
        loss = loss_of(logits, batch.target, recipe)
        known = batch.target[:, 6]
        if recipe.distil and bool(known.any()):
            return (1 - recipe.distil) * loss + recipe.distil * distance_to(batch.target[:, 4:6], logits, known)
        if not teachers or not recipe.distil:
            return loss
        teacher, turn = teachers[int(random.integers(len(teachers)))], TURNS[int(random.integers(len(TURNS)))]
        with torch.no_grad():
            answer = turned_back(teacher(turned(batch.clean, *turn)).float(), *turn)
        return (1 - recipe.distil) * loss + recipe.distil * distance_to(answer, logits, batch.target[:, 3])


def rate_at(step: int, recipe: Recipe) -> float:
    """The learning rate of a step, counted from 0."""
    match recipe.schedule:
        case Schedule.CYCLE:
            rise = max(recipe.warm_up * recipe.steps, 1)
            if step < rise:
                return recipe.rate * float(0.04 + 0.96 * (1 - np.cos(np.pi * step / rise)) / 2)
            return recipe.rate * max(float(1 + np.cos(np.pi * (step - rise) / max(recipe.steps - rise, 1))) / 2, 1e-5)
        case Schedule.PLATEAU:
            fall = (recipe.steps - step) / (0.25 * recipe.steps)
            return recipe.rate * min(1.0, (step + 1) / max(recipe.warm_up, 1), max(0.1, fall))


def _kept(step: int, recipe: Recipe) -> float:
    """How much of the average a step keeps: little at first; on the plateau an even average of all steps so far."""
    if recipe.schedule is Schedule.PLATEAU:
        return min(recipe.average, (step + 1) / (step + 2))
    return min(recipe.average, (step + 1) / (step + 10))


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, keep: float) -> None:
    """Running average of weights and of the norms' statistics."""
    for a, b in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if a.dtype.is_floating_point:
            a.lerp_(b, 1 - keep)
        else:
            a.copy_(b)


def _groups(net: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    return [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": recipe.decay},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _resume(path: Path, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    kept = torch.load(path, map_location=next(net.parameters()).device, weights_only=True)
    net.load_state_dict(kept["net"])
    average.load_state_dict(kept["average"])
    optimizer.load_state_dict(kept["optimizer"])
    return int(kept["step"]), float(kept["best"])


def _save(kept: dict[str, object], path: Path) -> None:
    """A run killed while it writes keeps the checkpoint before."""
    part = path.with_name(path.name + ".part")
    torch.save(kept, part)
    part.replace(path)


def _log(out: Path, line: dict[str, float]) -> None:
    print(json.dumps(line), flush=True)
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def material_of(args: argparse.Namespace) -> Material:
    """What the command line asks for."""
    tiles = data.endonuke(args.endonuke)
    training, validation = data.split(tiles) if args.fold is None else groups.split(tiles, args.fold)
    training, teachers = tiles if args.all else training, [load(p) for p in args.teacher]
    if teachers and args.whole_tiles:
        torch.set_num_threads(args.threads)
        training, teachers = taught(training, list(teachers)), []
    others: list[tuple[float, Sequence[data.Tile]]] = []
    if args.recoloured:
        recoloured = consep_as_ihc(args.consep)
        if args.fold is not None:
            recoloured, _ = groups.split(recoloured, args.fold, "consep")
        others.append((args.recoloured, recoloured))
    if args.drawn:
        others.append((args.drawn, [rendered(args.seed * 100_000 + i) for i in range(DRAWN)]))
    he = data.consep(args.consep) if args.consep and not args.recoloured else ()
    return Material(
        training=training,
        validation=validation,
        he=he,
        others=others,
        teachers=teachers,
        keep_last=args.all or args.keep_last,
    )


def main() -> None:
    d = Recipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--endonuke", type=Path, required=True, help="folder of images/N.png and labels/N.txt, 0.5 µm/px"
    )
    parser.add_argument(
        "--consep", type=Path, help="folder of train_N.png and train_N.npz: H&E tiles for the first part"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of checkpoints and log; resumed where it exists"
    )
    parser.add_argument("--start", type=Path, help="checkpoint to go on from; default: random weights")
    parser.add_argument(
        "--teacher", type=Path, action="append", default=[], help="checkpoint to learn from (more than once: each)"
    )
    parser.add_argument("--distil", type=float, default=d.distil, help="share of the loss that follows the teachers")
    parser.add_argument("--steps", type=int, default=d.steps)
    parser.add_argument("--rate", type=float, default=d.rate)
    parser.add_argument("--schedule", choices=[s.value for s in Schedule], default=d.schedule.value)
    parser.add_argument(
        "--warm-up", type=float, default=d.warm_up, help="share of the steps (cycle), or steps (plateau)"
    )
    parser.add_argument(
        "--average", type=float, default=d.average, help="what the average of the weights keeps each step"
    )
    parser.add_argument("--augment", choices=sorted(STRENGTHS), default="strong")
    parser.add_argument("--mosaic", type=float, default=0.0, help="share of crops that two tiles make up")
    parser.add_argument("--seed", type=int, default=d.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="compute in float32 instead of bfloat16")
    parser.add_argument("--every", type=int, default=250, help="steps between validations and checkpoints")
    parser.add_argument(
        "--fold", type=int, choices=range(groups.FOLDS), help="of groups.json, validates; default: split.json"
    )
    parser.add_argument("--whole-tiles", action="store_true", help="teachers answer each tile once, over eight turns")
    parser.add_argument(
        "--recoloured", type=float, default=0.0, help="share of crops of H&E tiles made IHC (needs --consep)"
    )
    parser.add_argument("--drawn", type=float, default=0.0, help="share of crops of invented tiles")
    parser.add_argument(
        "--keep-last", action="store_true", help="best.pt is the last state, whatever the validation says"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="train on the validation tiles too (not on H&E of the fold): their figures then mean nothing",
    )
    args = parser.parse_args()
    material = material_of(args)
    recipe = Recipe(
        seed=args.seed,
        steps=args.steps,
        rate=args.rate,
        schedule=Schedule(args.schedule),
        warm_up=args.warm_up,
        average=args.average,
        distil=args.distil,
        augmentation=replace(STRENGTHS[args.augment], mosaic=args.mosaic),
    )
    torch.manual_seed(args.seed)
    net = load(args.start) if args.start else NucleusNet()
    cost = multiply_adds_per_pixel(net) * 4e6
    others = sum(len(t) for _, t in material.others)
    print(f"{len(material.training)} + {len(material.he)} + {others} tiles, {cost:.3g} multiply-adds/mm²", flush=True)
    train(net, recipe, material, args.out, every=args.every, threads=args.threads, fast=not args.float32)


if __name__ == "__main__":
    main()
