"""Train the nucleus network from annotated tiles, in one command, top to bottom.

    python -m inference.training.train --endonuke FOLDER [--consep FOLDER] --out RUN [--steps 3200]

Deterministic by seed on one machine; resumes from RUN/last.pt; writes RUN/best.pt (best validation mAP of the averaged
weights) and RUN/log.jsonl. CoNSeP's H&E tiles, where given, only take part in the first part of the run.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from inference.training import data
from inference.training.evaluate import validate
from inference.training.model import NucleusNet, multiply_adds_per_pixel

BATCH = 8
RATE = 2.5e-3
WARM_UP = 0.1  # share of the steps
DECAY = 0.03
AVERAGE = 0.997  # per step, of the weights
HE_SHARE = 0.3  # of a batch, from CoNSeP ...
HE_UNTIL = 0.4  # ... until this share of the steps
COMPARTMENT_WEIGHT = 1.0
SMOOTHING = 0.05  # of the compartment's label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--endonuke", type=Path, required=True, help="folder of images/N.png and labels/N.txt, 0.5 µm/px")
    parser.add_argument("--consep", type=Path, help="folder of train_N.png and train_N.npz: H&E tiles for the first part")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and log; resumed where it exists")
    parser.add_argument("--steps", type=int, default=3200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=200, help="steps between validations and checkpoints")
    parser.add_argument("--all", action="store_true", help="train on the validation tiles too: their figures then mean nothing")
    args = parser.parse_args()
    run(args.endonuke, args.consep, args.out, args.steps, args.seed, args.threads, args.every, args.all)


def run(
    endonuke: Path, consep: Path | None, out: Path, steps: int, seed: int, threads: int = 1, every: int = 200, use_all: bool = False
) -> list[float]:
    """Train and return the loss of each step of this call; checkpoints and log go to `out`."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tiles = data.endonuke(endonuke)
    training, validation = data.split(tiles)
    training = tiles if use_all else training
    he = data.consep(consep) if consep else []
    out.mkdir(parents=True, exist_ok=True)

    net = NucleusNet().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net).eval()
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=WARM_UP)
    start, best = 0, 0.0
    if (out / "last.pt").exists():
        kept = torch.load(out / "last.pt", map_location=device, weights_only=True)
        net.load_state_dict(kept["net"])
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        start, best = kept["step"], kept["best"]
    print(
        f"{len(training)} + {len(he)} tiles, {multiply_adds_per_pixel(copy.deepcopy(net)) * 4e6:.3g} multiply-adds/mm²", flush=True
    )

    losses: list[float] = []
    began = time.monotonic()
    batches = draw(training, he, seed, start, steps)
    for step, (images, targets) in enumerate(batches, start):
        x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div(255).contiguous(memory_format=torch.channels_last)
        net.train()
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = net(x)
        loss = loss_of(logits.float(), torch.from_numpy(targets).to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        follow(average, net, min(AVERAGE, (step + 1) / (step + 10)))
        losses.append(float(loss.detach()))
        if (step + 1) % every == 0 or step + 1 == steps:
            result = validate(average, validation)
            line = {"step": step + 1, "loss": float(np.mean(losses[-every:])), "seconds": time.monotonic() - began, **result}
            print(json.dumps(line), flush=True)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            if result["mAP"] >= best:
                best = result["mAP"]
                torch.save({"net": average.state_dict(), "step": step + 1, "seed": seed}, out / "best.pt")
            kept = {"net": net.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({**kept, "schedule": schedule.state_dict(), "step": step + 1, "best": best}, out / "last.pt")
    return losses


def draw(
    training: list[data.Tile], he: list[data.Tile], seed: int, start: int, steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # type: ignore[type-arg]
    """Batches of (b, s, s, 3) uint8 and (b, 4, s/2, s/2) float32; each step's draw depends on seed and step only."""
    for step in range(start, steps):
        random = np.random.default_rng((seed, step))
        pairs = []
        for i in range(BATCH):
            if he and step < HE_UNTIL * steps and random.random() < HE_SHARE:
                tile = he[random.integers(len(he))]
            else:  # every tile once an epoch, in a new order
                epoch, place = divmod(step * BATCH + i, len(training))
                tile = training[np.random.default_rng((seed, 7, epoch)).permutation(len(training))[place]]
            pairs.append(data.sample(tile, random))
        yield np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])


def loss_of(logits: Tensor, target: Tensor) -> Tensor:
    """Penalty-reduced focal loss of the nucleus map, cross-entropy of the compartment at nuclei; logits (b, 2, h, w)."""
    nucleus, epithelium, weight, inside = target.unbind(1)
    probability = logits[:, 0].sigmoid().clamp(1e-5, 1 - 1e-5)
    peak = (nucleus >= 0.999).float() * inside
    found = peak * (1 - probability) ** 2 * probability.log()
    empty = (inside - peak) * (1 - nucleus) ** 4 * probability**2 * (1 - probability).log()
    detection = -(found + empty).sum() / peak.sum().clamp(min=1)
    soft = epithelium * (1 - SMOOTHING) + SMOOTHING / 2
    entropy = nn.functional.binary_cross_entropy_with_logits(logits[:, 1], soft, reduction="none")
    compartment = (entropy * weight).sum() / weight.sum().clamp(min=1)
    return detection + COMPARTMENT_WEIGHT * compartment


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, keep: float) -> None:
    """Exponential average of weights and of the norms' statistics."""
    for a, b in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if a.dtype.is_floating_point:
            a.lerp_(b, 1 - keep)
        else:
            a.copy_(b)


if __name__ == "__main__":
    main()
