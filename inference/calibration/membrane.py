"""The density scale of a laboratory's membrane stains, fitted to slides and control cores whose HER2 score is known.

Every scale is tried: counts under any follow from the histograms. Four scores leave scales that differ by a factor of
two. So the one is taken under which the crests of the stained cells lie best where those of faint, moderate and intense
membranes do (HEAPS), in the shares that slides of their score usually hold (USUAL), a wrong score counting against it.
From which density a membrane is stained is what parts slides of neighbouring scores most clearly then.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.analyzers.her2 import CLASSES, FAINT_C, INTENSE_C, MODERATE_C, SCORES, her2_of
from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.membrane_columns import DENSITIES, DENSITY_UNIT, stained_crests
from inference.analyzers.membrane_criteria import LEAST_SCALE, MOST_SCALE, STAINED, MembraneCriteria
from inference.cells.histograms import Histograms
from inference.cells.values import IntArray
from inference.errors import Reason, Refused

SCALES = tuple(np.round(np.geomspace(LEAST_SCALE, MOST_SCALE, 60), 4).tolist())
LEAST_KNOWN = 2
PARTING = (tuple(range(1, len(CLASSES))), (FAINT_C, MODERATE_C, INTENSE_C), (INTENSE_C,))
"""The classes whose share parts each score from the next: stained at all, complete, intense and complete."""
CUTS = tuple(np.round(np.geomspace(0.065, 0.155, 12), 4).tolist())
ENOUGH, FALSE = 0.5, 1.5
"""A share above 10 % is as clear from here on; what the lower of two scores shows of it counts so much against."""
SAME = 0.05
"""Sums of shares that differ by less are as far apart: each is measured within 2 points."""

HEAPS, SPREADS = (0.11, 0.33, 1.04), (0.25, 0.25, 0.2)
"""Mean crests of cells with faint, moderate and intense membranes as they show where the scale is 1, and the deviation
of their logarithm: of drawn cells, by two renderers (docs/models/membrane.md)."""
USUAL = {"1+": (0.9, 0.1, 0.0), "2+": (0.4, 0.55, 0.05), "3+": (0.15, 0.25, 0.6)}
"""Which shares of the stained cells of a slide of each score are faint, moderate and intense, about; those of a slide
of 0 are few, and mostly not stained."""
STRAY = 0.006
"""What a cell far from all three is worth, so that few of them decide nothing."""
WRONG = 0.25
"""What a score that is wrong by a step counts against a scale, in likeness: several times what neighbouring scales
differ by, and a third of what it costs to take each heap for the next."""
FLATTENED, FLATTENED_AT = 0.19, 1.9
"""Optics take the more off a crest the darker it is, so that dark pictures (of a small scale) show lower heaps: a power
of the scale, which is 1 at FLATTENED_AT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The cells of a slide or core, and its score, one of SCORES."""

    name: str
    histograms: Histograms
    score: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`found` under the fitted criteria; None of no cells."""

    name: str
    known: str
    found: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleFit:
    """`low` and `high` are the ends of the scales that give as many scores right."""

    criteria: MembraneCriteria
    low: float
    high: float
    rows: tuple[Found, ...]

    @property
    def wrong(self) -> tuple[Found, ...]:
        return tuple(row for row in self.rows if row.known != row.found)


