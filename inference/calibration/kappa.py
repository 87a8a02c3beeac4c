"""The cut-offs of the best agreement of grades (quadratic weighted kappa), exactly and without trying them all.

kappa = 1 - D / E, D the observed and E the expected squared difference of grades. Both are sums with a term for each
cut-off, so the least of D - ratio x E is a prefix minimum away; Dinkelbach's method steps to the ratio where that is
zero, which is the least D / E.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.calibration.search import ROUNDING, Boxes, Found
from inference.calibration.surface import Cuts, DensitySpace, HueValueSpace, brown_below
from inference.cells.values import Cells
from inference.grade import DENSITIES, GRADES, HUES, VALUES, Grades
from inference.keypoints import FloatArray

CLOSE = 1e-9
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Terms:
    """What cut-offs add to D and to E (first axis), in layers that share one of them, the pivot.

    `base` (2,) with no nucleus stained; `pivot` (2, L); `lower` and `upper` (2, L, K) of the two others, which may lie
    where `low` and `high` (L, K) say, and a lower one below an upper one.
    """

    base: FloatArray
    pivot: FloatArray
    lower: FloatArray
    upper: FloatArray
    low: Mask
    high: Mask

    def at(self, ratio: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """D - ratio x E of pivot (L,), lower and upper (L, K); infinite where one may not lie."""
        pivot, lower, upper = (v[0] - ratio * v[1] for v in (self.pivot, self.lower, self.upper))
        whole = pivot + self.base[0] - ratio * self.base[1]
        return whole, np.where(self.low, lower, np.inf), np.where(self.high, upper, np.inf)

    def parts(self, places: Cuts) -> FloatArray:
        """D and E (2, k) of places (k, 3): layer, lower, upper."""
        layer, low, high = places.T
        total: FloatArray = (
            self.base[:, None] + self.pivot[:, layer] + self.lower[:, layer, low] + self.upper[:, layer, high]
        )
        return total


def best_agreement(cells: Cells, grade: Grades, space: HueValueSpace | DensitySpace, *, slack: float = 0.0) -> Found:
    """The largest kappa between the cells' grades and annotated ones (n,); `loss` is 1 - kappa.

    Raises ValueError where fewer than two grades are annotated: kappa isn't defined then.
    """
    if len(np.unique(grade)) < 2:
        raise ValueError("kappa needs two annotated grades at least")
    terms = _hue_value(cells, grade, space) if isinstance(space, HueValueSpace) else _density(cells, grade)
    ratio = np.inf
    d, e = terms.parts(_least(terms, 1.0)[None])[:, 0]
    while d / e < ratio - CLOSE:
        ratio = float(d / e)
        d, e = terms.parts(_least(terms, ratio)[None])[:, 0]
    near = _near(terms, ratio + slack, CLOSE * len(grade))
    d, e = terms.parts(near)
    layer, low, high = near.T
    first = space.lows[0] if isinstance(space, HueValueSpace) else 0
    in_order = (layer + first, high, low) if isinstance(space, HueValueSpace) else (low, layer, high)
    cuts, losses = np.stack(in_order, axis=1), np.asarray(d / e)
    ties = cuts[losses <= losses.min() + ROUNDING]
    return Found(best=Boxes(low=ties, high=ties).middle(), loss=float(losses.min()), near=Boxes(low=cuts, high=cuts))


def _least(terms: Terms, ratio: float) -> Cuts:
    """The place of the least D - ratio x E."""
    pivot, lower, upper = terms.at(ratio)
    below = np.minimum.accumulate(lower, axis=1)
    total = pivot[:, None] + below[:, :-1] + upper[:, 1:]
    layer, high = np.unravel_index(int(np.argmin(total)), total.shape)
    low = int(np.argmin(lower[layer, : high + 1]))
    return np.array([layer, low, high + 1])


def _near(terms: Terms, ratio: float, rounding: float) -> Cuts:
    """All places where D / E is at most `ratio`."""
    pivot, lower, upper = terms.at(ratio)
    lowest, uppermost = lower.min(axis=1), upper.min(axis=1)
    places = []
    for layer in np.flatnonzero(pivot + lowest + uppermost <= rounding):
        low = np.flatnonzero(lower[layer] <= rounding - pivot[layer] - uppermost[layer])
        high = np.flatnonzero(upper[layer] <= rounding - pivot[layer] - lowest[layer])
        total = pivot[layer] + lower[layer, low][:, None] + upper[layer, high][None]
        i, j = np.nonzero((total <= rounding) & (low[:, None] < high[None]))
        places.append(np.stack([np.full(len(i), layer), low[i], high[j]], axis=1))
    return np.concatenate(places)


def _hue_value(cells: Cells, grade: Grades, space: HueValueSpace) -> Terms:
    """Layers are hue thresholds, `lower` the left and `upper` the right value threshold."""
    index = (cells["hue"].astype(np.int64), cells["value"].astype(np.int64), grade)
    counts = np.bincount(np.ravel_multi_index(index, (HUES, VALUES, GRADES)), minlength=GRADES * HUES * VALUES)
    table = brown_below(counts.reshape(HUES, VALUES, GRADES).astype(np.float64))
    below = np.moveaxis(table[space.lows[0] : space.highs[0] + 1], 2, 0)
    anywhere = np.ones((below.shape[1], VALUES), bool)
    return Terms(
        base=_base(grade),
        pivot=_step(below[..., -1], 1, grade),
        upper=_step(below[..., :VALUES], 2, grade),
        lower=_step(below[..., :VALUES], 3, grade),
        low=anywhere,
        high=anywhere,
    )


def _density(cells: Cells, grade: Grades) -> Terms:
    """Layers are moderate cut-offs, with the weak one below and the strong one above them."""
    index = np.ravel_multi_index((grade, cells["dab_od_centi"].astype(np.int64)), (GRADES, DENSITIES))
    counts = np.bincount(index, minlength=GRADES * DENSITIES).reshape(GRADES, DENSITIES).astype(np.float64)
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    layers = (GRADES, DENSITIES, DENSITIES)
    everywhere = np.broadcast_to(above[:, None], layers)
    moderate, other = np.mgrid[:DENSITIES, :DENSITIES]
    return Terms(
        base=_base(grade),
        pivot=_step(above, 2, grade),
        lower=_step(everywhere, 1, grade),
        upper=_step(everywhere, 3, grade),
        low=(other < moderate) & (other > 0),
        high=other > moderate,
    )


def _base(grade: Grades) -> FloatArray:
    squares = float((grade.astype(np.int64) ** 2).sum())
    return np.array([squares, squares])


def _step(passed: FloatArray, k: int, grade: Grades) -> FloatArray:
    """What nuclei that go from grade k - 1 to k add to D and E; `passed` (4, ...) by annotated grade."""
    shape = (GRADES,) + (1,) * (passed.ndim - 1)
    annotated = np.arange(GRADES).reshape(shape)
    observed = ((2 * k - 1 - 2 * annotated) * passed).sum(axis=0)
    expected = (2 * k - 1 - 2 * float(grade.mean())) * passed.sum(axis=0)
    return np.stack([observed, expected])
