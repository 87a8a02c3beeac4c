"""Cells of a tile measured: how much of each one's membrane is stained, how strongly, and what kind of cell it is.

Crests are measured against the ground on both sides, smoothed along the membrane. Where a picture's density counts as
stained depends on the laboratory's scale, which is known later: so each cell is measured at every one of THRESHOLDS.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.analyzers.membrane_contour import (
    ANGLE,
    RADIUS_UM,
    RAYS,
    Polar,
    contours,
    middles,
    remapped,
    sampled,
    smoothed,
)
from inference.analyzers.membrane_nuclei import Nuclei, blue, find_nuclei
from inference.analyzers.membrane_rays import profiles, stained_rays

Plane = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]
Rays = npt.NDArray[np.bool_]

HALO = 96
"""Of the model's tiles, px."""
STEPS = 12
THRESHOLDS = tuple(round(0.024 * 1.15**k, 4) for k in range(STEPS))
"""DAB densities of a crest, as pictures show it, from which it may count as stained."""

CREST_UM = np.arange(-3, 4, dtype=np.float32) * 0.2
GROUND_UM = np.array((-2.4, -2.0, -1.7, 1.7, 2.0, 2.4), np.float32)
ALONG_PATH, ALONG_CREST = 1.2, 2.0
"""Deviations, in rays, of the smoothing along the membrane: to find it, to measure it."""
FINE_BLUR_UM = 0.25

NUCLEUS_UM = np.arange(1, 22, dtype=np.float32) * 0.45
NUCLEUS_RAYS = 16
PLASMA = (0.62, 0.72, 0.8)
"""Shares of the way to the membrane where the cytoplasm is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """n cells: `x`, `y` px of the tile; `completeness` (n, STEPS) 0 to 1 and `density` (n, STEPS), the mean crest of
    what is stained, at each of THRESHOLDS; `plasma` the DAB density of the cytoplasm, `crest` the median one of the
    contour; `radius_um` of the cell; the nucleus' mean and `narrow` half axis in µm, and its haematoxylin density.
    """

    x: Floats
    y: Floats
    response: Floats
    completeness: Floats
    density: Floats
    plasma: Floats
    crest: Floats
    radius_um: Floats
    nucleus_um: Floats
    narrow_um: Floats
    haematoxylin: Floats
    nuclear_dab: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Contoured:
    """n nuclei with the contour of each cell: `radius` (n, RAYS) µm; `planes`, DAB that it was found in and
    haematoxylin beside it; `seen`, what `membrane_rays` is asked by.
    """

    nuclei: Nuclei
    radius: Floats
    planes: tuple[Plane, Plane]
    seen: Floats


def contoured(haematoxylin: Plane, dab: Plane, mpp: float) -> Contoured:
    """The cells of a tile of densities (h, w) whose nucleus lies HALO or more inside of it."""
    found = find_nuclei(haematoxylin, dab, mpp)
    mine = _in_core(found, haematoxylin.shape)
    free = middles(dab.shape, found.x, found.y, mpp, mine)
    nuclei = found.taken(mine)
    planes = fine, _ = blurred(dab, FINE_BLUR_UM / mpp), blurred(haematoxylin, FINE_BLUR_UM / mpp)
    around = smoothed(sampled(fine, nuclei.x, nuclei.y, mpp), ALONG_PATH)
    radius = RADIUS_UM[contours(Polar(around, free))]
    seen = profiles(planes, nuclei.x, nuclei.y, radius, ANGLE, mpp)
    return Contoured(nuclei=nuclei, radius=radius, planes=planes, seen=seen)


def measured_cells(haematoxylin: Plane, dab: Plane, mpp: float) -> Measured:
    """Find the cells of a tile of densities (h, w), and measure those whose nucleus lies HALO or more inside of it."""
    found = contoured(haematoxylin, dab, mpp)
    nuclei, radius, fine = found.nuclei, found.radius, found.planes[0]
    crest = crests(fine, nuclei, radius, mpp)
    completeness, density = stained(crest, arcs(radius), stained_rays(found.seen, THRESHOLDS, mpp))
    mean_um, narrow_um, core = _nucleus(blue(haematoxylin, dab), nuclei, radius, mpp)
    return Measured(
        x=nuclei.x,
        y=nuclei.y,
        response=nuclei.response,
        completeness=completeness,
        density=density,
        plasma=_plasma(fine, nuclei, radius, mpp),
        crest=np.asarray(np.median(crest, axis=1), np.float32),
        radius_um=np.asarray(radius.mean(axis=1), np.float32),
        nucleus_um=mean_um,
        narrow_um=narrow_um,
        haematoxylin=core,
        nuclear_dab=_at_centre(dab, nuclei, mpp),
    )


def _in_core(nuclei: Nuclei, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Those that can belong to the tile: the others are another one's, and only bound these."""
    inside = [(v >= HALO - 1) & (v < side - HALO + 1) for v, side in ((nuclei.x, shape[1]), (nuclei.y, shape[0]))]
    return np.asarray(inside[0] & inside[1])


