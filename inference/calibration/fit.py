"""One fit of criteria to samples, by H-score or by grades, and the set of criteria that are nearly as good."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from inference.calibration.kappa import best_agreement
from inference.calibration.peaks import hue_threshold
from inference.calibration.sample import Sample
from inference.calibration.search import Boxes, Found, search
from inference.calibration.surface import DensitySpace, HueValueSpace
from inference.calibration.units import Unit, pool_of, units_of
from inference.cells.values import joined
from inference.errors import Reason, Refused
from inference.grade import Colour, DensityThresholds, HueValueThresholds
from inference.measures import Interval

ONE_POINT = {"h_score": 1.0, "grades": 0.01}
"""What a point of the objective is: of the H-score, or of kappa times 100."""


class Objective(StrEnum):
    """What is made small: the error of the H-score by compartment, or the disagreement of nuclei's grades."""

    H_SCORE = "h_score"
    GRADES = "grades"


class HueBy(StrEnum):
    """How the hue threshold is found: searched like the others, or as the valley between the two peaks of hues."""

    SEARCH = "search"
    PEAKS = "peaks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is fitted, and how. `method`, `colour` as of the criteria; `draws` of regions that intervals are of."""

    method: str = HueValueThresholds.method
    colour: Colour = Colour.RAW
    by: Objective = Objective.H_SCORE
    hue_by: HueBy = HueBy.SEARCH
    draws: int = 100


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flat:
    """All criteria within a point of the best: how many they are, and how far each threshold ranges among them."""

    boxes: Boxes
    ranges: dict[str, Interval]

    @property
    def n(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fit:
    """The best criteria; `loss` is the mean absolute error in H-score points, or 1 - kappa, as was made small `by`."""

    by: Objective
    criteria: HueValueThresholds | DensityThresholds
    loss: float
    flat: Flat


def fit(samples: Sequence[Sample], settings: Settings) -> Fit:
    """The best criteria of all that there are.

    Raises Refused CALIBRATION_IMPOSSIBLE where the samples decide nothing.
    """
    return Fitter(samples, settings).fit(slack=ONE_POINT[settings.by])


class Fitter:
    """Fits the same samples again and again, each drawn so many times."""

    def __init__(self, samples: Sequence[Sample], settings: Settings) -> None:
        self._samples, self._settings = samples, settings
        self._pool = pool_of(samples)

    def fit(self, counts: Sequence[int] | None = None, *, slack: float = 0.0) -> Fit:
        """As `fit`; the flat set is what lies at most `slack` from the best."""
        drawn = _drawn(self._samples, counts)
        space = space_of(drawn, self._settings)
        match self._settings.by:
            case Objective.H_SCORE:
                found = _by_h_score(units_of(self._pool, counts), space, slack)
            case Objective.GRADES:
                found = _by_grades(drawn, space, slack)
        return Fit(
            by=self._settings.by,
            criteria=replace(space.criteria(found.best), colour=self._settings.colour),
            loss=found.loss,
            flat=_flat(found.near, space),
        )


def _drawn(samples: Sequence[Sample], counts: Sequence[int] | None) -> list[Sample]:
    return [s for s, count in zip(samples, counts or [1] * len(samples), strict=True) for _ in range(count)]


def space_of(samples: Sequence[Sample], settings: Settings) -> HueValueSpace | DensitySpace:
    """Raises Refused CALIBRATION_IMPOSSIBLE where the hue is to be found by two peaks and there aren't two."""
    if settings.method == DensityThresholds.method:
        return DensitySpace()
    if settings.hue_by is HueBy.SEARCH:
        return HueValueSpace()
    hue = hue_threshold(np.concatenate([s.cells["hue"] for s in samples]).astype(np.int64))
    if hue is None:
        message = "the nuclei's hues have no two peaks: add regions that hold both stained and unstained nuclei"
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, message)
    return HueValueSpace(hue=hue)


def _by_h_score(units: Sequence[Unit], space: HueValueSpace | DensitySpace, slack: float) -> Found:
    if not units:
        message = "no region has both nuclei that were found and a score or graded nuclei: check the annotations"
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, message)
    return search(space.tables(units), space, slack=slack)


def _by_grades(drawn: Sequence[Sample], space: HueValueSpace | DensitySpace, slack: float) -> Found:
    grade = np.concatenate([s.grade for s in drawn]) if drawn else np.zeros(0, np.uint8)
    if len(np.unique(grade)) < 2:
        message = "the matched nuclei have fewer than two grades: add regions with others, or fit by h_score"
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, message)
    return best_agreement(joined([s.matched for s in drawn]), grade, space, slack=slack)


def _flat(near: Boxes, space: HueValueSpace | DensitySpace) -> Flat:
    lowest, highest = (space.named(tuple(edge.tolist())) for edge in (near.low.min(axis=0), near.high.max(axis=0)))
    ranges = {name: (lowest[name], highest[name]) for name in lowest}
    return Flat(boxes=near, ranges=ranges)
