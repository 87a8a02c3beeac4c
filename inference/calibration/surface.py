"""The H-score of every unit at any three cut-offs, from prefix sums; and the space of cut-offs there are.

Both kinds of criteria are three cut-offs: a nucleus of at least grade 1 lies on one side of the first, and so on. By
hue and value they are (hue T, right, left), by density (weak, moderate, strong). A share only grows (or only falls) as
its cut-off rises: that is what lets the search leave out most of the space and still be exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inference.calibration.units import SHARES, Unit, histogram
from inference.criteria import Criteria
from inference.grade import DENSITIES, HUE_CLOSES_ABOVE, HUES, VALUES, DensityThresholds, HueValueThresholds
from inference.keypoints import FloatArray

Cuts = npt.NDArray[np.int64]
"""(k, 3) cut-offs, in the order of the grades that they begin."""


class Space(Protocol):
    """The cut-offs of one kind of criteria."""

    @property
    def lows(self) -> tuple[int, int, int]: ...

    @property
    def highs(self) -> tuple[int, int, int]:
        """Inclusive."""
        ...

    @property
    def rising(self) -> bool:
        """Do scores rise with every cut-off? Else they fall with every one."""
        ...

    def ordered(self, low: Cuts, high: Cuts) -> npt.NDArray[np.bool_]:
        """Which boxes (k, 3) hold cut-offs in their order."""
        ...

    def criteria(self, cuts: Sequence[int]) -> Criteria: ...

    def named(self, cuts: Sequence[int]) -> dict[str, float]:
        """By the names and in the units of profile files."""
        ...

    def tables(self, units: Sequence[Unit]) -> "Surface": ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Surface:
    """Units' nuclei of at least each grade: `shares` holds a table (rows, U) for each.

    `stride` (3, 3): the row of grade k's table is cuts @ stride[k]. `points` (3, U) is what each share is worth.
    """

    shares: tuple[FloatArray, FloatArray, FloatArray]
    points: FloatArray
    stride: npt.NDArray[np.int64]
    targets: FloatArray
    weights: FloatArray

    def scores(self, cuts: Cuts) -> FloatArray:
        """(k, U) in H-score points."""
        rows = cuts @ self.stride.T
        total: FloatArray = np.zeros((len(cuts), len(self.targets)))
        for k, share in enumerate(self.shares):
            total += share[rows[:, k]] * self.points[k]
        return total

    def losses(self, cuts: Cuts) -> FloatArray:
        """(k,) mean absolute error over the units, by their weights."""
        errors: FloatArray = np.abs(self.scores(cuts) - self.targets) @ self.weights
        return errors

    def least(self, low: Cuts, high: Cuts) -> FloatArray:
        """(k,) what no cut-offs between `low` and `high` score below, `low` being the corner of the lowest scores."""
        beyond = np.maximum(self.scores(low) - self.targets, self.targets - self.scores(high))
        errors: FloatArray = np.maximum(beyond, 0) @ self.weights
        return errors

    def most(self, low: Cuts, high: Cuts) -> FloatArray:
        """(k,) what no cut-offs between the same corners score above."""
        beyond = np.maximum(np.abs(self.scores(low) - self.targets), np.abs(self.scores(high) - self.targets))
        errors: FloatArray = beyond @ self.weights
        return errors


@dataclass(frozen=True, slots=True, kw_only=True)
class HueValueSpace:
    """(T, right, left); `hue` fixes T."""

    hue: int | None = None
    rising = True

    @property
    def lows(self) -> tuple[int, int, int]:
        return self.hue or 1, 1, 0

    @property
    def highs(self) -> tuple[int, int, int]:
        return self.hue or HUE_CLOSES_ABOVE, VALUES - 1, VALUES - 2

    def ordered(self, low: Cuts, high: Cuts) -> npt.NDArray[np.bool_]:
        fits: npt.NDArray[np.bool_] = low[:, 2] < high[:, 1]
        return fits

    def criteria(self, cuts: Sequence[int]) -> HueValueThresholds:
        hue, right, left = (int(c) for c in cuts)
        return HueValueThresholds(hue=hue, left=left, right=right)

    def named(self, cuts: Sequence[int]) -> dict[str, float]:
        hue, right, left = cuts
        return {"hue": hue, "left": left, "right": right}

    def tables(self, units: Sequence[Unit]) -> Surface:
        """Row T * (VALUES + 1) + v of a unit: the share of its nuclei that are brown under T and darker than v."""
        below = brown_below(histogram(units, ("hue", "value"), (HUES, VALUES)))
        below /= np.array([u.counts.sum() for u in units])
        width = VALUES + 1
        flat, brown = below.reshape(-1, len(units)), below[:, -1]
        return surface(units, (brown, flat, flat), np.array([[1, 0, 0], [width, 1, 0], [width, 0, 1]]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DensitySpace:
    """(weak, moderate, strong) in hundredths."""

    lows = (1, 2, 3)
    highs = (DENSITIES - 3, DENSITIES - 2, DENSITIES - 1)
    rising = False

    def ordered(self, low: Cuts, high: Cuts) -> npt.NDArray[np.bool_]:
        fits: npt.NDArray[np.bool_] = (low[:, 0] < high[:, 1]) & (low[:, 1] < high[:, 2]) & (low[:, 0] + 1 < high[:, 2])
        return fits

    def criteria(self, cuts: Sequence[int]) -> DensityThresholds:
        weak, moderate, strong = (int(c) for c in cuts)
        return DensityThresholds(weak=weak, moderate=moderate, strong=strong)

    def named(self, cuts: Sequence[int]) -> dict[str, float]:
        return {name: cut / 100 for name, cut in zip(("weak", "moderate", "strong"), cuts, strict=True)}

    def tables(self, units: Sequence[Unit]) -> Surface:
        """Row c of a unit: the share of its nuclei of density c and above."""
        table = histogram(units, ("dab_od_centi",), (DENSITIES,))
        above = table[::-1].cumsum(axis=0)[::-1] / np.array([u.counts.sum() for u in units])
        return surface(units, (above, above, above), np.eye(3, dtype=np.int64))


def brown_below(table: FloatArray) -> FloatArray:
    """(HUES, VALUES, ...) counts as (HUE_CLOSES_ABOVE + 1, VALUES + 1, ...): brown under T, and darker than v."""
    below = np.zeros((HUE_CLOSES_ABOVE + 1, VALUES + 1, *table.shape[2:]))
    below[0, 1:] = table[HUE_CLOSES_ABOVE + 1 :].sum(axis=0)
    below[1:, 1:] = table[:HUE_CLOSES_ABOVE]
    np.cumsum(below, axis=0, out=below)
    np.cumsum(below, axis=1, out=below)
    return below


def surface(
    units: Sequence[Unit], shares: tuple[FloatArray, FloatArray, FloatArray], stride: npt.NDArray[np.int64]
) -> Surface:
    """In points of each unit's quantity; weights sum to 1."""
    weights = np.array([u.weight for u in units])
    return Surface(
        shares=shares,
        points=np.array([SHARES[u.quantity] for u in units]).T,
        stride=stride,
        targets=np.array([u.value for u in units]),
        weights=weights / weights.sum(),
    )
