"""95 % intervals: what drawing the slide's fields again would change, and the error of the measurement beside it.

Fields, not cells, are drawn, since cells of one place are alike. Few fields tell little of how far they differ: what
their draws show is widened as Student's t is against the normal distribution, and fewer than LEAST_FIELDS say nothing.
"""

import numpy as np
import numpy.typing as npt

from inference.cells.values import IntArray
from inference.measures import Interval

LEAST_FIELDS = 6
BOOTSTRAPS = 1000
SEED = 20231
NORMAL = 1.96
"""Standard deviations to each side of the mean that hold 95 %."""


def ratio_interval(part: IntArray, whole: IntArray, *, most: float, error: float = 0.0) -> Interval | None:
    """Of the sum of `part` over that of `whole`, (k,) by field, between 0 and `most`; in no order of the fields.

    `error` is the standard deviation of the measurement in the ratio's unit. None below LEAST_FIELDS with cells.
    """
    if (spread := _drawn(part, whole)) is None:
        return None
    below, above = (np.hypot(by, NORMAL * error) for by in spread)
    ratio = float(part.sum() / whole.sum())
    return max(float(ratio - below), 0.0), min(float(ratio + above), most)


def share_interval(part: IntArray, whole: IntArray, *, as_of: float) -> Interval | None:
    """The same of a share, in percent, whose measurement errs as one that is counted in `as_of` cells does: less near
    0 and 100 than between, and at 0 and 100 still.
    """
    if (spread := _drawn(part, whole)) is None:
        return None
    share = float(part.sum() / whole.sum())
    low, high = wilson(share * as_of, as_of)
    below, above = np.hypot(spread[0], share - low), np.hypot(spread[1], high - share)
    return 100 * max(float(share - below), 0.0), 100 * min(float(share + above), 1.0)


def _drawn(part: IntArray, whole: IntArray) -> tuple[float, float] | None:
    """How far below and above the ratio 95 % of the draws of its fields lie, widened for their number."""
    part, whole = part[whole > 0], whole[whole > 0]
    k = len(whole)
    if k < LEAST_FIELDS:
        return None
    order = np.lexsort((part, whole))
    random = np.random.default_rng(SEED)
    draws: npt.NDArray[np.float64] = random.multinomial(k, np.full(k, 1 / k), size=BOOTSTRAPS).astype(np.float64)
    low, high = np.percentile((draws @ part[order]) / (draws @ whole[order]), [2.5, 97.5])
    ratio, wider = float(part.sum() / whole.sum()), _wider(k)
    return wider * max(ratio - float(low), 0.0), wider * max(float(high) - ratio, 0.0)


def _wider(k: int) -> float:
    """By how much k fields' draws fall short of their spread: 1.4 of six, 1.04 of forty.

    Student's quantile by its series in 1 / degrees of freedom (Abramowitz and Stegun 26.7.5), within 0.2 % from five.
    """
    z, free = NORMAL, k - 1
    terms = (z, (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    student = sum(term / free**power for power, term in enumerate(terms))
    return float(student / z * (k / free) ** 0.5)


def wilson(k: float, n: float) -> Interval:
    """95 % interval of a share of k in n, n at least 1."""
    share, z2 = k / n, NORMAL * NORMAL
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
