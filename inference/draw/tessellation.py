"""Cells side by side, as in a tumour nest: a tessellation whose edges are the membranes that neighbours share.

All lengths are in µm from the slide's top left corner.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.draw.texture import Plane, smooth

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SEGMENT_UM = 0.8
"""About the length of the straight pieces that a membrane is drawn of."""
WOBBLE_UM, WOBBLE_EXTENT_UM = 0.9, 9.0
JITTER = 0.24
"""Of the spacing: how far a cell's seed lies off the hexagonal grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tessellation:
    """n cells and m segments of membrane: `centre` (n, 2); each segment from `start` to `end` (m, 2) lies between the
    cells of `sides` (m, 2), and goes once round each.
    """

    centre: Floats
    area: Floats
    start: Floats
    end: Floats
    sides: Ints

    @property
    def length(self) -> Floats:
        return np.asarray(np.hypot(*(self.end - self.start).T), np.float64)

    @property
    def middle(self) -> Floats:
        return (self.start + self.end) / 2


def tessellated(
    side_um: float, cell_um: float, random: np.random.Generator, seeds: Floats | None = None
) -> Tessellation:
    """Cells of about `cell_um` across over a square of `side_um`, and a little beyond; round `seeds` (n, 2) where these
    are given.
    """
    seeds = _seeds(side_um, cell_um, random) if seeds is None else seeds
    start, end, sides = _edges(seeds, side_um, cell_um)
    start, end, sides = _cut(start, end, sides)
    wobble = [_field(side_um, random) for _ in range(2)]
    start, end = _moved(start, wobble), _moved(end, wobble)
    area = _areas(len(seeds), seeds, start, end, sides)
    return Tessellation(centre=_moved(seeds, wobble), area=area, start=start, end=end, sides=sides)


def _seeds(side_um: float, cell_um: float, random: np.random.Generator) -> Floats:
    rows, columns = int(side_um / (cell_um * 0.866)) + 5, int(side_um / cell_um) + 5
    row, column = (v.ravel() for v in np.mgrid[:rows, :columns])
    x = (column - 2 + 0.5 * (row % 2)) * cell_um
    y = (row - 2) * cell_um * 0.866
    moved: Floats = np.stack([x, y], axis=1) + random.normal(0, JITTER * cell_um, (len(x), 2)).clip(
        -0.42 * cell_um, 0.42 * cell_um
    )
    return moved


def _edges(seeds: Floats, side_um: float, cell_um: float) -> tuple[Floats, Floats, Ints]:
    """The borders of the Voronoi cells, each once, and which two seeds it parts."""
    margin = 6 * cell_um
    box = (int(-margin), int(-margin), int(side_um + 2 * margin), int(side_um + 2 * margin))
    division = cv2.Subdiv2D(box)
    division.insert(seeds.astype(np.float32).tolist())
    facets, centres = division.getVoronoiFacetList([])
    cell = _nearest(np.asarray(centres, np.float64), seeds)
    start = np.concatenate([np.asarray(f, np.float64) for f in facets])
    end = np.concatenate([np.roll(np.asarray(f, np.float64), -1, axis=0) for f in facets])
    of = np.repeat(cell, [len(f) for f in facets])
    key = np.rint((start + end) * 64).astype(np.int64)
    order = np.lexsort(key.T)
    same = (np.diff(key[order], axis=0) == 0).all(axis=1)
    first, second = order[:-1][same], order[1:][same]
    return start[first], end[first], np.stack([of[first], of[second]], axis=1)


def _nearest(points: Floats, seeds: Floats) -> Ints:
    """The division hands seeds out in another order, rounded: by their place along x, then y."""
    a, b = (np.lexsort(np.rint(p * 1000).T) for p in (points.astype(np.float32), seeds.astype(np.float32)))
    found = np.empty(len(points), np.int64)
    found[a] = b
    return found


def _cut(start: Floats, end: Floats, sides: Ints) -> tuple[Floats, Floats, Ints]:
    """Edges in pieces of about SEGMENT_UM."""
    n = np.maximum(np.rint(np.hypot(*(end - start).T) / SEGMENT_UM).astype(np.int64), 1)
    edge = np.repeat(np.arange(len(n)), n)
    step = (np.arange(len(edge)) - np.repeat(np.cumsum(n) - n, n))[:, None]
    along = (end - start)[edge] / n[edge][:, None]
    return start[edge] + along * step, start[edge] + along * (step + 1), sides[edge]


def _field(side_um: float, random: np.random.Generator) -> Plane:
    side = int(side_um) + 256
    return smooth(random, side, side, WOBBLE_EXTENT_UM)


def _moved(points: Floats, wobble: list[Plane]) -> Floats:
    rows = -(-len(points) // 1024)  # OpenCV takes no plane of 32,768 columns
    at = np.zeros((rows * 1024, 2), np.float32)
    at[: len(points)] = points + 128
    x, y = (np.ascontiguousarray(v).reshape(rows, 1024) for v in at.T)
    by = [cv2.remap(field, x, y, cv2.INTER_CUBIC).ravel()[: len(points)] for field in wobble]
    return points + WOBBLE_UM * np.stack(by, axis=1)


def _areas(n: int, seeds: Floats, start: Floats, end: Floats, sides: Ints) -> Floats:
    """Of each cell, µm²: triangles from its seed to each segment round it."""
    area = np.zeros(n)
    for side in range(2):
        of = sides[:, side]
        a, b = start - seeds[of], end - seeds[of]
        np.add.at(area, of, np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2)
    return area
