"""Scores from counts of nuclei by grade. Each rule is data with its source beside it.

Counts are (4,) int64: nuclei of grade 0 unstained, 1 weak, 2 moderate, 3 strong. No nuclei: no score (None, not 0).
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from inference.cells.values import IntArray
from inference.interval import ratio_interval, share_interval
from inference.measures import Interval

# Allred proportion score (Harvey 1999; edges as in the CAP template, Fitzgibbons 2014: exactly 1/10 is still 2).
# (upper edge of the share, score): the first row whose edge the share does not exceed.
ALLRED_NONE, ALLRED_BELOW_ONE_PERCENT = 0, 1
ALLRED_PROPORTION = ((Fraction(1, 10), 2), (Fraction(1, 3), 3), (Fraction(2, 3), 4), (Fraction(1), 5))

# IRS proportion (Remmele & Stegner 1987): none 0, below 10 % 1, 10 to 50 % 2, 51 to 80 % 3, above 80 % 4. The table is
# in whole percent; shares between 50 and 51 % are ours to place: above 50 % is 3.
IRS_BELOW_TEN = Fraction(10, 100)
IRS_PROPORTION = ((Fraction(50, 100), 2), (Fraction(80, 100), 3), (Fraction(1), 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allred:
    """Proportion score 0-5, intensity score 0-3, total 0 or 2-8."""

    ps: int
    is_: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountScore:
    """Scores of some nuclei. `counts` by grade; h_score 0-300; percent 0-100; irs 0-12; None where n is 0; intervals
    are of 95 %.
    """

    n: int
    counts: tuple[int, int, int, int]
    h_score: float | None
    h_score_ci95: tuple[float, float] | None
    percent_positive: float | None
    percent_positive_ci95: tuple[float, float] | None
    allred: Allred | None
    irs: int | None


PERCENT_AS_OF = 80.0
"""A measured percent positive errs as one that is counted in so many nuclei does (docs/models/nuclei.md)."""


def score(counts: IntArray, fields: IntArray | None = None, error: float = 0.0) -> CountScore:
    """Score (4,) counts; `fields` (k, 4) are the same nuclei by spatial field, for the intervals (None: no interval),
    `error` the standard deviation of a measured H-score.
    """
    c = tuple(int(v) for v in counts)
    assert len(c) == 4
    return CountScore(
        n=sum(c),
        counts=c,
        h_score=h_score(c),
        h_score_ci95=None if fields is None else h_score_interval(fields, error),
        percent_positive=percent_positive(c),
        percent_positive_ci95=None if fields is None else percent_interval(fields),
        allred=allred(c),
        irs=irs(c),
    )


def h_score(c: tuple[int, ...]) -> float | None:
    """1 x % weak + 2 x % moderate + 3 x % strong, 0 to 300 (EndoNet 2023)."""
    n = sum(c)
    return None if n == 0 else 100 * (c[1] + 2 * c[2] + 3 * c[3]) / n


def percent_positive(c: tuple[int, ...]) -> float | None:
    """Share of grade 1 and above, 0 to 100."""
    n = sum(c)
    return None if n == 0 else 100 * (n - c[0]) / n


def allred(c: tuple[int, ...]) -> Allred | None:
    """Proportion and intensity; the average intensity of the positive nuclei is rounded half up."""
    n = sum(c)
    if n == 0:
        return None
    share = Fraction(n - c[0], n)
    if share == 0:
        return Allred(ps=0, is_=0, total=0)
    ps = (
        ALLRED_BELOW_ONE_PERCENT
        if share < Fraction(1, 100)
        else next(s for edge, s in ALLRED_PROPORTION if share <= edge)
    )
    intensity = mean_intensity(c)
    return Allred(ps=ps, is_=intensity, total=ps + intensity)


def irs(c: tuple[int, ...]) -> int | None:
    """Immunoreactive score of Remmele and Stegner: intensity 0-3 x proportion 0-4."""
    n = sum(c)
    if n == 0:
        return None
    share = Fraction(n - c[0], n)
    if share == 0:
        return 0
    proportion = 1 if share < IRS_BELOW_TEN else next(s for edge, s in IRS_PROPORTION if share <= edge)
    return proportion * mean_intensity(c)


def mean_intensity(c: tuple[int, ...]) -> int:
    """Average grade of the positive nuclei, 1 to 3, rounded half up; 0 without positive nuclei."""
    positive = c[1] + c[2] + c[3]
    return 0 if positive == 0 else int(Fraction(c[1] + 2 * c[2] + 3 * c[3], positive) + Fraction(1, 2))


def h_score_interval(fields: IntArray, error: float = 0.0) -> Interval | None:
    """95 % interval of the H-score of fields (k, 4), with a measurement's standard deviation in points.

    None below six fields with nuclei.
    """
    return ratio_interval(fields @ np.array([0, 100, 200, 300]), fields.sum(axis=1), most=300, error=error)


def percent_interval(fields: IntArray) -> Interval | None:
    """95 % interval of the percent positive of fields (k, 4), the measurement's error (PERCENT_AS_OF) in it.

    None below six fields with nuclei.
    """
    return share_interval(fields[:, 1:].sum(axis=1), fields.sum(axis=1), as_of=PERCENT_AS_OF)
