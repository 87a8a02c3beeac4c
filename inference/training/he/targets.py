"""What the network shall answer: distance maps and weights of an instance map. No loop over nuclei."""

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int32]
Plane = npt.NDArray[np.float32]


def distances(labels: Labels) -> Plane:
    """(2, h, w) in -1..1: how far a nucleus' pixel lies from its centre of mass, horizontally and vertically.

    Each side is scaled to its own extent (Graham et al. 2019); 0 outside of nuclei.
    """
    out = np.zeros((2, *labels.shape), np.float32)
    rows, columns = np.nonzero(labels)
    if not len(rows):
        return out
    order = np.argsort(labels[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    ids = labels[rows, columns]
    begin = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    n = np.diff(np.r_[begin, len(ids)])
    for plane, place in zip(out, (columns, rows), strict=True):
        plane[rows, columns] = _scaled(place, begin, n)
    return out


def _scaled(place: npt.NDArray[np.intp], begin: npt.NDArray[np.intp], n: npt.NDArray[np.intp]) -> Plane:
    offset = place - np.repeat(np.add.reduceat(place, begin) / n, n)
    low = np.repeat(-np.minimum.reduceat(offset, begin), n)
    high = np.repeat(np.maximum.reduceat(offset, begin), n)
    return np.asarray(offset / np.maximum(np.where(offset < 0, low, high), 1e-6), np.float32)


def evenness(labels: Labels, largest: int = 2000) -> Plane:
    """(h, w): a weight of sqrt(200 px / area) for each nucleus' pixels: small ones count for more, yet not alike."""
    area = np.bincount(labels.ravel())
    weight = np.sqrt(200 / np.clip(area, 20, largest)).astype(np.float32)
    weight[0] = 0
    return weight[labels]
