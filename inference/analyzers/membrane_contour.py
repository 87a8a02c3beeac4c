"""The membrane round each nucleus: the cheapest closed path in polar coordinates, along crests of DAB where there are
some, half way to the neighbours where there are none.

Everything is done for all nuclei of a tile at once: (n, RAYS, RADII) arrays.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

RAYS = 64
FIRST_UM, STEP_UM, RADII = 2.1, 0.3, 52
"""Radii in µm: 2.1 to 17.4."""
RADIUS_UM = (FIRST_UM + STEP_UM * np.arange(RADII)).astype(np.float32)
ANGLE = (2 * np.pi / RAYS * np.arange(RAYS)).astype(np.float32)
FLANK_UM = 2.1
"""How far off the crest the ground on both sides is looked at."""
HALF_RIDGE = 0.08
"""A crest that stands out by so much is believed half."""
BEND = 0.02
"""Cost of a step of STEP_UM from ray to ray."""
STEEPEST = 3
"""Steps from ray to ray at most."""
BEYOND = 0.35
"""Cost of what lies beyond another crest."""
OFF_MIDDLE = 0.8
"""Cost of a radius half or twice as large as the way to the middle between nuclei."""
WIDEST_UM = 11.0
AT_ONCE, THREADS = 128, 2
"""Nuclei whose paths are sought together: what fits a processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Polar:
    """`dab` (n, RAYS, RADII) round each nucleus, `free` (n, RAYS) µm to the middle between it and the next one."""

    dab: Floats
    free: Floats


def sampled(plane: Plane, x: Floats, y: Floats, mpp: float, *, nearest: bool = False) -> Floats:
    """(n, RAYS, RADII) of a plane round each (x, y), in px."""
    reach = RADIUS_UM / mpp
    across = (x[:, None, None] + np.cos(ANGLE)[:, None] * reach).reshape(-1, RADII)
    down = (y[:, None, None] + np.sin(ANGLE)[:, None] * reach).reshape(-1, RADII)
    return remapped(plane, across, down, nearest).reshape(len(x), RAYS, RADII)


def remapped(plane: Plane, x: Floats, y: Floats, nearest: bool = False) -> Floats:
    """OpenCV takes no more than 32,767 rows at once."""
    way = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    out = np.empty(x.shape, np.float32)
    for i in range(0, len(x), 32_000):
        part = slice(i, i + 32_000)
        out[part] = cv2.remap(plane, x[part], y[part], way, borderMode=cv2.BORDER_REPLICATE)
    return out


def middles(shape: tuple[int, ...], x: Floats, y: Floats, mpp: float, of: Mask | slice = slice(None)) -> Floats:
    """(n, RAYS): µm from each nucleus, or each `of` them, to where another one is nearer."""
    factor = 4 if mpp <= 0.31 else 2
    rows, columns = (-(-side // factor) for side in shape[:2])
    away = np.full((rows, columns), 255, np.uint8)
    row = np.clip(((y + 0.5) / factor).astype(np.int64), 0, rows - 1)
    column = np.clip(((x + 0.5) / factor).astype(np.int64), 0, columns - 1)
    away[row, column] = 0
    _, label = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.asarray(label, np.float32)
    centre = [np.asarray((v[of] + 0.5) / factor - 0.5, np.float32) for v in (x, y)]
    around = sampled(nearest, centre[0], centre[1], mpp * factor, nearest=True)
    other = around != nearest[row, column][of][:, None, None]
    first = np.where(other.any(axis=2), other.argmax(axis=2), RADII - 1)
    free = RADIUS_UM[first] - STEP_UM / 2
    usual = np.median(free, axis=1, keepdims=True)
    return np.asarray(np.minimum(np.minimum(free, 1.5 * usual), WIDEST_UM), np.float32)


def ridges(dab: Floats) -> Floats:
    """How far each sample stands out above the higher of its flanks along its ray, (n, RAYS, RADII)."""
    flank = round(FLANK_UM / STEP_UM)
    padded = np.pad(dab, ((0, 0), (0, 0), (flank, flank)), mode="edge")
    inner, outer = padded[..., : -2 * flank], padded[..., 2 * flank :]
    beside, uneven = inner + outer, inner - outer
    beside *= np.float32(0.5)
    np.abs(uneven, out=uneven)
    uneven *= np.float32(0.25)
    np.subtract(dab, beside, out=beside)
    return np.asarray(np.subtract(beside, uneven, out=beside), np.float32)


def smoothed(values: Floats, rays: float) -> Floats:
    """(n, RAYS, k) smoothed along the membrane by a Gaussian of so many rays."""
    reach = int(2.5 * rays) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / rays) ** 2).astype(np.float32)
    turned = np.concatenate([values[:, -reach:], values, values[:, :reach]], axis=1)
    weights /= weights.sum()
    total = weights[reach] * values
    for i in range(1, reach + 1):
        total += weights[reach + i] * (
            turned[:, reach - i : reach - i + RAYS] + turned[:, reach + i : reach + i + RAYS]
        )
    return np.asarray(total, np.float32)


