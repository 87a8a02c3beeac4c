"""Where tissue, glands and lumens are: contours drawn as maps of signed distance, coarse enough to hold for a whole
slide.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.draw.texture import Plane, smooth
from inference.geometry import Size

PITCH = 8
"""Side of a map's pixel, in pixels of the slide."""

COVERED = 0.50  # share of the slide that is tissue
MARGIN = 0.05  # share of the side over which tissue thins out towards the edges
ISLAND, RAGGED, FRAYED = 1300.0, 300.0, 80.0  # px: extent of islands, of the bays in their outlines, of their fringe
GLANDS = 0.46  # share of the tissue that glands and the stroma next to them may take
BETWEEN_GLANDS = 14.0  # px from a gland to glass
GLAND_RADIUS = (38.0, 105.0)  # px, before stretching
TWO_ROWS_FROM = 58.0  # px: a smaller gland has no room for two rows of nuclei
STRETCH = 2.1
REACH = 96.0  # px: distances are kept up to this
EPITHELIUM = (25.0, 37.0)  # px from a gland's outline to its lumen: one row of nuclei, or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Gland:
    """A closed tube in cross-section: radius (px) by angle is a Fourier series, stretched along `angle`."""

    x: float
    y: float
    radius: float
    stretch: float
    angle: float
    waves: tuple[tuple[float, float], ...]
    rows: int

    @property
    def reach(self) -> float:
        """No part of the gland is farther from its centre, px."""
        return self.radius * self.stretch * (1 + sum(abs(a) for a, _ in self.waves))

    def outline(self, points: int) -> npt.NDArray[np.float64]:
        """(points, 2) x, y in px along the outline."""
        t = np.linspace(0, 2 * np.pi, points, endpoint=False)
        r = self.radius * (1 + sum(a * np.cos(k * t + p) for k, (a, p) in enumerate(self.waves, start=2)))
        u, v = r * np.cos(t) * self.stretch, r * np.sin(t)
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.stack([self.x + c * u - s * v, self.y + s * u + c * v], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """Maps at PITCH, distances in px, clipped to REACH: `inside` tissue (> 0), `gland` (> 0 within an outline).

    `looseness` 0-1.
    """

    inside: Plane
    gland: Plane
    depth: Plane
    looseness: Plane
    glands: tuple[Gland, ...]


def grow_tissue(size: Size, random: np.random.Generator) -> Tissue:
    """Islands of tissue on glass, and the glands in them.

    `depth` is the thickness of the epithelium (px) where glands are.
    """
    columns, rows = (-(-side // PITCH) + 1 for side in (size.width, size.height))
    inside = _islands(columns, rows, random)
    glands = _place_glands(size, inside, random)
    gland, depth = _engrave(glands, columns, rows)
    looseness = np.clip(0.5 + 0.42 * smooth(random, columns, rows, 420 / PITCH), 0, 1)
    return Tissue(
        inside=np.clip(inside, -REACH, REACH),
        gland=gland,
        depth=depth,
        looseness=np.asarray(looseness, np.float32),
        glands=glands,
    )


def at(field: Plane, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Plane:
    """A map's values at points of the slide, px, to the nearest map pixel."""
    row = np.clip(np.rint(y / PITCH).astype(np.int64), 0, field.shape[0] - 1)
    column = np.clip(np.rint(x / PITCH).astype(np.int64), 0, field.shape[1] - 1)
    return field[row, column]


def enlarged(field: Plane, x: int, y: int, side: int) -> Plane:
    """A map's values at each pixel of the square (x, y, side) of the slide, interpolated; the edge goes on outside."""
    column = np.arange(x, x + side, dtype=np.float32) / PITCH
    row = np.arange(y, y + side, dtype=np.float32) / PITCH
    mapping = np.broadcast_to(column, (side, side)).copy(), np.broadcast_to(row[:, None], (side, side)).copy()
    left, top = max(x // PITCH - 2, 0), max(y // PITCH - 2, 0)
    window = field[top : (y + side) // PITCH + 4, left : (x + side) // PITCH + 4]
    big = cv2.remap(window, mapping[0] - left, mapping[1] - top, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(big, np.float32)


def _islands(columns: int, rows: int, random: np.random.Generator) -> Plane:
    """Signed distance to the outline of the tissue, px, positive within."""
    field = smooth(random, columns, rows, ISLAND / PITCH) + 0.40 * smooth(random, columns, rows, RAGGED / PITCH)
    field += 0.14 * smooth(random, columns, rows, FRAYED / PITCH)
    across = np.minimum(np.arange(columns), np.arange(columns)[::-1]) / columns
    down = np.minimum(np.arange(rows), np.arange(rows)[::-1]) / rows
    edge = np.minimum(across[None], down[:, None])
    field -= np.asarray(4.0 * np.exp(-edge / MARGIN), np.float32)  # tissue thins out towards the edges of the glass
    tissue = (field > np.quantile(field, 1 - COVERED)) & (edge > MARGIN / 4)
    within = cv2.distanceTransform(tissue.astype(np.uint8), cv2.DIST_L2, 5)
    beyond = cv2.distanceTransform((~tissue).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray((within - beyond) * PITCH, np.float32)


def _place_glands(size: Size, inside: Plane, random: np.random.Generator) -> tuple[Gland, ...]:
    """Glands thrown one after another, kept where they fit in the tissue and between the glands there already."""
    glands: list[Gland] = []
    room = (inside > BETWEEN_GLANDS).astype(np.uint8)
    wanted = GLANDS * float((inside > 0).sum())
    fewest = room.sum() - wanted
    for _ in range(max(size.area // 3000, 50)):
        gland = _throw_gland(size, random)
        if at(inside, np.array([gland.x]), np.array([gland.y]))[0] < gland.radius:
            continue
        window, polygon = _silhouette(gland, room.shape)
        if (polygon > room[window]).any():
            continue
        glands.append(gland)
        room[window][cv2.dilate(polygon, np.ones((3, 3), np.uint8)) > 0] = 0
        if room.sum() < fewest:
            break
    return tuple(glands)


def _silhouette(gland: Gland, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], npt.NDArray[np.uint8]]:
    """The window of a map (rows, columns) round a gland and, in it, 1 where the gland or its
    nearest surroundings are.
    """
    reach = gland.reach + 2 * PITCH
    left, top = (max(int((c - reach) / PITCH), 0) for c in (gland.x, gland.y))
    right, bottom = (min(int((c + reach) / PITCH) + 2, s) for c, s in ((gland.x, shape[1]), (gland.y, shape[0])))
    mask = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.rint((gland.outline(96) / PITCH - [left, top]) * 256).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1, shift=8)
    return (slice(top, bottom), slice(left, right)), np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), np.uint8)


def _throw_gland(size: Size, random: np.random.Generator) -> Gland:
    amplitudes = random.uniform(-1, 1, 4) * np.array([0.13, 0.11, 0.06, 0.04])
    phases = random.uniform(0, 2 * np.pi, 4)
    radius = random.uniform(*GLAND_RADIUS)
    return Gland(
        x=random.uniform(0, size.width),
        y=random.uniform(0, size.height),
        radius=radius,
        stretch=random.uniform(1.0, STRETCH),
        angle=random.uniform(0, np.pi),
        waves=tuple((float(a), float(p)) for a, p in zip(amplitudes, phases, strict=True)),
        rows=2 if radius > TWO_ROWS_FROM and random.random() < 0.6 else 1,
    )


def _engrave(glands: tuple[Gland, ...], columns: int, rows: int) -> tuple[Plane, Plane]:
    """Signed distance to the nearest gland's outline (positive within) and the thickness of its epithelium."""
    gland = np.full((rows, columns), -REACH, np.float32)
    depth = np.full((rows, columns), EPITHELIUM[0], np.float32)
    for g in glands:
        reach = g.reach + REACH / 2
        left, top = (max(int((c - reach) / PITCH), 0) for c in (g.x, g.y))
        right, bottom = (int((c + reach) / PITCH) + 2 for c in (g.x, g.y))
        window = (slice(top, min(bottom, rows)), slice(left, min(right, columns)))
        distance = _signed_distance(g.outline(160), left, top, gland[window].shape)
        nearer = distance > gland[window]
        depth[window][nearer] = EPITHELIUM[g.rows - 1]
        gland[window] = np.maximum(gland[window], distance)
    return gland, depth


def _signed_distance(outline: npt.NDArray[np.float64], left: int, top: int, shape: tuple[int, ...]) -> Plane:
    """Exact distance of map pixels to the closed outline, px, positive within."""
    y, x = np.mgrid[top : top + shape[0], left : left + shape[1]].astype(np.float32) * PITCH
    ends = np.roll(outline, -1, axis=0)
    mid = ((outline + ends) / 2).astype(
        np.float32
    )  # segments are shorter than a map pixel: their middles do for a distance
    squared = (x[..., None] - mid[:, 0]) ** 2 + (y[..., None] - mid[:, 1]) ** 2
    polygon = np.rint((outline / PITCH - [left, top]) * 256).astype(np.int32)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [polygon], 1, shift=8)
    return np.asarray(np.sqrt(squared.min(axis=-1)) * np.where(mask > 0, 1, -1), np.float32)
