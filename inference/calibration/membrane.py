"""The density scale of a laboratory's membrane stains, fitted to slides and control cores whose HER2 score is known.

Every scale is tried: counts under any follow from the histograms. The best ones give most scores right; the middle of
the widest run of them is taken, so that a slide like those fitted to is as far from another score as it can be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference.analyzers.her2 import CLASSES, SCORES, her2_of
from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.membrane_criteria import LEAST_SCALE, MOST_SCALE, MembraneCriteria
from inference.cells.histograms import Histograms
from inference.errors import Reason, Refused

SCALES = tuple(np.round(np.geomspace(LEAST_SCALE, MOST_SCALE, 85), 4).tolist())
LEAST_KNOWN = 2


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
    """`low` and `high` are the ends of the scales that do as well."""

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
    base = MembraneCriteria()
    losses = np.array([_loss(known, replace(base, od_scale=scale)) for scale in SCALES])
    first, last = _widest(losses == losses.min())
    scale = float(np.sqrt(SCALES[first] * SCALES[last]))
    criteria = replace(base, od_scale=round(scale, 4))
    rows = tuple(Found(name=one.name, known=one.score, found=score_of(one.histograms, criteria)) for one in known)
    return ScaleFit(criteria=criteria, low=SCALES[first], high=SCALES[last], rows=rows)


def score_of(histograms: Histograms, criteria: MembraneCriteria) -> str | None:
    found = her2_of(MEMBRANE.counts(histograms, criteria)[: len(CLASSES)].tolist())
    return None if found is None else found.score


def _loss(known: Sequence[Known], criteria: MembraneCriteria) -> int:
    """Steps between the scores, added up; no cells are as wrong as can be."""
    scores = [(score_of(one.histograms, criteria), one.score) for one in known]
    return sum(len(SCORES) if found is None else abs(SCORES.index(found) - SCORES.index(was)) for found, was in scores)


def _widest(best: "np.typing.NDArray[np.bool_]") -> tuple[int, int]:
    """The first and last place of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], best.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    first, after = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return int(first), int(after) - 1
