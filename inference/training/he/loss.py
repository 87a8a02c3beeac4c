"""The loss of a batch: nucleus or not, distances, kind with its costs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Of the parts of the loss; `cost` 0 switches the cost-sensitive term off. `taught` is a teacher's share of the
    parts that it answers: nucleus, distance, gradient, kind.
    """

    nucleus: float = 1.0
    overlap: float = 1.0
    distance: float = 2.0
    gradient: float = 1.0
    kind: float = 1.0
    cost: float = 0.5
    smoothing: float = 0.03
    taught: float = 0.0


def costs(counts: npt.NDArray[np.int64], most: float = 4.0) -> Tensor:
    """(4, 4) W: what it costs to call a nucleus of a row's kind by a column's, by the ratio of their counts.

    Diagonal 0; the square root of the ratio, held in 1 / `most`..`most`: to miss a rare kind is dear. (The patent's own
    constants favour the commonest.)
    """
    n = np.maximum(counts, 1).astype(np.float64)
    ratio = np.clip(np.sqrt(n[None] / n[:, None]), 1 / most, most)
    np.fill_diagonal(ratio, 0)
    return torch.tensor(ratio, dtype=torch.float32)


def loss_of(
    maps: Tensor, target: Tensor, inside: Tensor, answer: Tensor, matrix: Tensor, weights: Weights
) -> dict[str, Tensor]:
    """Parts by name, weighted: `maps` (b, 7, h, w); `target` (b, 5, h, w), `inside` (b, h, w) and `answer` (b, 8, h, w)
    as of `data.Crop`.
    """
    nucleus, weight = target[:, 0], target[:, 4] * inside
    probability = maps[:, 0].sigmoid() * inside
    parts = {
        "nucleus": weights.nucleus * _mean(_entropy(maps[:, 0], nucleus), inside),
        "overlap": weights.overlap * (1 - _overlap(probability, nucleus * inside)),
        "distance": weights.distance * _mean((maps[:, 1:3] - target[:, 1:3]).square().sum(dim=1), nucleus * inside),
        "gradient": weights.gradient * _mean(_slopes(maps[:, 1:3], target[:, 1:3]), nucleus * inside),
        "kind": weights.kind * _mean(_kind(maps[:, 3:], target[:, 3], weights.smoothing), weight),
    }
    if weights.cost:
        parts["cost"] = weights.cost * _mean(_cost(maps[:, 3:], target[:, 3], matrix), weight)
    if weights.taught:
        for name, part in _distance_to(answer, maps, inside, weights).items():
            parts[name] = (1 - weights.taught) * parts[name] + weights.taught * part
    return parts


def _distance_to(answer: Tensor, maps: Tensor, inside: Tensor, weights: Weights) -> dict[str, Tensor]:
    """The parts that a teacher answers; kind and distances where it sees a nucleus."""
    seen, straight = answer[:, 0] * inside, answer[:, 7]
    off = (maps[:, 1:3] - answer[:, 1:3]).square().sum(dim=1)
    kinds = -(answer[:, 3:7] * maps[:, 3:].log_softmax(dim=1)).sum(dim=1)
    return {
        "nucleus": weights.nucleus * _mean(_entropy(maps[:, 0], answer[:, 0]), inside),
        "distance": weights.distance * _mean(off, seen * straight),
        "gradient": weights.gradient * _mean(_slopes(maps[:, 1:3], answer[:, 1:3]), seen * straight),
        "kind": weights.kind * _mean(kinds, seen),
    }


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)


def _entropy(logit: Tensor, nucleus: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logit, nucleus, reduction="none")


def _overlap(probability: Tensor, nucleus: Tensor) -> Tensor:
    return (2 * (probability * nucleus).sum() + 1) / (probability.sum() + nucleus.sum() + 1)


def _slopes(maps: Tensor, target: Tensor) -> Tensor:
    """Squared error of the slope over four pixels, of the horizontal map along x and of the vertical along y."""
    error = maps - target
    along = functional.pad(error[:, 0, :, 4:] - error[:, 0, :, :-4], (2, 2))
    down = functional.pad(error[:, 1, 4:] - error[:, 1, :-4], (0, 0, 2, 2))
    return along.square() + down.square()


def _kind(logits: Tensor, kind: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(logits, kind.long().clamp(min=0), reduction="none", label_smoothing=smoothing)


def _cost(logits: Tensor, kind: Tensor, matrix: Tensor) -> Tensor:
    """softmax(prediction) . M(y), pixel by pixel."""
    dear = matrix[kind.long().clamp(min=0)].permute(0, 3, 1, 2)
    return (logits.softmax(dim=1) * dear).sum(dim=1)
