"""The density scale of a laboratory's membrane stains, fitted to slides and control cores whose HER2 score is known.

Every scale is tried: counts under any follow from the histograms. Of those that give most scores right the ones are
taken under which slides of neighbouring scores differ most in the share that parts them, and the middle of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference.analyzers.her2 import CLASSES, FAINT_C, INTENSE_C, MODERATE_C, SCORES, her2_of
from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.membrane_criteria import LEAST_SCALE, MOST_SCALE, MembraneCriteria
from inference.cells.histograms import Histograms
from inference.errors import Reason, Refused

SCALES = tuple(np.round(np.geomspace(LEAST_SCALE, MOST_SCALE, 85), 4).tolist())
LEAST_KNOWN = 2
PARTING = (tuple(range(1, len(CLASSES))), (FAINT_C, MODERATE_C, INTENSE_C), (INTENSE_C,))
"""The classes whose share parts each score from the next: stained at all, complete, intense and complete."""
CUTS = tuple(np.round(np.geomspace(0.07, 0.14, 15), 4).tolist())
SAME = 0.02
"""Shares that differ by less are as far apart."""


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
    apart = np.array([_apart(known, replace(base, od_scale=scale)) for scale in SCALES])
    best = np.where(losses == losses.min(), apart, -np.inf)
    inner, outer = _widest(best >= best.max() - SAME)
    scale = float(np.sqrt(SCALES[inner] * SCALES[outer]))
    criteria = _with_stained(known, replace(base, od_scale=round(scale, 4)))
    rows = tuple(Found(name=one.name, known=one.score, found=score_of(one.histograms, criteria)) for one in known)
    return ScaleFit(criteria=criteria, low=SCALES[first], high=SCALES[last], rows=rows)


def _with_stained(known: Sequence[Known], criteria: MembraneCriteria) -> MembraneCriteria:
    """From which density a membrane counts as stained: where slides of 1+ and of 0 differ most, if there are both."""
    if not {"0", "1+"} <= {one.score for one in known}:
        return criteria
    tried = [replace(criteria, stained_from=cut) for cut in CUTS]
    losses = np.array([_loss(known, one) for one in tried])
    apart = np.where(losses <= _loss(known, criteria), [_stained_apart(known, one) for one in tried], -np.inf)
    if not np.isfinite(apart.max()):
        return criteria
    first, last = _widest(apart >= apart.max() - SAME)
    return replace(criteria, stained_from=round(float(np.sqrt(CUTS[first] * CUTS[last])), 4))


def _stained_apart(known: Sequence[Known], criteria: MembraneCriteria) -> float:
    shares = {score: [_shares(o.histograms, criteria) for o in known if o.score == score] for score in ("0", "1+")}
    stained = {score: np.mean([1 - s[0] for s in of]) for score, of in shares.items()}
    return float(stained["1+"] - stained["0"])


def score_of(histograms: Histograms, criteria: MembraneCriteria) -> str | None:
    found = her2_of(MEMBRANE.counts(histograms, criteria)[: len(CLASSES)].tolist())
    return None if found is None else found.score


def _loss(known: Sequence[Known], criteria: MembraneCriteria) -> int:
    """Steps between the scores, added up; no cells are as wrong as can be."""
    scores = [(score_of(one.histograms, criteria), one.score) for one in known]
    return sum(len(SCORES) if found is None else abs(SCORES.index(found) - SCORES.index(was)) for found, was in scores)


def _apart(known: Sequence[Known], criteria: MembraneCriteria) -> float:
    """How far slides of neighbouring scores are apart, each pair by the share that parts it, added up."""
    shares = {score: [_shares(one.histograms, criteria) for one in known if one.score == score] for score in SCORES}
    total = 0.0
    for low, high, of in zip(SCORES, SCORES[1:], PARTING, strict=False):
        if shares[low] and shares[high]:
            total += float(np.mean([s[list(of)].sum() for s in shares[high]]))
            total -= float(np.mean([s[list(of)].sum() for s in shares[low]]))
    return total


def _shares(histograms: Histograms, criteria: MembraneCriteria) -> "np.typing.NDArray[np.float64]":
    counts = MEMBRANE.counts(histograms, criteria)[: len(CLASSES)]
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)


def _widest(best: "np.typing.NDArray[np.bool_]") -> tuple[int, int]:
    """The first and last place of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], best.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    first, after = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return int(first), int(after) - 1
