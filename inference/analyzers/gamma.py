"""How far a scanner's gamma moves an H-score: from the colours of all nuclei, by criteria whose cuts move instead.

A gamma of g makes every optical density g times as large, as a stronger stain does: no picture tells the two apart, so
the score can't be put right; it can be said how much hangs on it.
"""

import numpy as np

from inference.cells.values import IntArray
from inference.grade import DENSITIES, GRADES, HUES, VALUES, HueValueThresholds, Thresholds, grades
from inference.score import h_score

GAMMAS = (0.8, 1.25)
FAR = 12.0
"""Points of H-score from which on a score is said to hang on the scale of its colours."""


def gamma_moves_far(table: IntArray, thresholds: Thresholds) -> bool:
    """Of nuclei by what the thresholds grade by, (360, 256) hue and value or (301,) density in hundredths."""
    if not table.any():
        return False
    as_it_is = _h_score(table, thresholds, 1.0)
    return any(abs(_h_score(table, thresholds, gamma) - as_it_is) > FAR for gamma in GAMMAS)


def _h_score(table: IntArray, thresholds: Thresholds, gamma: float) -> float:
    """What it would be of the same nuclei under a gamma."""
    if isinstance(thresholds, HueValueThresholds):
        values = 255 * (np.arange(VALUES) / 255) ** gamma
        grade = grades([np.arange(HUES)[:, None], values[None]], thresholds)
    else:
        grade = grades([np.arange(DENSITIES) * gamma], thresholds)
    return h_score(tuple(int(table[grade == g].sum()) for g in range(GRADES))) or 0.0
