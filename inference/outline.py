"""Outlines of nuclei from their seeds: a marker-controlled watershed in polar coordinates round each seed.

Along RAYS rays from a seed the border lies where the density of both stains falls most steeply, joined to a closed
line whose radius changes by at most a pixel from ray to ray (dynamic programming). Two nuclei meet where floods of even
speed from both seeds would; none reaches further than REACH_UM. An outline depends on pixels within that distance and
seeds within twice it alone: a nucleus has the same one in every tile that shows it with its halo, which a flood of the
whole tile doesn't give. It fits drawn nuclei better than OpenCV's `watershed` and is faster
(tests/benchmarks/outlines.py).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.grade import DENSITIES
from inference.keypoints import near
from inference.slide import Rgb
from inference.stain import unmixing

OUTLINE = "outline"
"""The column of cells that holds radii."""
RAYS = 24
REACH_UM = 7.0
"""Farthest from the seed: 2.3 times the mean nuclear radius."""
UNIT_UM = 0.05
"""Radii are kept in these, as uint8."""
LEAST_UM = 1.0
USUAL_UM, USUAL_SPREAD_UM, USUAL_GAIN = 2.98, 1.5, 0.1
"""Where there is no border to be seen, one at the mean nuclear radius is as good as a fall of a tenth of density."""

Floats = npt.NDArray[np.float32]
Radii = npt.NDArray[np.uint8]
"""(n, RAYS) in UNIT_UM, from the seed; ray k points k / RAYS of a turn from x towards y."""

_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)
COS, SIN = np.cos(_ANGLES), np.sin(_ANGLES)
_TURNS = np.stack([COS, SIN]).astype(np.float32)
ABSORBED = -np.log10((np.arange(256) + 1) / 256).astype(np.float32)
_WEDGE = 0.5 * np.sin(2 * np.pi / RAYS)
_BEYOND = np.float32(-0.05)
_NEVER = np.float32(-1e9)
_AT_ONCE = 512  # nuclei: what is computed of them fits into a core's cache


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Of n nuclei: `radii`, the area within in µm² (n,), and the mean DAB density there in hundredths (n,)."""

    radii: Radii
    area_um2: Floats
    od_centi: npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class Seeds:
    """Places in px, (n,) each; `counted` ones bound the others."""

    x: npt.NDArray[np.floating]
    y: npt.NDArray[np.floating]
    counted: npt.NDArray[np.bool_]


def outlines(image: Rgb, seeds: Seeds, *, mpp: float, halo: int) -> Outlines:
    """The outline of every seed on an image of `mpp` µm/px.

    `halo` in px is what is seen beyond the outermost seed that matters: no nucleus reaches further than half of it.
    """
    reach = max(int(min(REACH_UM / mpp, halo / 2 - 1)), 2)
    limit, densities = _limits(seeds, reach), _densities(image)
    radii, centi = np.zeros((len(seeds.x), RAYS), np.uint8), np.zeros(len(seeds.x), np.uint16)
    for first in range(0, len(seeds.x), _AT_ONCE):
        these = slice(first, first + _AT_ONCE)
        both, dab = (_sampled(density, seeds.x[these], seeds.y[these], reach) for density in densities)
        steps = _steepest(_falls(both, limit[these], mpp))
        px = np.clip(np.minimum(steps + 1.0, limit[these]), LEAST_UM / mpp, None)
        radii[these] = np.clip(np.rint(px * (mpp / UNIT_UM)), 1, 255)
        centi[these] = _mean_centi(dab, radii[these], mpp)
    return Outlines(radii, area_um2(radii), centi)


def polygons(radii: Radii, x: npt.ArrayLike, y: npt.ArrayLike, *, mpp: float) -> npt.NDArray[np.float64]:
    """(n, RAYS, 2) corners round the centres (x, y), in px of `mpp` µm and the centres' own coordinates."""
    px = radii * (UNIT_UM / mpp)
    return np.stack([np.asarray(x)[:, None] + px * COS, np.asarray(y)[:, None] + px * SIN], axis=2)


def area_um2(radii: Radii) -> Floats:
    """Of the polygons, (n,)."""
    um = radii * np.float32(UNIT_UM)
    return np.asarray(_WEDGE * (um * np.roll(um, -1, axis=1)).sum(axis=1), np.float32)


