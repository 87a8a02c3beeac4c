"""Nuclei as amounts of stain: each an irregular ellipse with a rim and chromatin, pressed into the planes of a tile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.draw.cells import Cells
from inference.draw.optics import Load
from inference.draw.texture import Plane

RADIUS = 15  # px: half the side of a stamp, at least the longest half axis and its blurred edge; larger ones say theirs
WOBBLE = 0.055  # of the radius, deviation of each harmonic of the outline
EDGE = (1.1, 2.3)  # px over which the outline fades: sections are thicker than the focus is deep
CHROMATIN = 0.21  # deviation of stain within a nucleus
RIM = 0.22  # more haematoxylin along the envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """n nuclei ready to be stamped: Cells, amounts of stain (n,), width of the edge (n,) px,
    harmonics 2 and 3 (n, 4), what the middle lacks of the stain (n,), 0 to 1; half the side of their stamps, px.
    """

    cells: Cells
    haematoxylin: Plane
    dab: Plane
    edge: Plane
    harmonics: Plane
    bucket: npt.NDArray[np.int64]
    """y // 64, ascending: finds the nuclei of a band."""
    hollow: Plane | None = None
    reach: int = RADIUS

    @staticmethod
    def grown(
        cells: Cells, grade: npt.NDArray[np.uint8], loads: Sequence[Load], random: np.random.Generator
    ) -> "Shapes":
        n = len(cells)
        spread = np.array([load.spread for load in loads])[grade]
        vary = np.exp(np.clip(random.standard_normal((2, n)), -1.8, 1.8) * spread)
        return Shapes(
            cells=cells,
            haematoxylin=(np.array([load.haematoxylin for load in loads])[grade] * vary[0]).astype(np.float32),
            dab=(np.array([load.dab for load in loads])[grade] * vary[1]).astype(np.float32),
            edge=random.uniform(*EDGE, n).astype(np.float32),
            harmonics=(random.standard_normal((n, 4)) * WOBBLE).astype(np.float32),
            bucket=np.asarray(cells.y // 64, np.int64),
        )

    def near(self, x: int, y: int, side: int) -> npt.NDArray[np.int64]:
        """Indices of nuclei whose stamp may touch the square."""
        reach = self.reach
        first, last = np.searchsorted(self.bucket, [(y - reach) // 64, (y + side + reach) // 64 + 1])
        cx, cy = self.cells.x[first:last], self.cells.y[first:last]
        touching = (cx > x - reach) & (cx < x + side + reach) & (cy > y - reach) & (cy < y + side + reach)
        found: npt.NDArray[np.int64] = np.flatnonzero(touching) + first
        return found

    def radii(self, rays: int) -> npt.NDArray[np.float64]:
        """(n, rays) px from each centre to where half of the edge has faded, ray k at k / rays of a turn."""
        angle = np.arange(rays) * (2 * np.pi / rays) - self.cells.angle[:, None]
        u, v = np.cos(angle) / self.cells.long[:, None], np.sin(angle) / self.cells.wide[:, None]
        rho = np.hypot(u, v)
        cos, sin = np.asarray(u / rho, np.float32), np.asarray(v / rho, np.float32)
        bent = _outline(cos[:, None], sin[:, None], self.harmonics)[:, 0]
        return np.asarray(bent / rho, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nuclei:
    """Amounts of stain in nuclei and how far nuclei cover each pixel (0-1), each (side, side)."""

    haematoxylin: Plane
    dab: Plane
    cover: Plane


def stamped(shapes: Shapes, x: int, y: int, side: int, chromatin: Plane) -> Nuclei:
    """The nuclei of the square (x, y, side); `chromatin` is noise of deviation 1 over it.

    Where two overlap the denser shows.
    """
    reach = shapes.reach
    haematoxylin, dab, cover = (np.zeros((side + 2 * reach, side + 2 * reach), np.float32) for _ in range(3))
    index = shapes.near(x, y, side)
    masks, rims = _masks(shapes, index)
    columns = np.rint(shapes.cells.x[index]).astype(np.int64) - x
    rows = np.rint(shapes.cells.y[index]).astype(np.int64) - y
    for i, (column, row) in enumerate(zip(columns.tolist(), rows.tolist(), strict=True)):
        window, part = _overlap(row, column, side + 2 * reach, 2 * reach + 1)
        mask = masks[i][part]
        np.maximum(haematoxylin[window], mask * rims[i][part] * shapes.haematoxylin[index[i]], out=haematoxylin[window])
        np.maximum(dab[window], mask * shapes.dab[index[i]], out=dab[window])
        np.maximum(cover[window], mask, out=cover[window])
    inner = slice(reach, reach + side)
    clumps = np.clip(1 + CHROMATIN * chromatin, 0.4, 1.6)
    return Nuclei(
        haematoxylin=haematoxylin[inner, inner] * clumps, dab=dab[inner, inner] * clumps, cover=cover[inner, inner]
    )


def _overlap(row: int, column: int, side: int, wide: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a plane that a stamp of `wide` px, its corner at (row, column), falls on; that part of it."""
    top, left, bottom, right = max(row, 0), max(column, 0), min(row + wide, side), min(column + wide, side)
    window = slice(top, bottom), slice(left, right)
    return window, (slice(top - row, bottom - row), slice(left - column, right - column))


def _masks(shapes: Shapes, index: npt.NDArray[np.int64]) -> tuple[Plane, Plane]:
    """How far each nucleus covers the pixels round its rounded centre (0-1), and the stain within it, more at its
    rim: (n, s, s) each, s of stamps that reach 15 px 31.
    """
    cells = shapes.cells.kept(index)
    offset = np.arange(-shapes.reach, shapes.reach + 1, dtype=np.float32)
    dx = offset[None, None, :] - _column(cells.x - np.rint(cells.x))
    dy = offset[None, :, None] - _column(cells.y - np.rint(cells.y))
    c, s = _column(np.cos(cells.angle)), _column(np.sin(cells.angle))
    u = (c * dx + s * dy) / _column(cells.long)
    v = (c * dy - s * dx) / _column(cells.wide)
    rho = np.asarray(np.sqrt(u * u + v * v) + 1e-6, np.float32)
    rho /= _outline(np.asarray(u / rho, np.float32), np.asarray(v / rho, np.float32), shapes.harmonics[index])
    mask = np.clip(0.5 + (1 - rho) * _column(cells.wide / shapes.edge[index]), 0, 1)
    rim = 1 + RIM * np.exp(-(((rho - 0.82) / 0.16) ** 2))
    if shapes.hollow is not None:
        rim *= 1 - shapes.hollow[index][:, None, None] * np.exp(-((rho / 0.75) ** 4))
    return np.asarray(mask * mask * (3 - 2 * mask), np.float32), np.asarray(rim, np.float32)


def _column(values: npt.NDArray[np.float64]) -> Plane:
    """(n,) as (n, 1, 1) float32."""
    return values.astype(np.float32)[:, None, None]


def _outline(cos: Plane, sin: Plane, harmonics: Plane) -> Plane:
    """The outline's radius by direction, about 1: harmonics 2 and 3 of the angle."""
    a, b, c, d = (harmonics[:, i, None, None] for i in range(4))
    cos2, sin2 = cos * cos - sin * sin, 2 * cos * sin
    return np.asarray(
        1 + a * cos2 + b * sin2 + c * (cos2 * cos - sin2 * sin) + d * (sin2 * cos + cos2 * sin), np.float32
    )
