"""Samples pooled into units, each with one number that a person gave: what an H-score error is of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.calibration.sample import Quantity, Sample, Target
from inference.cells.values import Cells, IntArray
from inference.keypoints import FloatArray
from inference.measures import ALL

FULL_WEIGHT = 200
"""Nuclei from which a unit counts wholly: with fewer its H-score is sampling noise, and it counts by their number."""
SHARES = {Quantity.H_SCORE: (100.0, 100.0, 100.0), Quantity.PERCENT_POSITIVE: (300.0, 0.0, 0.0)}
"""What each share of nuclei of at least grade 1, 2, 3 adds; a percentage is stretched to the H-score's range."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Unit:
    """A compartment (or `all`) of a slide: the nuclei of its regions, and their pooled value in H-score points.

    `counts` says how often each cell counts, where regions are drawn again.
    """

    slide: str
    part: str
    quantity: Quantity
    cells: tuple[Cells, ...]
    counts: tuple[int, ...]
    value: float
    n: int

    @property
    def weight(self) -> float:
        return min(self.n / FULL_WEIGHT, 1.0)


def units_of(samples: Sequence[Sample], counts: Sequence[int] | None = None) -> list[Unit]:
    """By slide, compartment and quantity; those without nuclei, found or annotated, are left out.

    `all` is a unit only in samples of which no compartment is known. `counts` draws samples more than once, or not.
    """
    gathered: dict[tuple[str, str, Quantity], list[tuple[Sample, Target, int]]] = {}
    for sample, count in zip(samples, counts or [1] * len(samples), strict=True):
        for target in fitted_targets(sample) if count else ():
            gathered.setdefault((sample.slide, target.part, target.quantity), []).append((sample, target, count))
    units = (pooled(*key, members) for key, members in gathered.items())
    return [unit for unit in units if unit is not None]


def fitted_targets(sample: Sample) -> tuple[Target, ...]:
    """Those of compartments where there are any, else those of all nuclei."""
    return tuple(t for t in sample.targets if t.part != ALL) or sample.targets


def pooled(slide: str, part: str, quantity: Quantity, members: Sequence[tuple[Sample, Target, int]]) -> Unit | None:
    """Regions of a slide as one, each weighing as many nuclei as it has."""
    cells = tuple(sample.part(part) for sample, _, _ in members)
    sizes = np.array([len(c) if t.n is None else t.n for c, (_, t, _) in zip(cells, members, strict=True)])
    counts = np.array([count for _, _, count in members])
    n, found = int(sizes @ counts), int(np.array([len(c) for c in cells]) @ counts)
    if n == 0 or found == 0:
        return None
    value = float((np.array([t.value for _, t, _ in members]) * sizes) @ counts) / n
    scale = SHARES[quantity][0] / 100 if quantity is Quantity.PERCENT_POSITIVE else 1.0
    return Unit(
        slide=slide,
        part=part,
        quantity=quantity,
        cells=cells,
        counts=tuple(counts.tolist()),
        value=value * scale,
        n=n,
    )


def histogram(unit: Unit, columns: tuple[str, ...], shape: tuple[int, ...]) -> FloatArray:
    """Counts of a unit's nuclei over quantised columns, of the shape given."""
    table = np.zeros(int(np.prod(shape)))
    for cells, count in zip(unit.cells, unit.counts, strict=True):
        table += count * np.bincount(_places(cells, columns, shape), minlength=len(table))
    return table.reshape(shape)


def _places(cells: Cells, columns: tuple[str, ...], shape: tuple[int, ...]) -> IntArray:
    return np.ravel_multi_index(tuple(cells[name].astype(np.int64) for name in columns), shape)
