"""How far a fit is to be trusted: each slide scored by what the others gave, and regions drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.analyzers.nuclear import COMPARTMENTS, NUCLEAR, by_grade
from inference.calibration.fit import Fit, Fitter, Settings
from inference.calibration.sample import Quantity, Sample, slides_of
from inference.calibration.units import Unit, member, pooled
from inference.criteria import Criteria
from inference.errors import Refused
from inference.measures import ALL, Interval
from inference.score import h_score, percent_positive

SEED = 20231


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A compartment (or `all`) of a slide, scored by criteria fitted to the other slides; `n` annotated nuclei, or
    found ones where none are annotated. Values are H-scores, or percentages where the quantity is that.
    """

    slide: str
    part: str
    quantity: Quantity
    n: int
    annotated: float
    fitted: float

    @property
    def error(self) -> float:
        return self.fitted - self.annotated


def left_out(samples: Sequence[Sample], settings: Settings) -> list[LeftOut]:
    """By slide, then compartment, `all` last; empty with one slide. A slide is left out whose others decide nothing."""
    rows: list[LeftOut] = []
    slides = slides_of(samples)
    for slide in slides if len(slides) > 1 else ():
        others = [s for s in samples if s.slide != slide]
        try:
            criteria = Fitter(others, settings).fit().criteria
        except Refused:
            continue
        rows += compared([s for s in samples if s.slide == slide], criteria)
    return rows


def compared(samples: Sequence[Sample], criteria: Criteria) -> list[LeftOut]:
    """The regions of one slide under criteria, beside what was annotated."""
    rows = []
    for part in (*COMPARTMENTS, ALL):
        for quantity in Quantity:
            wanted = [(s, t) for s in samples for t in s.targets if (t.part, t.quantity) == (part, quantity)]
            unit = pooled([(member(s, t, by_model=True), 1) for s, t in wanted]) if wanted else None
            if unit is not None:
                rows.append(_row(unit, criteria))
    return rows


def _row(unit: Unit, criteria: Criteria) -> LeftOut:
    groups = NUCLEAR.group_of(unit.cells, criteria)
    by = tuple(by_grade(np.bincount(groups, minlength=len(NUCLEAR.groups)), ALL).tolist())
    h = unit.quantity is Quantity.H_SCORE
    fitted = h_score(by) if h else percent_positive(by)
    assert fitted is not None, "a unit has nuclei"
    return LeftOut(
        slide=unit.slide,
        part=unit.part,
        quantity=unit.quantity,
        n=unit.n,
        annotated=unit.value if h else unit.value / 3,
        fitted=fitted,
    )


def mean_error(rows: Sequence[LeftOut]) -> float | None:
    """The mean absolute error; None of no rows."""
    return float(np.mean([abs(row.error) for row in rows])) if rows else None


def intervals(samples: Sequence[Sample], settings: Settings) -> dict[str, Interval]:
    """95 % percentile interval of each threshold, by the names of profile files: regions are drawn with replacement.

    Empty below two regions.
    """
    k = len(samples)
    if k < 2:
        return {}
    fitter = Fitter(samples, settings)
    draws = np.random.default_rng(SEED).multinomial(k, np.full(k, 1 / k), size=settings.draws)
    drawn = [f for f in (_fit_or_none(fitter, d.tolist()) for d in draws) if f is not None]
    values = [{name: float(v) for name, v in f.criteria.values().items()} for f in drawn]
    if not values:
        return {}
    return {name: _percentiles([v[name] for v in values]) for name in values[0]}


def _fit_or_none(fitter: Fitter, counts: list[int]) -> Fit | None:
    """None where the regions drawn decide nothing."""
    try:
        return fitter.fit(counts)
    except Refused:
        return None


def _percentiles(values: list[float]) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
