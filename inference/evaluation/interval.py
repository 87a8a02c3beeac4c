"""95 % intervals of the detection metric: tiles, not nuclei, are drawn with replacement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.evaluation.metric import EPITHELIUM, STROMA, Points, matches, only
from inference.keypoints import MATCH_RADIUS_UM, FloatArray

DRAWS = 500
SEED = 20231

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """All predictions of a set in descending confidence: hit or not, and of which tile; `annotations` by tile."""

    hit: npt.NDArray[np.bool_]
    tile: npt.NDArray[np.int64]
    annotations: npt.NDArray[np.int64]

    def average_precision(self, weights: FloatArray) -> float:
        """Area under the precision envelope where tile i counts `weights[i]` times.

        NaN where nothing is annotated then.
        """
        total = float(self.annotations @ weights)
        if total == 0:
            return float("nan")
        w = weights[self.tile]
        found, seen = np.cumsum(self.hit * w), np.cumsum(w)
        precision = np.divide(found, seen, out=np.zeros(len(w)), where=seen > 0)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        return float(np.sum(np.diff(found / total, prepend=0.0) * envelope))


def rank(predicted: Sequence[Points], annotated: Sequence[Points], radius_px: float) -> Ranked:
    """Matched as by `inference.evaluation.metric.curve`."""
    confidence = np.concatenate([p.confidence for p in predicted])
    order = np.argsort(-confidence, kind="stable")
    hit = np.concatenate([matches(p, a, radius_px) >= 0 for p, a in zip(predicted, annotated, strict=True)])
    tile = np.repeat(np.arange(len(predicted)), [len(p.xy) for p in predicted])
    return Ranked(hit=hit[order], tile=tile[order], annotations=np.array([len(a.xy) for a in annotated]))


def intervals(predicted: Sequence[Points], annotated: Sequence[Points], *, mpp: float) -> dict[str, Interval]:
    """Percentile intervals of `stroma`, `epithelium`, `mAP`, `agnostic`; empty below two tiles."""
    if len(predicted) < 2:
        return {}
    radius = MATCH_RADIUS_UM / mpp
    stroma, epithelium = (
        rank([only(p, c) for p in predicted], [only(a, c) for a in annotated], radius) for c in (STROMA, EPITHELIUM)
    )
    agnostic = rank(predicted, annotated, radius)
    draws = np.random.default_rng(SEED).multinomial(
        len(predicted), np.full(len(predicted), 1 / len(predicted)), size=DRAWS
    )
    figures = np.array(
        [[r.average_precision(w.astype(np.float64)) for r in (stroma, epithelium, agnostic)] for w in draws]
    )
    named = {
        "stroma": figures[:, 0],
        "epithelium": figures[:, 1],
        "mAP": figures[:, :2].mean(1),
        "agnostic": figures[:, 2],
    }
    return {name: _percentiles(values) for name, values in named.items() if not np.isnan(values).all()}


def _percentiles(values: FloatArray) -> Interval:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
