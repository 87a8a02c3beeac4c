"""Grades from thresholds: 0 unstained, 1 weak, 2 moderate, 3 strong. Pure; on arrays of quantised numbers.

By hue and value (EndoNet, Informatics 2023, 10(4), 90): brown where hue < T or hue > 300; of the brown, value < left is
strong, left <= value < right moderate, value >= right weak. By DAB optical density (QuPath's way): three cut-offs; a
density at or above the k-th cut-off has at least grade k.
"""

from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt

from inference.errors import Reason, Refused
from inference.nuclei import DENSITIES, HUES, VALUES, Histograms, IntArray, Nuclei

Grades = npt.NDArray[np.uint8]

HUE_CLOSES_ABOVE = 300
"""Degrees; above it the circle has come back to red, which counts as brown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HueValueThresholds:
    """`hue` T in degrees (1-300); `left` < `right` in value (0-255)."""

    hue: int
    left: int
    right: int

    def __post_init__(self) -> None:
        if not 1 <= self.hue <= HUE_CLOSES_ABOVE:
            raise Refused(
                Reason.PROFILE_INVALID, f"hue threshold {self.hue} is outside 1 to {HUE_CLOSES_ABOVE} degrees"
            )
        if not 0 <= self.left < self.right <= VALUES - 1:
            raise Refused(
                Reason.PROFILE_INVALID,
                f"value thresholds need 0 <= left < right <= 255, not {self.left} and {self.right}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityThresholds:
    """Cut-offs of DAB optical density in hundredths, ascending: weak, moderate, strong."""

    weak: int
    moderate: int
    strong: int

    def __post_init__(self) -> None:
        if not 0 < self.weak < self.moderate < self.strong < DENSITIES:
            cuts = f"{self.weak}, {self.moderate}, {self.strong}"
            raise Refused(
                Reason.PROFILE_INVALID, f"density cut-offs must ascend within 0.01 to 3.00 (hundredths), not {cuts}"
            )


Thresholds = HueValueThresholds | DensityThresholds


def grades(nuclei: Nuclei, thresholds: Thresholds) -> Grades:
    """The grade of each nucleus, (n,) uint8."""
    match thresholds:
        case HueValueThresholds():
            return grades_by_hue_value(nuclei.hue, nuclei.value, thresholds)
        case DensityThresholds():
            return grades_by_density(nuclei.dab_od_centi, thresholds)
        case _:
            assert_never(thresholds)


def grades_by_hue_value(hue: npt.ArrayLike, value: npt.ArrayLike, t: HueValueThresholds) -> Grades:
    """Grades of hues (degrees, 0-359) and values (0-255) of one shape, broadcast."""
    hue, value = np.asarray(hue), np.asarray(value)
    brown = (hue < t.hue) | (hue > HUE_CLOSES_ABOVE)
    depth = np.where(value < t.left, 3, np.where(value < t.right, 2, 1))
    return np.where(brown, depth, 0).astype(np.uint8)


def grades_by_density(centi: npt.ArrayLike, t: DensityThresholds) -> Grades:
    """Grades of optical densities in hundredths."""
    return np.searchsorted([t.weak, t.moderate, t.strong], np.asarray(centi), side="right").astype(np.uint8)


def counts(histograms: Histograms, thresholds: Thresholds) -> IntArray:
    """Nuclei by compartment and grade, (2, 4) int64, from the histograms: exact, whatever the number of nuclei."""
    match thresholds:
        case HueValueThresholds():
            grade = grades_by_hue_value(np.arange(HUES)[:, None], np.arange(VALUES)[None], thresholds)
            table = histograms.hue_value
        case DensityThresholds():
            grade = grades_by_density(np.arange(DENSITIES), thresholds)
            table = histograms.density
        case _:
            assert_never(thresholds)
    return np.stack([[int(row[grade == g].sum()) for g in range(4)] for row in table]).astype(np.int64)
