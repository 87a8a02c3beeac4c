"""Accuracy of what is counted: nuclei at the counting threshold, their number, H-score and percent positive, tile by
tile and pooled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inference.evaluation.metric import EPITHELIUM, STROMA, Points, matches, only
from inference.grade import Grades
from inference.keypoints import MATCH_RADIUS_UM, FloatArray
from inference.score import h_score, percent_positive

Of = Callable[[tuple[int, ...]], float | None]
"""A score of counts by grade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """Nuclei of one tile, n of them, and the grade 0-3 of each."""

    points: Points
    grade: Grades


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """Of one compartment, or of all (then the compartment of a hit doesn't matter).

    precision, recall, f1 in [0, 1]; `count_error` is counted / annotated - 1 over the set, `count_error_by_tile` the
    mean of its absolute value over tiles with annotations; H-score errors in points: `h_score_error` of the pooled
    nuclei (ours less theirs), `h_score_error_by_tile` the mean absolute one; percent positive likewise. NaN where
    nothing is to compare.
    """

    precision: float
    recall: float
    f1: float
    counted: int
    annotated: int
    count_error: float
    count_error_by_tile: float
    h_score: float
    h_score_annotated: float
    h_score_error: float
    h_score_error_by_tile: float
    percent_positive: float
    percent_positive_annotated: float
    percent_positive_error: float
    percent_positive_error_by_tile: float


def counting(
    counted: Sequence[Graded], annotated: Sequence[Graded], *, mpp: float, label: int | None = None
) -> Counting:
    """Compare one compartment (`label`), or all nuclei whatever their compartment (None)."""
    ours, theirs = ([_part(t, label) for t in tiles] for tiles in (counted, annotated))
    radius = MATCH_RADIUS_UM / mpp
    hits = sum(int((matches(a.points, b.points, radius) >= 0).sum()) for a, b in zip(ours, theirs, strict=True))
    n, m = (np.array([len(t.grade) for t in tiles]) for tiles in (ours, theirs))
    score, truth = _pooled(ours, h_score), _pooled(theirs, h_score)
    positive, truly = _pooled(ours, percent_positive), _pooled(theirs, percent_positive)
    return Counting(
        precision=_ratio(hits, n.sum()),
        recall=_ratio(hits, m.sum()),
        f1=_ratio(2 * hits, n.sum() + m.sum()),
        counted=int(n.sum()),
        annotated=int(m.sum()),
        count_error=_ratio(n.sum() - m.sum(), m.sum()),
        count_error_by_tile=_mean(np.abs(n - m)[m > 0] / m[m > 0]),
        h_score=score,
        h_score_annotated=truth,
        h_score_error=score - truth,
        h_score_error_by_tile=_mean(_by_tile(ours, theirs, h_score)),
        percent_positive=positive,
        percent_positive_annotated=truly,
        percent_positive_error=positive - truly,
        percent_positive_error_by_tile=_mean(_by_tile(ours, theirs, percent_positive)),
    )


def by_compartment(counted: Sequence[Graded], annotated: Sequence[Graded], *, mpp: float) -> dict[str, Counting]:
    """`stroma`, `epithelium` and `all`."""
    labels = {"stroma": STROMA, "epithelium": EPITHELIUM, "all": None}
    return {name: counting(counted, annotated, mpp=mpp, label=label) for name, label in labels.items()}


def _part(tile: Graded, label: int | None) -> Graded:
    if label is None:
        return tile
    return Graded(points=only(tile.points, label), grade=tile.grade[tile.points.label == label])


def _pooled(tiles: Sequence[Graded], of: Of) -> float:
    grades = np.concatenate([t.grade for t in tiles]) if tiles else np.zeros(0, np.uint8)
    return _score(grades, of)


def _score(grades: Grades, of: Of) -> float:
    value = of(tuple(int(v) for v in np.bincount(grades, minlength=4)))
    return float("nan") if value is None else value


def _by_tile(ours: Sequence[Graded], theirs: Sequence[Graded], of: Of) -> FloatArray:
    errors: FloatArray = np.array(
        [abs(_score(a.grade, of) - _score(b.grade, of)) for a, b in zip(ours, theirs, strict=True)]
    )
    return np.asarray(errors[~np.isnan(errors)], np.float64)


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b else float("nan")


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
