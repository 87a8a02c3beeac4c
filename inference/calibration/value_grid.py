"""The error of every pair of value thresholds beside a fitted hue threshold: what a picture of the optimum shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.calibration.sample import Sample
from inference.calibration.surface import HueValueSpace
from inference.calibration.units import pool_of, units_of
from inference.cells.values import IntArray
from inference.grade import VALUES
from inference.keypoints import FloatArray

STEP = 2
"""Grey levels between pairs."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueGrid:
    """`error` (right, left): mean absolute error in H-score points, NaN where the thresholds would cross."""

    left: IntArray
    right: IntArray
    error: FloatArray


def value_grid(samples: Sequence[Sample], hue: int, step: int = STEP) -> ValueGrid | None:
    """`step` grey levels between pairs. None where no region has both nuclei that were found and a score."""
    units = units_of(pool_of(samples))
    if not units:
        return None
    left, right = np.arange(0, VALUES - 1, step), np.arange(1, VALUES, step)
    r, l_ = (grid.ravel() for grid in np.meshgrid(right, left, indexing="ij"))
    surface = HueValueSpace(hue=hue).tables(units)
    losses = surface.losses(np.stack([np.full(len(r), hue), r, l_], axis=1).astype(np.int64))
    error = np.where(l_ < r, losses, np.nan).reshape(len(right), len(left))
    return ValueGrid(left, right, error)
