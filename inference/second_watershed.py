"""The second watershed: neighbours of a kind that the first split are joined, and parted anew where they are narrow."""

import cv2
import numpy as np
import numpy.typing as npt

from inference.flood import flooded

Labels = npt.NDArray[np.int32]
DEPTHS = 16
"""Levels that the depth of a group is flooded by."""


def parted_anew(
    labels: Labels, kinds: npt.NDArray[np.uint8], falls: npt.NDArray[np.uint8], *, join_below: float, part_from: float
) -> Labels:
    """Labels 1 to n, some joined. `kinds` (n,); `falls` (h, w) as `instances.falls_of` gives them.

    Two of a kind are joined where the mean fall along the side they share is below `join_below`. A group's markers lie
    where its depth (the distance to its edge) is at least `part_from` of its greatest.
    """
    group, joined = _groups(labels, kinds, falls, join_below)
    if not joined.any():
        return labels
    grouped = group[labels]
    anew = joined[grouped]
    depth = _relative_depth(grouped, anew)
    markers = _numbered(anew & (depth >= part_from))
    level = np.clip((1 - depth) * DEPTHS, 0, DEPTHS - 1).astype(np.uint8)
    kept = np.where(anew, 0, labels)
    dry = np.flatnonzero(anew & (markers == 0))
    parted = flooded(np.where(markers > 0, markers + kept.max(), 0).astype(np.int32), dry, level.ravel()[dry])
    return _compact(np.where(anew, parted, kept).astype(np.int32))


def _groups(
    labels: Labels, kinds: npt.NDArray[np.uint8], falls: npt.NDArray[np.uint8], join_below: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """The group of each label (0 of 0), and which groups are of several labels."""
    n = len(kinds) + 1
    low, high, fall = _sides(labels, falls)
    pairs, of = np.unique(low.astype(np.int64) * n + high, return_inverse=True)
    mean = np.bincount(of, fall, len(pairs)) / np.maximum(np.bincount(of, minlength=len(pairs)), 1)
    a, b = np.divmod(pairs, n)
    weak = (kinds[a - 1] == kinds[b - 1]) & (mean < join_below)
    group = _linked(n, a[weak], b[weak])
    return group, np.bincount(group, minlength=n) > 1


def _linked(n: int, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """(n,): the lowest of those that each is linked to, directly or not."""
    group = np.arange(n, dtype=np.int32)
    while (group[a] != group[b]).any():
        lower = np.minimum(group[a], group[b])
        np.minimum.at(group, group[a], lower)
        np.minimum.at(group, group[b], lower)
        group = group[group]
    return group


def _sides(
    labels: Labels, falls: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Pairs of pixels of two labels side by side: the lower label, the higher, and the greater fall."""
    found = []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        p, q = labels[one], labels[other]
        at = (p != q) & (p > 0) & (q > 0)
        fall = np.maximum(falls[one][at], falls[other][at]).astype(np.float64)
        found.append((np.minimum(p[at], q[at]), np.maximum(p[at], q[at]), fall))
    a, b, fall = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return a, b, fall


def _relative_depth(grouped: Labels, anew: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Distance to the edge of its group by the greatest of the group, 0 to 1."""
    inside = anew.copy()
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        apart = anew[one] & anew[other] & (grouped[one] != grouped[other])
        inside[one] &= ~apart
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    greatest = np.zeros(int(grouped.max()) + 1, np.float32)
    np.maximum.at(greatest, grouped[anew], depth[anew])
    return np.asarray(depth / np.maximum(greatest[grouped], 1e-3), np.float32)


def _numbered(mask: npt.NDArray[np.bool_]) -> Labels:
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1], np.int32)


def _compact(labels: Labels) -> Labels:
    """1 to n without gaps, in their order."""
    there = np.bincount(labels.ravel()) > 0
    there[0] = False
    return np.asarray(np.where(there, np.cumsum(there), 0).astype(np.int32)[labels], np.int32)