def fit_scale(known: Sequence[Known]) -> ScaleFit:
    """Raises Refused CALIBRATION_IMPOSSIBLE where fewer than two scores are told apart: any scale would do."""
    if len({one.score for one in known}) < LEAST_KNOWN:
        message = "slides of at least two HER2 scores are needed to tell densities apart: add slides of other scores"
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, message)
    scores, cuts = [one.score for one in known], _cuts(known)
    tried = [[MembraneCriteria(od_scale=scale, stained_from=cut) for cut in cuts] for scale in SCALES]
    counts = [[[_counts(one.histograms, criteria) for one in known] for criteria in row] for row in tried]
    losses = np.array([[_loss(scores, found) for found in row] for row in counts])
    fewest = losses.min(axis=1)
    best = int(np.argmax([_likeness(known, scale) for scale in SCALES] - WRONG * fewest))
    mine = np.flatnonzero(losses[best] == fewest[best]).tolist()
    apart = np.array([_apart(scores, counts[best][i]) for i in mine])
    criteria = _middle([tried[best][i] for i, share in zip(mine, apart, strict=True) if share >= apart.max() - SAME])
    rows = tuple(Found(name=one.name, known=one.score, found=score_of(one.histograms, criteria)) for one in known)
    as_well = np.array(SCALES)[fewest <= fewest[best]].tolist()
    return ScaleFit(criteria=criteria, low=min(as_well), high=max(as_well), rows=rows)


def _cuts(known: Sequence[Known]) -> tuple[float, ...]:
    """From which density a membrane may count as stained: one that slides of 0 and 1+ tell, or the usual one."""
    return CUTS if {"0", "1+"} <= {one.score for one in known} else (STAINED,)


def _middle(best: Sequence[MembraneCriteria]) -> MembraneCriteria:
    """Of criteria that do as well, the one in the middle."""
    return sorted(best, key=lambda one: one.stained_from)[len(best) // 2]


def _likeness(known: Sequence[Known], scale: float) -> float:
    """How well slides fit their scores under a scale: the mean logarithm of how probable each stained cell is, slides
    weighed by the root of their cells, so that a large one doesn't outweigh the others.
    """
    criteria = MembraneCriteria(od_scale=scale)
    place = np.log(np.maximum(np.arange(DENSITIES), 1) * DENSITY_UNIT * scale)
    place -= FLATTENED * np.log(scale / FLATTENED_AT)
    off = (place[:, None] - np.log(HEAPS)) / SPREADS
    probable = np.exp(-0.5 * off**2) / (np.sqrt(2 * np.pi) * np.array(SPREADS))
    told = [one for one in known if one.score in USUAL]
    weights = np.sqrt([int(_counts(one.histograms, criteria).sum()) for one in told])
    means = [_mean(stained_crests(one.histograms, criteria), probable @ np.array(USUAL[one.score])) for one in told]
    return float(weights @ means / max(weights.sum(), 1.0))


def _mean(cells: npt.NDArray[np.float64], probable: npt.NDArray[np.float64]) -> float:
    return float(cells @ np.log(probable + STRAY) / max(cells.sum(), 1.0))


def score_of(histograms: Histograms, criteria: MembraneCriteria) -> str | None:
    return _score(_counts(histograms, criteria))


def _score(counts: IntArray) -> str | None:
    found = her2_of(counts.tolist())
    return None if found is None else found.score


def _loss(scores: Sequence[str], counts: Sequence[IntArray]) -> int:
    """Steps between the scores and those of the counts, added up; no cells are as wrong as can be."""
    pairs = zip(map(_score, counts), scores, strict=True)
    return sum(len(SCORES) if found is None else abs(SCORES.index(found) - SCORES.index(was)) for found, was in pairs)


def _apart(scores: Sequence[str], counts: Sequence[IntArray]) -> float:
    """How clearly slides of neighbouring scores are apart, each pair by the share that parts it, added up."""
    shares = {score: [_shares(c) for c, was in zip(counts, scores, strict=True) if was == score] for score in SCORES}
    total = 0.0
    for low, high, of in zip(SCORES, SCORES[1:], PARTING, strict=False):
        if shares[low] and shares[high]:
            total += min(float(np.mean([s[list(of)].sum() for s in shares[high]])), ENOUGH)
            total -= FALSE * float(np.mean([s[list(of)].sum() for s in shares[low]]))
    return total


def _counts(histograms: Histograms, criteria: MembraneCriteria) -> IntArray:
    """Cells by class, (7,)."""
    return MEMBRANE.counts(histograms, criteria)[: len(CLASSES)]


def _shares(counts: IntArray) -> npt.NDArray[np.float64]:
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)
