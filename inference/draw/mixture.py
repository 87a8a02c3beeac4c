"""Which share of the nuclei has which grade, so that the H-score of the whole is the one asked for."""

import numpy as np
import numpy.typing as npt

GRADES = np.arange(4)
PREVALENCE = np.array([0.30, 0.22, 0.24, 0.24])
"""Shares of grades 0-3 in an average ER slide.

An asked H-score tilts them, so that every grade stays present in the middle.
"""


def counts_of(n: int, h_score: float) -> npt.NDArray[np.int64]:
    """Nuclei of grades 0-3, (4,), together n.

    Their H-score is `h_score` (0-300) to the nearest that n nuclei can have.
    """
    shares = tilted(h_score / 100)
    counts = _largest_remainders(shares * n, n)
    target = round(n * h_score / 100)
    while (missing := target - int(counts @ GRADES)) != 0:
        _move_one(counts, shares * n, up=missing > 0)
    return counts


def tilted(mean: float) -> npt.NDArray[np.float64]:
    """PREVALENCE multiplied by exp(slope x grade), with the slope that gives this mean grade (0 to 3)."""
    if mean <= 0 or mean >= GRADES[-1]:
        return np.asarray((0 if mean <= 0 else 3) == GRADES, np.float64)
    low, high = -40.0, 40.0
    for _ in range(100):
        slope = (low + high) / 2
        low, high = (slope, high) if _shares(slope) @ GRADES < mean else (low, slope)
    return _shares((low + high) / 2)


def _shares(slope: float) -> npt.NDArray[np.float64]:
    weights = np.log(PREVALENCE) + slope * GRADES
    weights = np.exp(weights - weights.max())
    return np.asarray(weights / weights.sum(), np.float64)


def _largest_remainders(ideal: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.int64]:
    counts = np.floor(ideal).astype(np.int64)
    fullest = np.argsort(-(ideal - counts), kind="stable")
    counts[fullest[: n - counts.sum()]] += 1
    return counts


def _move_one(counts: npt.NDArray[np.int64], ideal: npt.NDArray[np.float64], *, up: bool) -> None:
    """Move the nucleus that is most in excess one grade up or down."""
    sources = GRADES[:-1] if up else GRADES[1:]
    held = sources[counts[sources] > 0]
    source = held[np.argmax(counts[held] - ideal[held])]
    counts[source] -= 1
    counts[source + (1 if up else -1)] += 1
