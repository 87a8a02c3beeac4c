"""Keypoints of two sets against each other: similarity, one-to-one pairs, and agreement beyond chance.

Keypoint similarity is exp(-d² / 2 s²) with s the mean nuclear radius; pairs are the assignment of the largest summed
similarity (Hungarian method), apart from pairs less similar than at one s (Naumov et al., Data 2022, 7, 75).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MATCH_RADIUS_UM = 2.98
"""The mean nuclear radius (EndoNet, Informatics 2023, 10(4), 90)."""
LEAST_SIMILAR = float(np.exp(-0.5))


def similarity(a: FloatArray, b: FloatArray, *, mpp: float) -> FloatArray:
    """Keypoint similarity (n, m) of (n, 2) and (m, 2) points in pixels."""
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2) * mpp**2
    similar: FloatArray = np.exp(-squared / (2 * MATCH_RADIUS_UM**2))
    return similar


def pairs(similar: FloatArray) -> tuple[IntArray, IntArray]:
    """Rows and columns of the assignment of the largest sum, without pairs below LEAST_SIMILAR (which gain nothing)."""
    gain = np.where(similar >= LEAST_SIMILAR * (1 - 1e-9), similar, 0.0)
    if gain.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if gain.shape[0] > gain.shape[1]:
        columns, rows = _assign(-gain.T)
    else:
        rows, columns = _assign(-gain)
    near = gain[rows, columns] > 0
    return rows[near], columns[near]


def cohen_kappa(table: IntArray) -> float:
    """Chance-corrected agreement of a square contingency table; NaN where it is empty or all of one label."""
    n = float(table.sum())
    if n == 0:
        return float("nan")
    expected = float(table.sum(0) @ table.sum(1)) / n**2
    return float("nan") if expected == 1 else (float(np.trace(table)) / n - expected) / (1 - expected)


def _assign(cost: FloatArray) -> tuple[IntArray, IntArray]:
    """A column for each row of (n, m) costs, n <= m, of least sum: shortest augmenting paths with
    potentials, O(n² m).
    """
    n, m = cost.shape
    row_of = np.full(m, -1, np.int64)
    u, v = np.zeros(n), np.zeros(m)
    for row in range(n):
        shortest, before = np.full(m, np.inf), np.full(m, -1, np.int64)
        done = np.zeros(m, bool)
        current, column, reached = row, -1, 0.0
        while current != -1:
            through = reached + cost[current] - u[current] - v
            better = ~done & (through < shortest)
            shortest[better], before[better] = through[better], column
            column = int(np.argmin(np.where(done, np.inf, shortest)))
            reached = float(shortest[column])
            done[column] = True
            current = int(row_of[column])
        u[row] += reached
        passed = done & (row_of >= 0)
        u[row_of[passed]] += reached - shortest[passed]
        v[done] -= reached - shortest[done]
        while column != -1:  # turn the path round
            row_of[column] = row if before[column] == -1 else row_of[before[column]]
            column = int(before[column])
    columns = np.flatnonzero(row_of >= 0)
    order = np.argsort(row_of[columns])
    return row_of[columns][order], columns[order]


def weighted_kappa(table: IntArray) -> float:
    """Cohen's kappa with quadratic weights of a square table of ordered labels; NaN where it isn't defined."""
    n = float(table.sum())
    apart = np.subtract.outer(np.arange(len(table)), np.arange(len(table))) ** 2
    expected = float((apart * np.outer(table.sum(1), table.sum(0))).sum())
    return float("nan") if expected == 0 else 1 - n * float((apart * table).sum()) / expected


def matched(a: FloatArray, b: FloatArray, *, mpp: float) -> tuple[IntArray, IntArray]:
    """As `pairs` of the similarity of all (n, 2) and (m, 2) points in pixels, in memory flat in n x m: by clusters."""
    rows, columns = near(a, b, MATCH_RADIUS_UM / mpp)
    found = [
        (r[i], c[j]) for r, c in _clusters(rows, columns, len(a)) for i, j in (pairs(similarity(a[r], b[c], mpp=mpp)),)
    ]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    ours, theirs = (np.concatenate([f[k] for f in found]) for k in range(2))
    order = np.argsort(ours)
    return ours[order], theirs[order]


def near(a: FloatArray, b: FloatArray, radius: float) -> tuple[IntArray, IntArray]:
    """All pairs of (n, 2) and (m, 2) points at most `radius` apart, as their places in `a` and in `b`."""
    cell_a, cell_b = (np.floor(p / radius).astype(np.int64) for p in (a, b))
    key_b = _key(cell_b)
    order = np.argsort(key_b, kind="stable")
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in ((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
        key = _key(cell_a + np.array(step))
        first, last = (np.searchsorted(key_b[order], key, side=side) for side in ("left", "right"))
        r = np.repeat(np.arange(len(a)), last - first)
        c = order[np.arange(len(r)) - np.repeat(np.cumsum(last - first) - last, last - first)]
        close = ((a[r] - b[c]) ** 2).sum(axis=1) <= radius**2 * (1 + 1e-9)
        rows.append(r[close])
        columns.append(c[close])
    return np.concatenate(rows), np.concatenate(columns)


def _key(cells: IntArray) -> IntArray:
    keys: IntArray = cells[:, 0] * (1 << 31) + cells[:, 1]
    return keys


def _clusters(rows: IntArray, columns: IntArray, n: int) -> Iterator[tuple[IntArray, IntArray]]:
    """The places of each group of points that pairs connect, in `a` (of `n` points) and in `b`."""
    root: dict[int, int] = {}

    def find(node: int) -> int:
        while (up := root.setdefault(node, node)) != node:
            root[node] = node = root[up]
        return node

    for r, c in zip(rows.tolist(), columns.tolist(), strict=True):
        root[find(r)] = find(n + c)
    groups: dict[int, list[int]] = {}
    for node in list(root):
        groups.setdefault(find(node), []).append(node)
    for nodes in groups.values():
        yield np.array([v for v in nodes if v < n]), np.array([v - n for v in nodes if v >= n])
