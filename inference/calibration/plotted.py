"""What pictures of a calibration show: nuclei by what they are graded by, and the error of value thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.analyzers.nuclear import NUCLEAR, table_of
from inference.calibration.sample import Sample, in_colour
from inference.calibration.value_grid import STEP, ValueGrid, value_grid
from inference.cells.histograms import histograms_of
from inference.cells.values import IntArray, joined
from inference.grade import HUE_CLOSES_ABOVE, HueValueThresholds, Thresholds


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Counted:
    """Nuclei by value, `brown` and `blue` (256,) under the hue threshold; or by hundredths of density, all `brown`."""

    brown: IntArray
    blue: IntArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plotted:
    """`grid` None for criteria of density, and where no region has both nuclei and a score."""

    nuclei: Counted
    grid: ValueGrid | None


def plotted(samples: Sequence[Sample], criteria: Thresholds, step: int = STEP) -> Plotted:
    """`step` grey levels between pairs of thresholds."""
    tables = histograms_of(joined([s.cells for s in samples]), NUCLEAR.histograms).tables
    nuclei, grid = counted(tables[table_of(criteria)], criteria), None
    if isinstance(criteria, HueValueThresholds):
        grid = value_grid([in_colour(sample, criteria.colour) for sample in samples], criteria.hue, step)
    return Plotted(nuclei=nuclei, grid=grid)


def counted(histogram: IntArray, criteria: Thresholds) -> Counted:
    """`histogram` (2, hues, values), or (2, densities)."""
    table = histogram.sum(axis=0)
    if not isinstance(criteria, HueValueThresholds):
        return Counted(brown=table, blue=np.zeros_like(table))
    hues = np.arange(len(table))
    brown = (hues < criteria.hue) | (hues > HUE_CLOSES_ABOVE)
    return Counted(brown=table[brown].sum(axis=0), blue=table[~brown].sum(axis=0))
