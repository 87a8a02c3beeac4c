"""Two persons' annotations of the same regions: do they mark the same nuclei, class and grade them alike?

Similarity of keypoints, their assignment and Cohen's kappa as EndoNuke's annotators were compared (Naumov et al., Data
2022, 7, 75); the difference of their H-scores as in EndoNet (Informatics 2023, 10(4), 90).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from inference.analyzers.nuclear import COMPARTMENTS
from inference.calibration.sample import Annotated
from inference.cells.values import IntArray
from inference.geometry import Region
from inference.grade import GRADES
from inference.keypoints import MATCH_RADIUS_UM, cohen_kappa, matched, weighted_kappa
from inference.measures import ALL
from inference.score import h_score


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pair:
    """One region by both; `mpp` of the px that they are in."""

    first: Annotated
    second: Annotated
    mpp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverAgreement:
    """`similarity` of the pairs (0 to 1), `paired` (Dice: twice the pairs over all points), kappas of the pairs.

    `h_score_difference` by compartment and `all`: the first's less the second's, of all regions pooled. NaN where
    nothing is to compare.
    """

    n: int
    similarity: float
    paired: float
    kappa_class: float
    kappa_grade: float
    kappa_grade_weighted: float
    h_score_difference: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Observed:
    """A region of an image (whatever tells that from others; None: all of it) by one annotator; `annotated` None where
    only a score was given.
    """

    image: Hashable
    region: Region | None
    annotator: str
    annotated: Annotated | None
    mpp: float


def observers_of(observed: Sequence[Observed]) -> tuple[str, ...]:
    """Both, where there are two; else none."""
    names = tuple(dict.fromkeys(each.annotator for each in observed))
    return names if len(names) == 2 else ()


def agreement_of(observed: Sequence[Observed]) -> ObserverAgreement:
    """Over the regions that both observers have annotated."""
    regions: dict[Hashable, dict[str, Observed]] = {}
    for each in observed:
        regions.setdefault((each.image, each.region), {})[each.annotator] = each
    first, second = observers_of(observed)
    pairs = []
    for of in regions.values():
        ours, theirs = (of[who].annotated if who in of else None for who in (first, second))
        if ours is not None and theirs is not None:
            pairs.append(Pair(first=ours, second=theirs, mpp=of[first].mpp))
    return observer_agreement(pairs)


def observer_agreement(pairs: Sequence[Pair]) -> ObserverAgreement:
    classes = np.zeros((len(COMPARTMENTS), len(COMPARTMENTS)), np.int64)
    grades = np.zeros((GRADES, GRADES), np.int64)
    similar: list[float] = []
    for p in pairs:
        ours, theirs = matched(p.first.xy, p.second.xy, mpp=p.mpp)
        squared = ((p.first.xy[ours] - p.second.xy[theirs]) ** 2).sum(axis=1) * p.mpp**2
        similar += np.exp(-squared / (2 * MATCH_RADIUS_UM**2)).tolist()
        np.add.at(classes, (p.first.compartment[ours], p.second.compartment[theirs]), 1)
        np.add.at(grades, (p.first.grade[ours], p.second.grade[theirs]), 1)
    points = sum(len(p.first) + len(p.second) for p in pairs)
    return ObserverAgreement(
        n=len(similar),
        similarity=float(np.mean(similar)) if similar else float("nan"),
        paired=2 * len(similar) / points if points else float("nan"),
        kappa_class=cohen_kappa(classes),
        kappa_grade=cohen_kappa(grades),
        kappa_grade_weighted=weighted_kappa(grades),
        h_score_difference={part: _difference(pairs, part) for part in (*COMPARTMENTS, ALL)},
    )


def _difference(pairs: Sequence[Pair], part: str) -> float:
    first, second = (_score([getattr(p, who) for p in pairs], part) for who in ("first", "second"))
    return first - second


def _score(annotated: Sequence[Annotated], part: str) -> float:
    counts: IntArray = np.zeros(GRADES, np.int64)
    for a in annotated:
        mine = np.ones(len(a), bool) if part == ALL else a.compartment == COMPARTMENTS.index(part)
        counts += np.bincount(a.grade[mine], minlength=GRADES)
    value = h_score(tuple(counts.tolist()))
    return float("nan") if value is None else value
