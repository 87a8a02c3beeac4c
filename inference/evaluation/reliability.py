"""Is a confidence what it says: of the nuclei found with 0.8, are eight in ten there and of that compartment?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.evaluation.metric import EPITHELIUM, STROMA, Points, matches, only
from inference.keypoints import MATCH_RADIUS_UM, FloatArray

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Predictions of one tenth of the confidence: their number, mean confidence and share of hits."""

    n: int
    confidence: float
    hits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """`bins` from the lowest confidence to the highest, empty ones left out.

    `error` is their mean gap, weighted by number.
    """

    bins: tuple[Bin, ...]
    error: float


def reliability(
    predicted: Sequence[Points], annotated: Sequence[Points], *, mpp: float, least: float = 0.05
) -> Reliability:
    """Confidences of at least `least` against hits of the metric's matching, each compartment on its own (expected
    error, ECE).

    The faintest peaks are many and right to say next to nothing: counting them would make any model look calibrated.
    """
    confidence, hit = _hits(predicted, annotated, MATCH_RADIUS_UM / mpp)
    confidence, hit = confidence[confidence >= least], hit[confidence >= least]
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        Bin(
            n=int((index == i).sum()),
            confidence=float(confidence[index == i].mean()),
            hits=float(hit[index == i].mean()),
        )
        for i in range(BINS)
        if (index == i).any()
    ]
    total = sum(b.n for b in bins)
    error = sum(b.n * abs(b.confidence - b.hits) for b in bins) / total if total else float("nan")
    return Reliability(bins=tuple(bins), error=error)


def _hits(
    predicted: Sequence[Points], annotated: Sequence[Points], radius_px: float
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    confidence, hit = [np.zeros(0)], [np.zeros(0, bool)]
    for p, a in zip(predicted, annotated, strict=True):
        for label in (STROMA, EPITHELIUM):
            mine = only(p, label)
            confidence.append(mine.confidence)
            hit.append(matches(mine, only(a, label), radius_px) >= 0)
    return np.concatenate(confidence), np.concatenate(hit)