def _densities(image: Rgb) -> tuple[Floats, Floats]:
    """(h, w) each: haematoxylin and DAB together, slightly smoothed, and DAB alone."""
    absorbed, of_each = cv2.LUT(image, ABSORBED), unmixing().astype(np.float32)
    both = cv2.transform(absorbed, of_each[:, 0][None] + of_each[:, 1][None])
    dab = cv2.transform(absorbed, np.ascontiguousarray(of_each[:, 1])[None])
    return np.asarray(cv2.GaussianBlur(both, (3, 3), 0.5), np.float32), np.asarray(dab, np.float32)


def _sampled(density: Floats, x: npt.ArrayLike, y: npt.ArrayLike, reach: int) -> Floats:
    """(n, RAYS, reach + 2) densities along the rays, a pixel a step from the seed on."""
    steps = _TURNS[:, :, None] * np.arange(reach + 2, dtype=np.float32)
    at_x, at_y = (np.asarray(v, np.float32)[:, None] + d.reshape(1, -1) for v, d in zip((x, y), steps, strict=True))
    sampled = cv2.remap(density, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled.reshape(-1, RAYS, reach + 2), np.float32)


def _limits(seeds: Seeds, reach: int) -> Floats:
    """(n, RAYS) px: how far a ray gets before it is nearer to another counted seed, at most `reach`."""
    limit = np.full((len(seeds.x), RAYS), reach, np.float32)
    places = np.stack([seeds.x, seeds.y], axis=1).astype(np.float64)
    rivals = np.flatnonzero(seeds.counted)
    own, other = near(places, places[rivals], 2.0 * reach)
    own, other = own[own != rivals[other]], rivals[other[own != rivals[other]]]
    if len(own) == 0:
        return limit
    order = np.argsort(own, kind="stable")
    own, apart = own[order], (places[other[order]] - places[own[order]]).astype(np.float32)
    towards = np.maximum(apart @ _TURNS, np.float32(1e-3))
    halves = (apart**2).sum(axis=1, keepdims=True) / 2 / towards
    who, first = np.unique(own, return_index=True)
    limit[who] = np.minimum(np.minimum.reduceat(halves, first, axis=0), reach)
    return limit


def _falls(along: Floats, limit: Floats, mpp: float) -> Floats:
    """(RAYS, reach, n): how much is gained by a border at 1, 2, ... px on each ray."""
    um = np.arange(1, along.shape[2] - 1) * mpp
    usual = (USUAL_GAIN * np.exp(-(((um - USUAL_UM) / USUAL_SPREAD_UM) ** 2))).astype(np.float32)
    gain = np.ascontiguousarray((along[:, :, :-2] - along[:, :, 2:] + usual).transpose(1, 2, 0))
    beyond = np.arange(1, gain.shape[1] + 1, dtype=np.float32)[None, :, None] > limit.T[:, None] + 0.5
    gain[beyond] = _BEYOND
    gain[:, um < LEAST_UM] = -1
    return gain


def _steepest(gain: Floats) -> npt.NDArray[np.intp]:
    """(n, RAYS) indices of the closed line of the largest gain: twice round, of which the middle turn is taken."""
    rays, steps, n = gain.shape
    padded = np.full((steps + 2, n), _NEVER, np.float32)
    came = np.empty((2 * rays, steps, n), np.int8)
    best = gain[0]
    for k in range(1, 2 * rays + 1):
        padded[1:-1] = best
        inner, outer = padded[:-2], padded[2:]
        side = np.maximum(inner, outer)
        came[k - 1] = np.where(padded[1:-1] >= side, 0, np.where(inner >= outer, -1, 1))
        best = np.maximum(side, padded[1:-1]) + gain[k % rays]
    return _traced(came, best.argmax(axis=0))


def _traced(came: npt.NDArray[np.int8], last: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The line back from where each ends."""
    rays, every = len(came) // 2, np.arange(len(last))
    line, at = np.empty((len(last), rays), np.intp), last
    for k in range(2 * rays, 0, -1):
        if rays // 2 < k <= rays + rays // 2:
            line[:, k % rays] = at
        at = at + came[k - 1, at, every]
    return line


def _mean_centi(dab: Floats, radii: Radii, mpp: float) -> npt.NDArray[np.uint16]:
    """Mean over the area: a step at r px stands for a ring of r, the last one for the part that lies within."""
    step = np.arange(dab.shape[2], dtype=np.float32)
    px = radii * np.float32(UNIT_UM / mpp)
    weight = np.clip(px[:, :, None] - step + 0.5, 0, 1) * np.maximum(step, 0.125)
    mean = (dab * weight).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    return np.asarray(np.clip(np.floor(mean * 100 + 0.5), 0, DENSITIES - 1), np.uint16)
