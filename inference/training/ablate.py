"""The table of ablations: short runs of equal budget, one thing changed in each, measured on the validation tiles.

    python -m inference.training.ablate --endonuke FOLDER --consep FOLDER --out docs/models/ablations.json [--steps 500]

A row that the file holds for these steps isn't run again, so a stopped table goes on where it was; `--only NAME` picks
rows. The networks have half the widths of the shipped one, so that a budget of minutes on a core holds enough steps.
Short runs show large effects only: a second seed of the base row tells how large a difference is noise.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from inference.evaluation.metric import Points, evaluate
from inference.evaluation.robustness import STRANGERS
from inference.training import comparison, data
from inference.training.augment import MILD, STRONG, Image
from inference.training.evaluate import predict
from inference.training.model import WIDTHS, NucleusNet, multiply_adds_per_pixel
from inference.training.recipe import Loss, Recipe
from inference.training.simclr import pretrain
from inference.training.train import Material, train

BASE = "base"
COMPARISON = "UNet++ with heat maps at full size"
SIMCLR = "SimCLR pre-training"
SIMCLR_STEPS = 200
WIDTH = 0.5  # of the channels of the shipped network
SECONDS_A_STEP = 0.2  # when the base row, which sets the comparison's time, isn't there

CHANGES: dict[str, dict[str, object]] = {
    BASE: {},
    "Huber loss": {"loss": Loss.HUBER},
    "stroma : epithelium 1 : 4": {"epithelium_weight": 4.0},
    "no stain augmentation": {"augmentation": replace(STRONG, stain_share=0)},
    "mild augmentation": {"augmentation": MILD},
    "no hue shift": {"augmentation": replace(STRONG, hue_share=0)},
    "no noise, blur, JPEG": {"augmentation": replace(STRONG, noise_share=0, blur_share=0, jpeg_share=0)},
    "no change of scale": {"augmentation": replace(STRONG, scale=(1.0, 1.0))},
    "no CoNSeP": {"he_share": 0.0},
    "mosaic in a quarter": {"augmentation": replace(STRONG, mosaic=0.25)},
    SIMCLR: {},
    COMPARISON: {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run. `seconds` of training (SimCLR's included), `mac_per_mm2` multiply-adds without halo, AP and F1 in [0,
    1].

    `strangers` is the mean mAP under the four mixtures of `inference.evaluation.robustness.STRANGERS`.
    """

    name: str
    steps: int
    budget: int
    seed: int
    seconds: float
    mac_per_mm2: float
    stroma: float
    epithelium: float
    mAP: float  # noqa: N815 - the field's spelling
    agnostic: float
    f1: float
    strangers: float


def run(name: str, steps: int, seed: int, material: Material, folder: Path, seconds: float) -> Row:
    """Train and measure one row; `seconds` is the comparison's budget."""
    torch.manual_seed(seed)
    recipe = replace(Recipe(seed=seed, steps=steps), **CHANGES[name])  # type: ignore[arg-type]
    began = time.monotonic()
    if name == COMPARISON:
        other = comparison.UNetPlusPlus(_narrow(comparison.WIDTHS))
        done = comparison.train_for(other, replace(recipe, steps=10**6), material, seconds)
        spent = time.monotonic() - began
        return measured(
            name,
            done,
            steps,
            seed,
            spent,
            multiply_adds_per_pixel(other),
            lambda i: comparison.predict(other, i),
            material,
        )
    net = NucleusNet(_narrow(WIDTHS))
    if name == SIMCLR:
        pretrain(net, [*material.training, *material.he], SIMCLR_STEPS, seed)
    train(net, recipe, replace(material, validation=(), keep_last=True), folder, every=steps)
    spent = time.monotonic() - began
    net.load_state_dict(torch.load(folder / "best.pt", weights_only=True)["net"])
    net.eval()
    return measured(name, steps, steps, seed, spent, multiply_adds_per_pixel(net), lambda i: predict(net, i), material)


def _narrow(widths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(round(w * WIDTH) for w in widths)


def measured(
    name: str,
    steps: int,
    budget: int,
    seed: int,
    seconds: float,
    mac: float,
    find: Callable[[Image], Points],
    material: Material,
) -> Row:
    """The row of a trained network: the validation tiles as they are, and under each mixture of changes."""
    annotated = [t.points for t in material.validation]
    plain = evaluate([find(t.image) for t in material.validation], annotated, mpp=0.5)
    strange = [
        evaluate([find(f(t.image)) for t in material.validation], annotated, mpp=0.5).mAP for f in STRANGERS.values()
    ]
    return Row(
        name=name,
        steps=steps,
        budget=budget,
        seed=seed,
        seconds=round(seconds, 1),
        mac_per_mm2=mac * 4e6,
        stroma=plain.stroma,
        epithelium=plain.epithelium,
        mAP=plain.mAP,
        agnostic=plain.agnostic,
        f1=plain.f1,
        strangers=float(np.mean(strange)),
    )


def table(rows: list[dict[str, object]]) -> str:
    """The rows as Markdown, in the order they were run."""
    lines = [
        "| one thing changed | seed | steps | minutes | 1e10 multiply-adds/mm² | mAP | epithelium | "
        "nuclei (agnostic) | strangers |"
    ]
    lines.append("|" + "---|" * 9)
    for r in rows:
        minutes, mac = float(str(r["seconds"])) / 60, float(str(r["mac_per_mm2"])) / 1e10
        figures = " | ".join(f"{float(str(r[k])):.3f}" for k in ("mAP", "epithelium", "agnostic", "strangers"))
        lines.append(f"| {r['name']} | {r['seed']} | {r['steps']} | {minutes:.1f} | {mac:.1f} | {figures} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endonuke", type=Path, required=True)
    parser.add_argument("--consep", type=Path, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON list of rows, gone on with where it exists; a .md beside it"
    )
    parser.add_argument("--runs", type=Path, default=Path(".runs/ablate"), help="folder of the runs' checkpoints")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", action="append", choices=list(CHANGES), help="rows to run (more than once: each); default all"
    )
    args = parser.parse_args()
    training, validation = data.split(data.endonuke(args.endonuke))
    material = Material(training=training, validation=validation, he=data.consep(args.consep))
    rows: list[dict[str, object]] = json.loads(args.out.read_text()) if args.out.exists() else []
    for name in args.only or CHANGES:
        if any((r["name"], r["budget"], r["seed"]) == (name, args.steps, args.seed) for r in rows):
            continue
        base = [float(str(r["seconds"])) for r in rows if (r["name"], r["budget"]) == (BASE, args.steps)]
        folder = args.runs / f"{args.steps}-{args.seed}-{list(CHANGES).index(name)}"
        row = run(name, args.steps, args.seed, material, folder, base[0] if base else SECONDS_A_STEP * args.steps)
        rows.append(asdict(row))
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
        args.out.with_suffix(".md").write_text(table(rows))
        print(json.dumps(asdict(row)), flush=True)


if __name__ == "__main__":
    main()
