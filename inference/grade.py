"""Grades from criteria: 0 unstained, 1 weak, 2 moderate, 3 strong. Pure; on arrays of quantised numbers.

By hue and value (EndoNet, Informatics 2023, 10(4), 90): brown where hue < T or hue > 300; of the brown, value < left is
strong, left <= value < right moderate, value >= right weak. By DAB optical density (QuPath's way): three cut-offs; a
density at or above the k-th cut-off has at least grade k: of the square round the centre, or within the outline.
"""

from dataclasses import dataclass
from typing import ClassVar, Self, assert_never

import numpy as np
import numpy.typing as npt

from inference.criteria import Values, check_names, real, whole
from inference.errors import Reason, Refused

Grades = npt.NDArray[np.uint8]

GRADES = 4
GRADE_NAMES = ("unstained", "weak", "moderate", "strong")
HUES, VALUES, DENSITIES = 360, 256, 301
"""How many values hue (degrees), value and optical density (hundredths) can have, from 0."""
HUE_CLOSES_ABOVE = 300
"""Degrees; above it the circle has come back to red, which counts as brown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HueValueThresholds:
    """`hue` T in degrees (1-300); `left` < `right` in value (0-255)."""

    method: ClassVar[str] = "hue_value"
    hue: int
    left: int
    right: int

    def __post_init__(self) -> None:
        if not 1 <= self.hue <= HUE_CLOSES_ABOVE:
            raise Refused(
                Reason.PROFILE_INVALID, f"hue threshold {self.hue} is outside 1 to {HUE_CLOSES_ABOVE} degrees"
            )
        if not 0 <= self.left < self.right <= VALUES - 1:
            message = f"value thresholds need 0 <= left < right <= 255, not {self.left} and {self.right}"
            raise Refused(Reason.PROFILE_INVALID, message)

    @classmethod
    def read(cls, values: Values) -> "HueValueThresholds":
        check_names(cls.method, values, ("hue", "left", "right"))
        return cls(hue=whole(values, "hue"), left=whole(values, "left"), right=whole(values, "right"))

    def values(self) -> dict[str, int | float | str]:
        return {"hue": self.hue, "left": self.left, "right": self.right}

    def parameters(self) -> dict[str, str]:
        return {"hue_below": str(self.hue), "value_left": str(self.left), "value_right": str(self.right)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityThresholds:
    """Cut-offs of DAB optical density in hundredths, ascending: weak, moderate, strong; written in OD."""

    method: ClassVar[str] = "dab_od"
    weak: int
    moderate: int
    strong: int

    def __post_init__(self) -> None:
        if not 0 < self.weak < self.moderate < self.strong < DENSITIES:
            cuts = f"{self.weak}, {self.moderate}, {self.strong}"
            message = f"density cut-offs must ascend within 0.01 to 3.00 (hundredths), not {cuts}"
            raise Refused(Reason.PROFILE_INVALID, message)

    @classmethod
    def read(cls, values: Values) -> Self:
        check_names(cls.method, values, ("weak", "moderate", "strong"))
        weak, moderate, strong = (round(100 * real(values, name)) for name in ("weak", "moderate", "strong"))
        return cls(weak=weak, moderate=moderate, strong=strong)

    def values(self) -> dict[str, int | float | str]:
        return {name: getattr(self, name) / 100 for name in ("weak", "moderate", "strong")}

    def parameters(self) -> dict[str, str]:
        return {f"od_centi_{name}": str(getattr(self, name)) for name in ("weak", "moderate", "strong")}


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusDensityThresholds(DensityThresholds):
    """The same cut-offs for the mean density within the nucleus's outline, in place of the square's."""

    method: ClassVar[str] = "dab_od_nucleus"


Thresholds = HueValueThresholds | DensityThresholds


def grades(hue: npt.ArrayLike, value: npt.ArrayLike, dab_od_centi: npt.ArrayLike, thresholds: Thresholds) -> Grades:
    """The grade of each nucleus, (n,) uint8."""
    match thresholds:
        case HueValueThresholds():
            return grades_by_hue_value(hue, value, thresholds)
        case DensityThresholds():
            return grades_by_density(dab_od_centi, thresholds)
        case _:
            assert_never(thresholds)


def grades_by_hue_value(hue: npt.ArrayLike, value: npt.ArrayLike, t: HueValueThresholds) -> Grades:
    """Grades of hues (degrees, 0-359) and values (0-255) of one shape, broadcast."""
    hue, value = np.asarray(hue), np.asarray(value)
    brown = (hue < t.hue) | (hue > HUE_CLOSES_ABOVE)
    strength = np.where(value < t.left, 3, np.where(value < t.right, 2, 1))
    return np.where(brown, strength, 0).astype(np.uint8)


def grades_by_density(centi: npt.ArrayLike, t: DensityThresholds) -> Grades:
    """Grades of optical densities in hundredths."""
    return np.searchsorted([t.weak, t.moderate, t.strong], np.asarray(centi), side="right").astype(np.uint8)
