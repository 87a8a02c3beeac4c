"""Samples pooled into units, each with one number that a person gave: what an H-score error is of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.calibration.sample import Quantity, Sample, Target
from inference.cells.values import Cells, joined
from inference.keypoints import FloatArray
from inference.measures import ALL

FULL_WEIGHT = 200
"""Nuclei from which a unit counts wholly: with fewer its H-score is sampling noise, and it counts by their number."""
SHARES = {Quantity.H_SCORE: (100.0, 100.0, 100.0), Quantity.PERCENT_POSITIVE: (300.0, 0.0, 0.0)}
"""What each share of nuclei of at least grade 1, 2, 3 adds; a percentage is stretched to the H-score's range."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Member:
    """A region's part in a unit: its nuclei, the person's value of them in H-score points, how many nuclei it is of."""

    slide: str
    part: str
    quantity: Quantity
    cells: Cells
    value: float
    n: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Unit:
    """A compartment (or `all`) of a slide: the nuclei of its regions, and their pooled value in H-score points.

    `counts` (nuclei,) says how often each nucleus counts, where regions are drawn again.
    """

    slide: str
    part: str
    quantity: Quantity
    cells: Cells
    counts: FloatArray
    value: float
    n: int

    @property
    def weight(self) -> float:
        return min(self.n / FULL_WEIGHT, 1.0)


Pool = tuple[tuple[Member, ...], ...]
"""The members that each sample has."""


def pool_of(samples: Sequence[Sample]) -> Pool:
    """What is fitted: compartments where any is known, else all nuclei."""
    return tuple(tuple(member(s, t, by_model=False) for t in fitted_targets(s)) for s in samples)


def fitted_targets(sample: Sample) -> tuple[Target, ...]:
    return tuple(t for t in sample.targets if t.part != ALL) or sample.targets


def member(sample: Sample, target: Target, *, by_model: bool) -> Member:
    cells = sample.part(target.part, by_model=by_model)
    scale = 3.0 if target.quantity is Quantity.PERCENT_POSITIVE else 1.0
    return Member(
        slide=sample.slide,
        part=target.part,
        quantity=target.quantity,
        cells=cells,
        value=target.value * scale,
        n=len(cells) if target.n is None else target.n,
    )


def units_of(pool: Pool, counts: Sequence[int] | None = None) -> list[Unit]:
    """By slide, compartment and quantity; those without nuclei, found or annotated, are left out.

    `counts` draws samples more than once, or not.
    """
    gathered: dict[tuple[str, str, Quantity], list[tuple[Member, int]]] = {}
    for members, count in zip(pool, counts or [1] * len(pool), strict=True):
        for m in members if count else ():
            gathered.setdefault((m.slide, m.part, m.quantity), []).append((m, count))
    units = (pooled(members) for members in gathered.values())
    return [unit for unit in units if unit is not None]


def pooled(members: Sequence[tuple[Member, int]]) -> Unit | None:
    """Regions of a slide as one, each weighing as many nuclei as it has; None where no nucleus is found or annotated.

    `members` are of one slide, part and quantity, each with how often it counts.
    """
    first = members[0][0]
    n = sum(m.n * count for m, count in members)
    found = [len(m.cells) for m, _ in members]
    if n == 0 or sum(found) == 0:
        return None
    return Unit(
        slide=first.slide,
        part=first.part,
        quantity=first.quantity,
        cells=joined([m.cells for m, _ in members]),
        counts=np.repeat([float(count) for _, count in members], found),
        value=sum(m.value * m.n * count for m, count in members) / n,
        n=n,
    )


def histogram(units: Sequence[Unit], columns: tuple[str, ...], shape: tuple[int, ...]) -> FloatArray:
    """Counts of each unit's nuclei over quantised columns, (*shape, U)."""
    k = len(units)
    index = [np.concatenate([u.cells[name] for u in units]).astype(np.int64) for name in columns]
    unit = np.repeat(np.arange(k), [len(u.cells) for u in units])
    places = np.ravel_multi_index((*index, unit), (*shape, k))
    counts = np.bincount(places, np.concatenate([u.counts for u in units]), minlength=int(np.prod(shape)) * k)
    return counts.astype(np.float64, copy=False).reshape(*shape, k)