def contours(polar: Polar, half_ridge: float = HALF_RIDGE) -> npt.NDArray[np.int64]:
    """The place in RADIUS_UM of the contour on each ray, (n, RAYS)."""
    firsts = range(0, len(polar.dab), AT_ONCE)

    def some(i: int) -> npt.NDArray[np.int64]:
        return _paths(_costs(polar.dab[i : i + AT_ONCE], polar.free[i : i + AT_ONCE], half_ridge))

    with ThreadPoolExecutor(THREADS) as pool:  # a lone field is done the sooner
        parts = list(pool.map(some, firsts))
    return np.concatenate(parts) if parts else np.zeros((0, RAYS), np.int64)


def _costs(dab: Floats, free: Floats, half_ridge: float) -> Floats:
    """(n, RAYS, RADII), low on crests, high beyond them and off the middle."""
    ridge = ridges(dab)
    np.maximum(ridge, 0, out=ridge)
    seen = ridge + np.float32(half_ridge)
    np.divide(ridge, seen, out=seen)
    passed = np.cumsum(seen, axis=2, out=ridge)
    passed *= np.float32(STEP_UM)
    passed *= np.float32(BEYOND)
    cost, lag = np.negative(seen, out=seen), round(1.2 / STEP_UM)
    cost[..., lag:] += passed[..., :-lag]
    off = np.log2(RADIUS_UM) - np.log2(np.maximum(free, FIRST_UM))[..., None]
    off *= off
    np.minimum(off, 1, out=off)
    off *= np.float32(OFF_MIDDLE)
    return np.asarray(np.add(cost, off, out=cost), np.float32)


def _paths(cost: Floats) -> npt.NDArray[np.int64]:
    """The cheapest closed path: half a turn more at either end, of which the middle turn is kept.

    Nuclei come last, so that a step along the radii is one of whole rows.
    """
    half = RAYS // 2
    rays = np.concatenate([np.arange(half, RAYS), np.arange(RAYS), np.arange(half)])
    by_ray = np.ascontiguousarray(cost.transpose(1, 2, 0))
    totals = np.full((len(rays), RADII + 2 * STEEPEST, len(cost)), np.inf, np.float32)
    inner = totals[:, STEEPEST:-STEEPEST]
    inner[0] = by_ray[rays[0]]
    for i, ray in enumerate(rays[1:], 1):
        np.add(_reached(inner[i - 1]), by_ray[ray], out=inner[i])
    return _traced(totals)[:, half : half + RAYS]


def _reached(total: Floats) -> Floats:
    """The least cost to come to each radius (RADII, n), from as far as STEEPEST steps, one step after another."""
    best = total.copy()
    bent = np.empty_like(best)
    for _ in range(STEEPEST):
        np.add(best, np.float32(BEND), out=bent)
        np.minimum(best[1:], bent[:-1], out=best[1:])
        np.minimum(best[:-1], bent[1:], out=best[:-1])
    return best


def _traced(totals: Floats) -> npt.NDArray[np.int64]:
    """Back from the cheapest end: the radius on each ray, (n, rays). `totals` (rays, RADII, n), STEEPEST rows that
    nothing comes to at either end of the radii.
    """
    steps = np.array(sorted(range(-STEEPEST, STEEPEST + 1), key=abs))
    rays, _, n = totals.shape
    flat, beside, bent = totals.reshape(rays, -1), steps[:, None] * n, np.float32(BEND) * np.abs(steps)[:, None]
    found, every = np.empty((rays, n), np.int64), np.arange(n)
    at = totals[-1].argmin(axis=0)
    for i in range(rays - 1, -1, -1):
        found[i] = at - STEEPEST
        if i:
            at = at + steps[(flat[i - 1][at * n + every + beside] + bent).argmin(axis=0)]
    return found.T
