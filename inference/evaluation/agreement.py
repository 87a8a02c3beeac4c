"""Agreement of two sets of keypoints the way EndoNuke's annotators were compared (Naumov et al., Data 2022, 7, 75).

Keypoint similarity is exp(-d² / 2 s²) with s the mean nuclear radius; pairs are the assignment of the largest summed
similarity (Hungarian method), apart from pairs less similar than at one s. Cohen's kappa then compares the
compartments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.evaluation.metric import MATCH_RADIUS_UM, FloatArray, Points

LEAST_SIMILAR = float(np.exp(-0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """`similarity` of the pairs (mean, [0, 1]), `paired` (Dice: 2 pairs over all points), Cohen's `kappa` of the pairs'
    labels.

    `kappa_with_missed` counts a point without a partner as a third label of the other side. NaN where nothing is to
    compare.
    """

    similarity: float
    paired: float
    kappa: float
    kappa_with_missed: float


def agreement(ours: Sequence[Points], theirs: Sequence[Points], *, mpp: float) -> Agreement:
    """Compare tile by tile; `mpp` in µm per pixel."""
    table, similar = np.zeros((3, 3), np.int64), list[float]()
    for a, b in zip(ours, theirs, strict=True):
        s = similarity(a.xy, b.xy, mpp=mpp)
        rows, columns = pairs(s)
        similar += s[rows, columns].tolist()
        np.add.at(table, (a.label[rows], b.label[columns]), 1)
        np.add.at(table[:, 2], np.delete(a.label, rows), 1)
        np.add.at(table[2], np.delete(b.label, columns), 1)
    points = sum(len(p.xy) for p in (*ours, *theirs))
    return Agreement(
        similarity=float(np.mean(similar)) if similar else float("nan"),
        paired=2 * len(similar) / points if points else float("nan"),
        kappa=cohen_kappa(table[:2, :2]),
        kappa_with_missed=cohen_kappa(table),
    )


def similarity(a: FloatArray, b: FloatArray, *, mpp: float) -> FloatArray:
    """Keypoint similarity (n, m) of (n, 2) and (m, 2) points in pixels."""
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2) * mpp**2
    similar: FloatArray = np.exp(-squared / (2 * MATCH_RADIUS_UM**2))
    return similar


def pairs(similar: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of the assignment of the largest sum, without pairs below LEAST_SIMILAR (which gain nothing)."""
    gain = np.where(similar >= LEAST_SIMILAR * (1 - 1e-9), similar, 0.0)
    if gain.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if gain.shape[0] > gain.shape[1]:
        columns, rows = _assign(-gain.T)
    else:
        rows, columns = _assign(-gain)
    near = gain[rows, columns] > 0
    return rows[near], columns[near]


def cohen_kappa(table: npt.NDArray[np.int64]) -> float:
    """Chance-corrected agreement of a square contingency table; NaN where it is empty or all of one label."""
    n = float(table.sum())
    if n == 0:
        return float("nan")
    expected = float(table.sum(0) @ table.sum(1)) / n**2
    return float("nan") if expected == 1 else (float(np.trace(table)) / n - expected) / (1 - expected)


def _assign(cost: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A column for each row of (n, m) costs, n <= m, of least sum: shortest augmenting paths with
    potentials, O(n² m).
    """
    n, m = cost.shape
    row_of = np.full(m, -1, np.int64)
    u, v = np.zeros(n), np.zeros(m)
    for row in range(n):
        shortest, before = np.full(m, np.inf), np.full(m, -1, np.int64)
        done = np.zeros(m, bool)
        current, column, reached = row, -1, 0.0
        while current != -1:
            through = reached + cost[current] - u[current] - v
            better = ~done & (through < shortest)
            shortest[better], before[better] = through[better], column
            column = int(np.argmin(np.where(done, np.inf, shortest)))
            reached = float(shortest[column])
            done[column] = True
            current = int(row_of[column])
        u[row] += reached
        passed = done & (row_of >= 0)
        u[row_of[passed]] += reached - shortest[passed]
        v[done] -= reached - shortest[done]
        while column != -1:  # turn the path round
            row_of[column] = row if before[column] == -1 else row_of[before[column]]
            column = int(before[column])
    columns = np.flatnonzero(row_of >= 0)
    order = np.argsort(row_of[columns])
    return row_of[columns][order], columns[order]
