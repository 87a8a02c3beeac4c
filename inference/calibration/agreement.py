"""How far scores agree with a reference over cases: bias and limits of agreement of numbers (Bland and Altman 1986),
share and kappa of categories, each with a 95 % interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.interval import wilson
from inference.keypoints import weighted_kappa
from inference.measures import Interval

Z = 1.959964
DRAWS, SEED = 1000, 20231


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberAgreement:
    """Of `n` cases, score less reference, in the measure's unit: mean (`bias`, its interval by bootstrap of cases),
    limits within which 95 % lie (None of one case), mean of its size.
    """

    n: int
    bias: float
    bias_interval: Interval | None
    limits: Interval | None
    mean_absolute: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryAgreement:
    """Of `n` cases those with the same category: `agree`, as a share with its interval (Wilson 1927); kappa with
    quadratic weights by the categories' order, None where it isn't defined.
    """

    n: int
    agree: int
    share: float
    interval: Interval
    kappa: float | None


def of_numbers(scores: Sequence[float], references: Sequence[float]) -> NumberAgreement:
    """At least one case."""
    apart = np.asarray(scores, np.float64) - np.asarray(references, np.float64)
    n, bias = len(apart), float(apart.mean())
    if n < 2:
        return NumberAgreement(n=n, bias=bias, bias_interval=None, limits=None, mean_absolute=float(abs(apart).mean()))
    draws = np.random.default_rng(SEED).integers(0, n, size=(DRAWS, n))
    low, high = np.percentile(apart[draws].mean(axis=1), [2.5, 97.5])
    spread = Z * float(apart.std(ddof=1))
    return NumberAgreement(
        n=n,
        bias=bias,
        bias_interval=(float(low), float(high)),
        limits=(bias - spread, bias + spread),
        mean_absolute=float(np.abs(apart).mean()),
    )


def of_categories(scores: Sequence[str], references: Sequence[str], categories: Sequence[str]) -> CategoryAgreement:
    """At least one case; `categories` in their order."""
    table = np.zeros((len(categories), len(categories)), np.int64)
    for ours, theirs in zip(scores, references, strict=True):
        table[categories.index(theirs), categories.index(ours)] += 1
    n, agree = int(table.sum()), int(np.trace(table))
    kappa = weighted_kappa(table)
    return CategoryAgreement(
        n=n, agree=agree, share=agree / n, interval=wilson(agree, n), kappa=None if np.isnan(kappa) else kappa
    )
