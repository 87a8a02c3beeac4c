"""Cells found on a drawn HER2 slide beside what was drawn there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.analyzers.her2 import CLASSES
from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.membrane_columns import COMPLETE, NONE_BELOW
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.cells.values import Cells
from inference.draw.expression import CLASSES as DRAWN
from inference.draw.her2 import Truth
from inference.keypoints import near

assert DRAWN == CLASSES
NEAREST_UM = 4.0
INTENSE = CLASSES.index("intense_complete")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """Shares, 0 to 1, but for `completeness_p90`, the ninth decile of the error; `kinds` (7, 7) drawn by found."""

    recall: float
    recall_intense: float
    precision: float
    completeness_error: float
    completeness_p90: float
    extent_right: float
    intensity_right: float
    kinds: npt.NDArray[np.int64]


def appraised(cells: Cells, truth: Truth, criteria: MembraneCriteria, mpp: float) -> Appraisal:
    """Of the tumour cells that can be judged; `mpp` of the pixels that cells are in."""
    found = cells.taken(cells["tumour"] & cells["scorable"])
    columns = MEMBRANE.scored_columns(found, criteria)
    drawn = np.flatnonzero(truth.scorable)
    true_xy = np.stack([truth.x_um, truth.y_um], axis=1)[drawn]
    ours, theirs = _pairs(np.stack([found.x, found.y], axis=1) * mpp, true_xy)
    any_of_them = _pairs(np.stack([found.x, found.y], axis=1) * mpp, np.stack([truth.x_um, truth.y_um], axis=1))
    matched = drawn[theirs]
    completeness, kind = columns["completeness"][ours], _places(columns["class"][ours])
    error = np.abs(completeness - truth.completeness[matched])
    edges = (NONE_BELOW / 100, COMPLETE / 100)
    extents = [np.digitize(v, edges) for v in (completeness, truth.completeness[matched])]
    stained = (truth.kind[matched] > 0) & (kind > 0)
    bands = [(v[stained] - 1) % 3 for v in (kind, truth.kind[matched])]
    table = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    np.add.at(table, (truth.kind[matched], kind), 1)
    intense = truth.kind[drawn] == INTENSE
    return Appraisal(
        recall=len(matched) / max(len(drawn), 1),
        recall_intense=float(intense[theirs].sum() / max(intense.sum(), 1)),
        precision=len(any_of_them[0]) / max(len(found), 1),
        completeness_error=float(error.mean()),
        completeness_p90=float(np.quantile(error, 0.9)),
        extent_right=float((extents[0] == extents[1]).mean()),
        intensity_right=float((bands[0] == bands[1]).mean()) if stained.any() else 1.0,
        kinds=table,
    )


def _places(names: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    return np.array([CLASSES.index(name) for name in names.tolist()], np.int64)


def _pairs(a: Floats, b: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Points of `a` and `b`, µm, that are each other's nearest within NEAREST_UM."""
    rows, columns = near(a, b, NEAREST_UM)
    order = np.argsort(((a[rows] - b[columns]) ** 2).sum(axis=1), kind="stable")
    rows, columns = rows[order], columns[order]
    _, first_of_a = np.unique(rows, return_index=True)
    _, first_of_b = np.unique(columns, return_index=True)
    both = np.intersect1d(first_of_a, first_of_b)
    return rows[both], columns[both]
