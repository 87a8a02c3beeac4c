"""Maps as a network without fault gives them of labelled pixels, and the measure by which labels are compared."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from inference.instances import KINDS, Maps

Labels = npt.NDArray[np.int32]
CONSEP = Path(__file__).parents[3] / "shared" / "data" / "consep" / "train"
OF_CONSEP = np.array([0, 0, 1, 2, 2, 3, 3, 3])
"""KINDS of CoNSeP's classes; 0 is no nucleus."""


def perfect_maps(labels: Labels, kinds: npt.NDArray[np.integer]) -> Maps:
    """`labels` (h, w), 0 outside; `kinds` (h, w), the place in KINDS."""
    down, across = np.mgrid[: labels.shape[0], : labels.shape[1]]
    distance = np.stack([_distance(labels, across), _distance(labels, down)])
    likely = np.stack([kinds == k for k in range(len(KINDS))]).astype(np.uint8) * np.uint8(255)
    return Maps((labels > 0).astype(np.uint8) * np.uint8(255), np.rint(127 * distance).astype(np.int8), likely)


def _distance(labels: Labels, place: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """From the centre of mass, each side to its own extent."""
    flat, n = labels.ravel(), int(labels.max()) + 1
    mass = np.maximum(np.bincount(flat, minlength=n), 1)
    apart = place - (np.bincount(flat, place.ravel(), n) / mass)[labels]
    low, high = np.full(n, -1e-6), np.full(n, 1e-6)
    np.minimum.at(low, flat, apart.ravel())
    np.maximum.at(high, flat, apart.ravel())
    return np.where(labels > 0, np.where(apart < 0, apart / -low[labels], apart / high[labels]), 0)


def panoptic_quality(truth: Labels, found: Labels) -> float:
    """Kirillov 2019, of one class: pairs of IoU above one half match."""
    n, m = int(truth.max()) + 1, int(found.max()) + 1
    both = np.bincount(truth.ravel().astype(np.int64) * m + found.ravel(), minlength=n * m).reshape(n, m)
    of_truth, of_found = both.sum(axis=1, keepdims=True), both.sum(axis=0, keepdims=True)
    iou = (both / np.maximum(of_truth + of_found - both, 1))[1:, 1:]
    there = int((of_truth[1:] > 0).sum() + (of_found[:, 1:] > 0).sum())
    return float(2 * iou[iou > 0.5].sum() / there)


def consep(number: int) -> tuple[Labels, npt.NDArray[np.integer]]:
    """Labels and kinds of a tile; the test is skipped where there is none."""
    path = CONSEP / f"train_{number}.npz"
    if not path.exists():
        pytest.skip(f"{path.name} of CoNSeP isn't here")
    with np.load(path) as file:
        return file["inst_map"].astype(np.int32), OF_CONSEP[file["type_map"].astype(np.intp)]
