"""How well nuclei are segmented and classified, as HoVer-Net's evaluation defines it (Graham et al. 2019).

PQ, AJI, AJI+ and Dice are means over pictures; the F1 of detection and of each kind count the nuclei of all pictures
together, paired by the distance of their centres (12 px at 0.25 µm/px).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

RADIUS_UM = 3.0
MATCHED = 0.5  # intersection over union above which two are one nucleus

Labels = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nuclei:
    """A picture's: `labels` (h, w), 0 for none, else 1 to n; `kind` (n,) of each; `centre` (n, 2) x, y in px."""

    labels: Labels
    kind: npt.NDArray[np.int64]
    centre: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """Of one picture: `dice` of nucleus against ground, `aji`, `aji_plus`, and `pq` = `dq` x `sq`, each 0 to 1.

    NaN where neither side has a nucleus.
    """

    dice: float
    aji: float
    aji_plus: float
    dq: float
    sq: float
    pq: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairing:
    """Kinds of the nuclei of one picture: `pairs` (n, 2) annotated, found; `missed` and `surplus` without a partner."""

    pairs: npt.NDArray[np.int64]
    missed: npt.NDArray[np.int64]
    surplus: npt.NDArray[np.int64]


def overlaps(annotated: Labels, found: Labels) -> Overlaps:
    """Both (h, w), 0 for none, else 1 to n without a gap."""
    shared, ours, theirs = _shared(annotated, found)
    if not len(ours) and not len(theirs):
        return Overlaps(**dict.fromkeys(("dice", "aji", "aji_plus", "dq", "sq", "pq"), float("nan")))
    union = ours[:, None] + theirs[None] - shared
    ratio = shared / np.maximum(union, 1)
    hit = ratio[ratio > MATCHED]  # at most one in a row and a column
    dq = 2 * len(hit) / (len(ours) + len(theirs))
    sq = float(hit.mean()) if len(hit) else 0.0
    return Overlaps(
        dice=float(2 * shared.sum() / (ours.sum() + theirs.sum())),
        aji=_aji(shared, union, *_nearest(ratio), ours, theirs),
        aji_plus=_aji(shared, union, *_assigned(ratio), ours, theirs),
        dq=dq,
        sq=sq,
        pq=dq * sq,
    )


def _shared(annotated: Labels, found: Labels) -> tuple[Numbers, Numbers, Numbers]:
    """(n, m) pixels in common, and the areas (n,), (m,)."""
    n, m = int(annotated.max(initial=0)), int(found.max(initial=0))
    both = annotated.ravel().astype(np.int64) * (m + 1) + found.ravel()
    table = np.bincount(both, minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1).astype(np.float64)
    return table[1:, 1:], table[1:].sum(axis=1), table[:, 1:].sum(axis=0)


def _nearest(ratio: Numbers) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """AJI: each annotated one takes the found one that overlaps it best; one may be taken twice."""
    if not ratio.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    best = ratio.argmax(axis=1)
    rows = np.flatnonzero(ratio.max(axis=1) > 0)
    return rows, best[rows]


def _assigned(ratio: Numbers) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """AJI+: the one-to-one pairing of the largest sum."""
    rows, columns = linear_sum_assignment(-ratio)
    real = ratio[rows, columns] > 0
    return rows[real], columns[real]


def _aji(
    shared: Numbers,
    union: Numbers,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    ours: Numbers,
    theirs: Numbers,
) -> float:
    left = np.delete(ours, rows).sum() + np.delete(theirs, np.unique(columns)).sum()
    return float(shared[rows, columns].sum() / (union[rows, columns].sum() + left))


def paired(annotated: Nuclei, found: Nuclei, radius_px: float) -> Pairing:
    """The pairing of the least summed distance, of which pairs further apart than `radius_px` don't count."""
    apart = cdist(annotated.centre.reshape(-1, 2), found.centre.reshape(-1, 2))
    rows, columns = linear_sum_assignment(apart)
    near = apart[rows, columns] <= radius_px
    rows, columns = rows[near], columns[near]
    return Pairing(
        pairs=np.stack([annotated.kind[rows], found.kind[columns]], axis=1).astype(np.int64),
        missed=np.delete(annotated.kind, rows),
        surplus=np.delete(found.kind, columns),
    )


def detection_f1(pairings: Sequence[Pairing]) -> float:
    """Whatever the kind; NaN where there is nothing."""
    hits, missed, surplus = (sum(len(getattr(p, name)) for p in pairings) for name in ("pairs", "missed", "surplus"))
    return 2 * hits / (2 * hits + missed + surplus) if hits + missed + surplus else float("nan")


def kind_f1(pairings: Sequence[Pairing], kind: int) -> float:
    """F1 of a kind as HoVer-Net weighs it: a pair of two kinds counts twice against either, one without a partner once.

    NaN where there is none of the kind.
    """
    pairs = np.concatenate([p.pairs for p in pairings])
    right = int((pairs == kind).all(axis=1).sum())
    confused = int((pairs == kind).any(axis=1).sum()) - right
    alone = sum(int((side == kind).sum()) for p in pairings for side in (p.missed, p.surplus))
    wrong = 2 * confused + alone
    return 2 * right / (2 * right + wrong) if right + wrong else float("nan")


def figures(
    annotated: Sequence[Nuclei], found: Sequence[Nuclei], kinds: Sequence[str], *, mpp: float
) -> dict[str, float]:
    """`pq`, `dq`, `sq`, `aji`, `aji_plus`, `dice`, `f1` of detection and `f1_KIND`, over all pictures."""
    each = [overlaps(a.labels, f.labels) for a, f in zip(annotated, found, strict=True)]
    pairings = [paired(a, f, RADIUS_UM / mpp) for a, f in zip(annotated, found, strict=True)]
    return summed(each, pairings, kinds)


def summed(each: Sequence[Overlaps], pairings: Sequence[Pairing], kinds: Sequence[str]) -> dict[str, float]:
    """As `figures`, of pictures already compared."""
    names = ("pq", "dq", "sq", "aji", "aji_plus", "dice")
    means = {name: _mean([getattr(one, name) for one in each]) for name in names}
    by_kind = {f"f1_{kind}": kind_f1(pairings, i) for i, kind in enumerate(kinds)}
    return means | {"f1": detection_f1(pairings)} | by_kind


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def intervals(
    each: Sequence[Overlaps], pairings: Sequence[Pairing], kinds: Sequence[str], *, draws: int = 500, seed: int = 20231
) -> dict[str, tuple[float, float]]:
    """95 % of the figures of pictures drawn with replacement; empty below two pictures."""
    if len(each) < 2:
        return {}
    random = np.random.default_rng(seed)
    drawn = [random.integers(len(each), size=len(each)) for _ in range(draws)]
    rows = [summed([each[i] for i in chosen], [pairings[i] for i in chosen], kinds) for chosen in drawn]
    found: dict[str, tuple[float, float]] = {}
    for name in rows[0]:
        known = [row[name] for row in rows if not np.isnan(row[name])]
        if known:
            low, high = np.percentile(known, [2.5, 97.5])
            found[name] = (float(low), float(high))
    return found
