"""HER2 of the breast: from shares of cells to the score, as data with its source. Pure.

ASCO/CAP 2018, affirmed 2023 (Wolff et al., Arch Pathol Lab Med 142(11), 1364). The guideline is silent on two patterns
and names no least share for "intense complete in at most 10 %": the 1 % floor and both silent corners are ours, which
every report says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np

from inference.cells.values import IntArray
from inference.interval import ratio_interval
from inference.measures import Interval

CLASSES = (
    "none",
    "faint_incomplete",
    "moderate_incomplete",
    "intense_incomplete",
    "faint_complete",
    "moderate_complete",
    "intense_complete",
)
NONE, FAINT_I, MODERATE_I, INTENSE_I, FAINT_C, MODERATE_C, INTENSE_C = range(len(CLASSES))
SCORES = ("0", "1+", "2+", "3+")
LOWS = ("null", "ultralow", "low", "pending_ish", "none")
H_WEIGHTS = np.array((0, 100, 200, 300, 100, 200, 300))
"""Faint 1, moderate 2, intense 3, complete or not."""

TENTH, FLOOR = Fraction(10, 100), Fraction(1, 100)
MEASUREMENT_ERROR = 0.02
"""Standard deviation of a share that measuring adds to sampling (docs/models/membrane.md)."""
ULTRALOW_ABOVE = Fraction(1, 100)
"""Fewer stained cells than the measurement calls stained where none is: said to be none (ours, not the guideline's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules ask of the shares."""

    intense_complete_above_10: bool
    weak_complete_above_10: bool
    intense_complete_above_1: bool
    strong_incomplete_above_10: bool
    faint_incomplete_above_10: bool
    weak_complete_above_1: bool
    stained_above_10: bool
    incomplete_above_10: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`score` where `holds`; `silent` where the guideline says nothing of it."""

    holds: Callable[[Facts], bool]
    score: str
    silent: bool = False


RULES = (
    Rule(holds=lambda f: f.intense_complete_above_10, score="3+"),
    Rule(
        holds=lambda f: f.weak_complete_above_10 or f.intense_complete_above_1 or f.strong_incomplete_above_10,
        score="2+",
    ),
    Rule(holds=lambda f: f.faint_incomplete_above_10, score="1+"),
    Rule(holds=lambda f: f.weak_complete_above_1 and f.stained_above_10, score="2+", silent=True),
    Rule(holds=lambda f: f.incomplete_above_10, score="1+", silent=True),
    Rule(holds=lambda _: True, score="0"),
)
"""In their order: the first that holds."""

PARTS: dict[str, tuple[tuple[int, ...], Fraction]] = {
    "intense_complete_above_10": ((INTENSE_C,), TENTH),
    "weak_complete_above_10": ((FAINT_C, MODERATE_C), TENTH),
    "intense_complete_above_1": ((INTENSE_C,), FLOOR),
    "strong_incomplete_above_10": ((MODERATE_I, INTENSE_I), TENTH),
    "faint_incomplete_above_10": ((FAINT_I,), TENTH),
    "weak_complete_above_1": ((FAINT_C, MODERATE_C), FLOOR),
    "stained_above_10": ((FAINT_C, MODERATE_C, FAINT_I, MODERATE_I, INTENSE_I), TENTH),
    "incomplete_above_10": ((FAINT_I, MODERATE_I, INTENSE_I), TENTH),
}
"""Which classes together must be above which share, for each of Facts."""
assert {f.name for f in fields(Facts)} == set(PARTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Her2:
    """`score` one of SCORES, `low` of LOWS; `other` the score on the other side of 10 % where an interval spans it."""

    score: str
    low: str
    silent: bool
    other: str | None = None

    @property
    def reflex(self) -> bool:
        """Does the guideline ask for in situ hybridisation?"""
        return self.score == "2+"


def facts_of(counts: Sequence[int]) -> Facts:
    """Of cells by class, (7,), at least one; shares are compared exactly."""
    n = sum(counts)
    return Facts(**{name: Fraction(sum(counts[i] for i in of), n) > edge for name, (of, edge) in PARTS.items()})


def her2_of(counts: Sequence[int], cells_by_field: IntArray | None = None) -> Her2 | None:
    """The score of scorable tumour cells by class, (7,); None of no cells. `cells_by_field` (k, 7): by field."""
    counts = [int(c) for c in counts]
    if sum(counts) == 0:
        return None
    rule = _first(facts_of(counts))
    other = None if cells_by_field is None else _other(rule.score, counts, cells_by_field)
    return Her2(score=rule.score, low=_low(rule.score, counts), silent=rule.silent, other=other)


def _first(facts: Facts) -> Rule:
    return next(rule for rule in RULES if rule.holds(facts))


def _low(score: str, counts: Sequence[int]) -> str:
    """HER2-low and ultralow (DESTINY-Breast06): beside the score, not in place of it."""
    if score == "0":
        any_stained = Fraction(sum(counts) - counts[NONE], sum(counts)) > ULTRALOW_ABOVE
        return "ultralow" if any_stained else "null"
    return {"1+": "low", "2+": "pending_ish", "3+": "none"}[score]


def _other(score: str, counts: Sequence[int], cells_by_field: IntArray) -> str | None:
    """The score, where another, if a share whose interval spans 10 % lay just on its other side."""
    for of, edge in PARTS.values():
        interval = share_interval(cells_by_field, of) if edge == TENTH else None
        if interval is not None and interval[0] <= 100 * TENTH <= interval[1]:
            other = _first(facts_of(_across(counts, of))).score
            if other != score:
                return other
    return None


def _across(counts: Sequence[int], of: Sequence[int]) -> list[int]:
    """The counts with as few cells more, or fewer, in some classes as bring their share to the other side of 10 %."""
    now, most = sum(counts[i] for i in of), sum(counts) // 10
    by = most - now if now > most else most + 1 - now
    others = [i for i in range(len(counts)) if i not in of]
    giver = NONE if counts[NONE] >= by else max(others, key=lambda i: counts[i])
    moved = list(counts)
    moved[max(of, key=lambda i: counts[i])] += by
    moved[giver] -= by
    return [max(count, 0) for count in moved]


def share_interval(cells_by_field: IntArray, of: Sequence[int]) -> Interval | None:
    """95 % interval of the share of some classes, percent: fields drawn with replacement, and the measurement's error.

    None below six fields with cells.
    """
    part, whole = 100 * cells_by_field[:, list(of)].sum(axis=1), cells_by_field.sum(axis=1)
    return ratio_interval(part, whole, most=100, error=100 * MEASUREMENT_ERROR)


def membrane_h_score(counts: Sequence[int]) -> float | None:
    """1 x % faint + 2 x % moderate + 3 x % intense, 0 to 300."""
    n = sum(counts)
    return None if n == 0 else float(np.asarray(counts) @ H_WEIGHTS / n)