def blurred(plane: Plane, sigma: float) -> Plane:
    """Nothing is done where pixels are coarser than the blur."""
    return plane if sigma < 0.6 else np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def arcs(radius: Floats) -> Floats:
    """The length in µm of the contour that each ray stands for, (n, RAYS)."""
    slope = (np.roll(radius, -1, axis=1) - np.roll(radius, 1, axis=1)) / 2
    return np.asarray(np.hypot(radius * np.float32(2 * np.pi / RAYS), slope), np.float32)


def crests(dab: Plane, nuclei: Nuclei, radius: Floats, mpp: float) -> Floats:
    """Density of the membrane's crest on each ray above the ground beside it, (n, RAYS)."""
    offsets = np.concatenate([CREST_UM, GROUND_UM])
    values = _along_rays(dab, nuclei, (radius[..., None] + offsets) / mpp, ANGLE)
    top = smoothed(values[..., : len(CREST_UM)], ALONG_CREST).max(axis=2)
    ground = smoothed(values[..., len(CREST_UM) :].mean(axis=2, keepdims=True), ALONG_CREST)[..., 0]
    return np.asarray(top - ground, np.float32)


def stained(crest: Floats, arc: Floats, rays: Rays) -> tuple[Floats, Floats]:
    """Completeness and mean crest of the stained part at each of THRESHOLDS, (n, STEPS) each, by the `rays` (n, RAYS,
    STEPS) that are stained.
    """
    whole = np.maximum(arc.sum(axis=1), 1e-6)
    share = np.zeros((len(crest), STEPS), np.float32)
    mean = np.zeros((len(crest), STEPS), np.float32)
    for k in range(STEPS):
        on = arc * rays[..., k]
        length = on.sum(axis=1)
        share[:, k] = length / whole
        mean[:, k] = (on * crest).sum(axis=1) / np.maximum(length, 1e-6)
    return share, mean


def _along_rays(plane: Plane, nuclei: Nuclei, reach_px: Floats, angle: Floats) -> Floats:
    """Values at distances (n, rays, k) in px from each nucleus along rays at `angle` (rays,)."""
    n, rays, k = reach_px.shape
    x = (nuclei.x[:, None, None] + np.cos(angle)[:, None] * reach_px).reshape(n * rays, k)
    y = (nuclei.y[:, None, None] + np.sin(angle)[:, None] * reach_px).reshape(n * rays, k)
    return remapped(plane, x.astype(np.float32), y.astype(np.float32)).reshape(n, rays, k)


def _plasma(dab: Plane, nuclei: Nuclei, radius: Floats, mpp: float) -> Floats:
    """Median DAB density between nucleus and membrane, (n,)."""
    reach = radius[:, ::4, None] * np.array(PLASMA, np.float32) / mpp
    values = _along_rays(dab, nuclei, reach.astype(np.float32), ANGLE[::4])
    return np.asarray(np.median(_flat(values), axis=1), np.float32)


def _flat(values: Floats) -> Floats:
    """(n, ...) as (n, k), also where n is 0: numpy's own flattening of axes can't do that."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _at_centre(dab: Plane, nuclei: Nuclei, mpp: float) -> Floats:
    """Mean DAB density of the nucleus' middle, (n,)."""
    reach = np.tile(np.array((0.0, 0.6, 1.2), np.float32) / mpp, (len(nuclei.x), 8, 1)).astype(np.float32)
    return np.asarray(_along_rays(dab, nuclei, reach, ANGLE[::8]).mean(axis=(1, 2)), np.float32)


def _nucleus(plane: Plane, nuclei: Nuclei, radius: Floats, mpp: float) -> tuple[Floats, Floats, Floats]:
    """Mean and narrow half axis (µm) where the blue falls to half, and how blue its middle is, (n,) each."""
    angle = ANGLE[:: RAYS // NUCLEUS_RAYS]
    smooth = blurred(plane, 0.4 / mpp)
    reach = np.tile(NUCLEUS_UM / mpp, (len(nuclei.x), NUCLEUS_RAYS, 1)).astype(np.float32)
    values = _along_rays(smooth, nuclei, reach, angle)
    core = np.asarray(values[..., :3].mean(axis=(1, 2)), np.float32)
    outside = np.asarray(np.percentile(_flat(values[..., -8:]), 20, axis=1), np.float32)
    below = values < (0.5 * (core + np.minimum(outside, 0.5 * core)))[:, None, None]
    first = np.where(below.any(axis=2), below.argmax(axis=2), len(NUCLEUS_UM) - 1)
    edge = NUCLEUS_UM[first]
    edge = np.median(np.stack([np.roll(edge, i, axis=1) for i in (-1, 0, 1)]), axis=0)
    across = (edge + np.roll(edge, NUCLEUS_RAYS // 2, axis=1)) / 2
    narrow = np.sort(across, axis=1)[:, :4].mean(axis=1)
    return edge.mean(axis=1).astype(np.float32), narrow.astype(np.float32), core
