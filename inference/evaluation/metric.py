"""The detection metric: per-class average precision of keypoints (EndoNet, Informatics 2023, 10(4), 90).

Predictions of one class, over all tiles of the set together, in descending confidence; each takes the nearest
annotation of its class that is still free within 2.98 µm (the mean nuclear radius). AP is the area under the
precision envelope at all points; mAP the mean of stroma and epithelium.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.keypoints import MATCH_RADIUS_UM, FloatArray

STROMA, EPITHELIUM = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Keypoints of one tile.

    Attributes
    ----------
    xy : (n, 2) float64, pixels, (column, row), centre of the top-left pixel is (0, 0)
    label : (n,) int64, 0 stroma, 1 epithelium
    confidence : (n,) float64 in [0, 1]; ones for annotations
    """

    xy: FloatArray
    label: npt.NDArray[np.int64]
    confidence: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A precision-recall curve over a set of tiles: one entry a prediction, in descending confidence."""

    precision: FloatArray
    recall: FloatArray
    confidence: FloatArray
    annotations: int

    @property
    def average_precision(self) -> float:
        """Area under the precision envelope, all points; NaN where nothing is annotated."""
        if self.annotations == 0:
            return float("nan")
        if len(self.precision) == 0:
            return 0.0
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * envelope))

    @property
    def best_f1(self) -> tuple[float, float]:
        """The best F1 over all thresholds, and the confidence at which it is reached."""
        if len(self.precision) == 0:
            return 0.0, 1.0
        f1 = 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-12)
        best = int(np.argmax(f1))
        return float(f1[best]), float(self.confidence[best])


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Figures of a detector on a set of tiles; AP and F1 in [0, 1], `n` the annotated nuclei."""

    stroma: float
    epithelium: float
    mAP: float
    agnostic: float
    f1: float
    f1_confidence: float
    n: int


def evaluate(predicted: Sequence[Points], annotated: Sequence[Points], *, mpp: float) -> Evaluation:
    """Compare predictions with annotations, tile by tile; `mpp` in µm per pixel.

    ValueError if the lists differ in length.
    """
    radius_px = MATCH_RADIUS_UM / mpp
    stroma, epithelium = (
        curve([only(p, c) for p in predicted], [only(a, c) for a in annotated], radius_px) for c in (STROMA, EPITHELIUM)
    )
    agnostic = curve(predicted, annotated, radius_px)
    f1, f1_confidence = agnostic.best_f1
    classes = [c.average_precision for c in (stroma, epithelium) if c.annotations]
    return Evaluation(
        stroma=stroma.average_precision,
        epithelium=epithelium.average_precision,
        mAP=float(np.mean(classes)) if classes else float("nan"),
        agnostic=agnostic.average_precision,
        f1=f1,
        f1_confidence=f1_confidence,
        n=agnostic.annotations,
    )


def curve(predicted: Sequence[Points], annotated: Sequence[Points], radius_px: float) -> Curve:
    """Match over all tiles together, whatever the labels; ties in confidence keep the order of tiles."""
    if len(predicted) != len(annotated):
        raise ValueError(f"{len(predicted)} tiles predicted, {len(annotated)} annotated")
    hits = [matches(p, a, radius_px) >= 0 for p, a in zip(predicted, annotated, strict=True)]
    confidence = np.concatenate([p.confidence for p in predicted]) if predicted else np.zeros(0)
    hit = np.concatenate(hits) if hits else np.zeros(0, bool)
    order = np.argsort(-confidence, kind="stable")
    true_positives = np.cumsum(hit[order])
    total = sum(len(a.xy) for a in annotated)
    return Curve(
        precision=true_positives / np.arange(1, len(order) + 1),
        recall=true_positives / max(total, 1),
        confidence=confidence[order],
        annotations=total,
    )


def matches(predicted: Points, annotated: Points, radius_px: float) -> npt.NDArray[np.int64]:
    """For each prediction of a tile the annotation that it takes, or -1: in descending confidence, the nearest still
    free.
    """
    taken = np.full(len(predicted.xy), -1, np.int64)
    if len(annotated.xy) == 0:
        return taken
    distance = np.linalg.norm(predicted.xy[:, None] - annotated.xy[None], axis=2)  # (predictions, annotations)
    for i in np.argsort(-predicted.confidence, kind="stable"):
        nearest = int(np.argmin(distance[i]))
        if distance[i, nearest] <= radius_px:
            taken[i] = nearest
            distance[:, nearest] = np.inf
    return taken


def only(points: Points, label: int) -> Points:
    """The points of one label."""
    keep = points.label == label
    return Points(xy=points.xy[keep], label=points.label[keep], confidence=points.confidence[keep])
