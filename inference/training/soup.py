"""One network from several of one training: the mean of their weights.

    python -m inference.training.soup RUN/best.pt RUN/best.pt... --out FILE

They must lie on one way, each begun from another of them; from different starts the mean is none of them.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

Weights = dict[str, Tensor]


def mean(networks: list[Weights]) -> Weights:
    """The mean of each tensor; counts are the last one's. Raises ValueError on networks of different tensors."""
    first, last = networks[0], networks[-1]
    if any(n.keys() != first.keys() or any(n[k].shape != first[k].shape for k in first) for n in networks):
        raise ValueError("the networks have different tensors")
    return {
        name: torch.stack([n[name] for n in networks]).mean(0) if value.is_floating_point() else value
        for name, value in last.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    kept = [torch.load(path, map_location="cpu", weights_only=True) for path in args.checkpoints]
    torch.save(kept[-1] | {"net": mean([k["net"] for k in kept])}, args.out)


if __name__ == "__main__":
    main()
