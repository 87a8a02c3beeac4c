"""Agreement of two sets of keypoints the way EndoNuke's annotators were compared (Naumov et al., Data 2022, 7, 75).

Keypoint similarity is exp(-d² / 2 s²) with s the mean nuclear radius; pairs are the assignment of the largest summed
similarity (Hungarian method), apart from pairs less similar than at one s. Cohen's kappa then compares the
compartments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.evaluation.metric import Points
from inference.keypoints import cohen_kappa, pairs, similarity


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
