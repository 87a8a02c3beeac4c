"""Grades from criteria: 0 unstained, 1 weak, 2 moderate, 3 strong. Pure; on arrays of quantised numbers.

By hue and value (EndoNet, Informatics 2023, 10(4), 90): brown where hue < T or hue > 300; of the brown, value < left is
strong, left <= value < right moderate, value >= right weak. By DAB optical density (QuPath's way): three cut-offs; a
density at or above the k-th cut-off has at least grade k: of the square round the centre, or within the outline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self, assert_never

import numpy as np
import numpy.typing as npt

from inference.criteria import COLOUR, Values, check_names, real, whole
from inference.errors import Reason, Refused

Grades = npt.NDArray[np.uint8]

GRADES = 4
GRADE_NAMES = ("unstained", "weak", "moderate", "strong")
HUES, VALUES, DENSITIES = 360, 256, 301
"""How many values hue (degrees), value and optical density (hundredths) can have, from 0."""
HUE_CLOSES_ABOVE = 300
"""Degrees; above it the circle has come back to red, which counts as brown."""


class Colour(StrEnum):
    """The colours that are graded: as the scanner wrote them, or divided by the slide's white point
    (`inference.white`).
    """

    RAW = "raw"
    WHITE_POINT = "white_point"


def colour_in(values: Values) -> Colour:
    """RAW where none is named. Raises Refused PROFILE_INVALID."""
    named = values.get(COLOUR, Colour.RAW.value)
    if named not in list(Colour):
        known = ", ".join(Colour)
        raise Refused(Reason.PROFILE_INVALID, f"criteria for colours of {named!r} can't be used: name one of {known}")
    return Colour(str(named))


def named_colour(colour: Colour) -> dict[str, int | float | str]:
    """As profiles say it: what they leave out is raw."""
    return {} if colour is Colour.RAW else {COLOUR: colour.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class HueValueThresholds:
    """`hue` T in degrees (1-300); `left` < `right` in value (0-255); of which `colour`."""

    method: ClassVar[str] = "hue_value"
    hue: int
    left: int
    right: int
    colour: Colour = Colour.RAW

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
        check_names(cls.method, values, ("hue", "left", "right"), optional=(COLOUR,))
        hue, left, right = (whole(values, name) for name in ("hue", "left", "right"))
        return cls(hue=hue, left=left, right=right, colour=colour_in(values))

    def values(self) -> dict[str, int | float | str]:
        return {"hue": self.hue, "left": self.left, "right": self.right, **named_colour(self.colour)}

    def parameters(self) -> dict[str, str]:
        cuts = {"hue_below": str(self.hue), "value_left": str(self.left), "value_right": str(self.right)}
        return cuts | {name: str(value) for name, value in named_colour(self.colour).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityThresholds:
    """Cut-offs of DAB optical density in hundredths, ascending: weak, moderate, strong; written in OD; of which
    `colour`.
    """

    method: ClassVar[str] = "dab_od"
    weak: int
    moderate: int
    strong: int
    colour: Colour = Colour.RAW

    def __post_init__(self) -> None:
        if not 0 < self.weak < self.moderate < self.strong < DENSITIES:
            cuts = f"{self.weak}, {self.moderate}, {self.strong}"
            message = f"density cut-offs must ascend within 0.01 to 3.00 (hundredths), not {cuts}"
            raise Refused(Reason.PROFILE_INVALID, message)

    @classmethod
    def read(cls, values: Values) -> Self:
        check_names(cls.method, values, ("weak", "moderate", "strong"), optional=(COLOUR,))
        weak, moderate, strong = (round(100 * real(values, name)) for name in ("weak", "moderate", "strong"))
        return cls(weak=weak, moderate=moderate, strong=strong, colour=colour_in(values))

    def values(self) -> dict[str, int | float | str]:
        cuts = {name: getattr(self, name) / 100 for name in ("weak", "moderate", "strong")}
        return cuts | named_colour(self.colour)

    def parameters(self) -> dict[str, str]:
        cuts = {f"od_centi_{name}": str(getattr(self, name)) for name in ("weak", "moderate", "strong")}
        return cuts | {name: str(value) for name, value in named_colour(self.colour).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusDensityThresholds(DensityThresholds):
    """The same cut-offs for the mean density within the nucleus's outline, in place of the square's."""

    method: ClassVar[str] = "dab_od_nucleus"


Thresholds = HueValueThresholds | DensityThresholds


def grades(columns: Sequence[npt.ArrayLike], thresholds: Thresholds) -> Grades:
    """The grade of each nucleus, (n,) uint8, by its hue and value, or its density."""
    match thresholds:
        case HueValueThresholds():
            hue, value = columns
            return grades_by_hue_value(hue, value, thresholds)
        case DensityThresholds():
            (centi,) = columns
            return grades_by_density(centi, thresholds)
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
