"""Where nuclei are and what shape they have: rows of tall nuclei along glands, scattered ones in the stroma between."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.draw.tissue import Gland, Tissue, at
from inference.geometry import Size

STROMA, EPITHELIAL = 0, 1
NEAREST = 9.0  # px between centres
STROMA_NEAREST = 11.5
EDGE = 14.0  # px from the slide's edge within which no centre lies

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """n nuclei: centre x, y (px), half axes `long` and `wide` (px), `angle` of the long axis, compartment 0 or 1."""

    x: Floats
    y: Floats
    long: Floats
    wide: Floats
    angle: Floats
    compartment: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.x)

    def kept(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Cells":
        """Those of a mask, or in the order of an index."""
        return Cells(
            x=self.x[which],
            y=self.y[which],
            long=self.long[which],
            wide=self.wide[which],
            angle=self.angle[which],
            compartment=self.compartment[which],
        )


def grow_cells(size: Size, tissue: Tissue, random: np.random.Generator) -> Cells:
    """All nuclei of a slide, no two centres closer than NEAREST, sorted by row of 64 px and column."""
    parts = [_epithelium(g, random) for g in tissue.glands] + [_stroma(size, tissue, random)]
    joined = Cells(
        **{
            k: np.concatenate([getattr(p, k) for p in parts])
            for k in ("x", "y", "long", "wide", "angle", "compartment")
        }
    )
    inside = (
        (joined.x > EDGE) & (joined.y > EDGE) & (joined.x < size.width - 1 - EDGE) & (joined.y < size.height - 1 - EDGE)
    )
    cells = joined.kept(inside)
    cells = cells.kept(~_crowded(cells.x, cells.y))
    return cells.kept(np.lexsort((cells.x, cells.y // 64)))


def _epithelium(gland: Gland, random: np.random.Generator) -> Cells:
    """One row of nuclei near the gland's base, or two in turn (pseudo-stratified), standing at right angles to the
    outline.
    """
    spacing = random.uniform(10.6, 12.6) if gland.rows == 1 else random.uniform(8.2, 9.6)
    depth = 12.0 if gland.rows == 1 else 18.0
    at_base, outward = _parallel(gland, depth)
    steps = np.linalg.norm(np.roll(at_base, -1, axis=0) - at_base, axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    n = int(along[-1] / spacing)
    place = (np.arange(n) + random.uniform(-0.12, 0.12, n)) * along[-1] / max(n, 1)
    index = np.searchsorted(along, place % along[-1], side="right") - 1
    lift = np.where(np.arange(n) % 2, 6.2, -6.2) if gland.rows == 2 else np.zeros(n)
    lift = lift + random.normal(0, 1.3, n)
    centre = at_base[index] + outward[index] * lift[:, None]
    angle = np.arctan2(outward[index, 1], outward[index, 0]) + random.normal(0, 0.12, n)
    return Cells(
        x=centre[:, 0],
        y=centre[:, 1],
        long=random.uniform(7.6, 9.6, n),
        wide=random.uniform(4.7, 5.5, n),
        angle=angle,
        compartment=np.full(n, EPITHELIAL, np.uint8),
    )


def _parallel(gland: Gland, depth: float) -> tuple[Floats, Floats]:
    """Points of the outline moved `depth` px inwards, and unit normals outwards; dense."""
    outline = gland.outline(1440)
    tangent = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    outward = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    return outline - outward * depth, outward


def _stroma(size: Size, tissue: Tissue, random: np.random.Generator) -> Cells:
    """Nuclei thrown at random, kept at STROMA_NEAREST from one another, fewer where the tissue is loose."""
    x, y = scattered(size, STROMA_NEAREST, random)
    loose = at(tissue.looseness, x, y)
    wanted = random.random(len(x)) < 1.0 - 0.72 * loose
    room = (at(tissue.inside, x, y) > 8) & (at(tissue.gland, x, y) < -7)
    x, y = x[wanted & room], y[wanted & room]
    n = len(x)
    roundness = random.random(n)
    spindle = roundness < 0.22
    wide = np.where(spindle, random.uniform(4.5, 5.2, n), random.uniform(4.9, 6.1, n))
    long = np.where(spindle, wide * random.uniform(1.5, 1.9, n), wide * random.uniform(1.0, 1.35, n))
    flow = 2.2 * np.sin(x / 310 + 1.7 * np.sin(y / 420)) + y / 500  # neighbouring spindles lie along one another
    return Cells(
        x=x,
        y=y,
        long=long,
        wide=wide,
        angle=flow + random.normal(0, 0.5, n),
        compartment=np.full(n, STROMA, np.uint8),
    )


def scattered(size: Size, apart: float, random: np.random.Generator, rounds: int = 3) -> tuple[Floats, Floats]:
    """Points no closer than `apart`: cells that hold at most one point each throw in turn, every fifth at the same
    time.
    """
    side = apart / np.sqrt(2)
    columns, rows = int(size.width / side), int(size.height / side)
    x = np.full((rows + 4, columns + 4), -1e6, np.float32)  # two empty cells all round
    y = x.copy()
    for _ in range(rounds):
        for top, left in random.permutation([(i, j) for i in range(3) for j in range(3)]):
            _throw(x, y, (top, left), side, apart, random)
    taken = x > -1e5
    return x[taken].astype(np.float64), y[taken].astype(np.float64)


def _throw(
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    first: tuple[int, int],
    side: float,
    apart: float,
    random: np.random.Generator,
) -> None:
    """One throw into each third empty cell from `first` on (in place).

    Cells that throw together are too far apart to clash.
    """
    rows, columns = np.arange(first[0] + 2, x.shape[0] - 2, 3), np.arange(first[1] + 2, x.shape[1] - 2, 3)
    row, column = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
    new_x = ((column - 2 + random.random(len(row))) * side).astype(np.float32)
    new_y = ((row - 2 + random.random(len(row))) * side).astype(np.float32)
    free = x[row, column] < -1e5
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            near_x, near_y = x[row + dy, column + dx], y[row + dy, column + dx]
            free &= (near_x - new_x) ** 2 + (near_y - new_y) ** 2 >= apart**2
    x[row[free], column[free]], y[row[free], column[free]] = new_x[free], new_y[free]


def _crowded(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Nuclei with an earlier one nearer than NEAREST."""
    crowded = np.zeros(len(x), bool)
    seen: dict[tuple[int, int], list[int]] = {}
    column, row = (np.floor(v / NEAREST).astype(np.int64).tolist() for v in (x, y))
    for i, (c, r) in enumerate(zip(column, row, strict=True)):
        near = [j for dr in (-1, 0, 1) for dc in (-1, 0, 1) for j in seen.get((c + dc, r + dr), ())]
        crowded[i] = any((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < NEAREST**2 for j in near)
        if not crowded[i]:
            seen.setdefault((c, r), []).append(i)
    return crowded
