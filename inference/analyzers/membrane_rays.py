"""Which rays of a cell's contour cross a stained membrane: a small network of the densities about each ray.

It sees haematoxylin and DAB across the contour, on the ray and on others beside it, so that a membrane that comes in
from the side, a nucleus' edge, or compression's blur isn't taken for a stained crest, and so that a contour beside the
crest is forgiven; a second step along the contour settles what one ray can't. `inference.training.membrane_rays` fits
it on drawn cells and writes the weights beside this file.

Where a picture's density counts as stained depends on the laboratory's scale, which is known later: densities are given
in units of each threshold, and the first layer, which is linear, is computed once for all of them.
"""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.analyzers.membrane_contour import RAYS, remapped

Floats = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

WEIGHTS = Path(__file__).with_name("membrane_rays.npz")
OFFSETS_UM = np.arange(-10, 11, dtype=np.float32) * np.float32(0.4)
APART = 2
"""Rays from one that is seen to the next."""
ACROSS, ALONG = 7, 9
"""How many are seen by the first step and by the second."""
PLANES = 2
AT_ONCE = 64
"""Cells judged together: what fits a processor's cache."""
USUAL = 0.05
"""A threshold of the middle: the network is told the logarithm of a threshold by this."""
STRIDE = 3
"""Of so many thresholds one is judged; how sure it is between two follows from both."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """`across` (ACROSS, offsets x planes, h), `told` (2, h) of pixel size and threshold, `bias` (h,); `mid` (h, c) and
    `mid_bias` (c,); `along` (ALONG, c, g) and `along_bias` (g,); `out` (g,), `direct` (c,) and `out_bias`.
    """

    across: Floats
    told: Floats
    bias: Floats
    mid: Floats
    mid_bias: Floats
    along: Floats
    along_bias: Floats
    out: Floats
    direct: Floats
    out_bias: Floats


@cache
def shipped() -> Weights:
    return read(WEIGHTS)


def read(path: Path) -> Weights:
    with np.load(path) as file:
        return Weights(**{field.name: np.asarray(file[field.name], np.float32) for field in fields(Weights)})


def told(mpp: float, threshold: float) -> Floats:
    """What the network is told beside densities, (2,)."""
    return np.array([(mpp - 0.25) / 0.25, np.log(threshold / USUAL)], np.float32)


def profiles(planes: tuple[Plane, Plane], x: Floats, y: Floats, radius: Floats, angle: Floats, mpp: float) -> Floats:
    """Densities of DAB and haematoxylin across the contours `radius` (n, RAYS) µm of nuclei at (x, y) px, (n, RAYS,
    offsets x planes).
    """
    n, reach = len(x), (radius[..., None] + OFFSETS_UM) / np.float32(mpp)
    across = (x[:, None, None] + np.cos(angle)[:, None] * reach).reshape(n * RAYS, len(OFFSETS_UM)).astype(np.float32)
    down = (y[:, None, None] + np.sin(angle)[:, None] * reach).reshape(n * RAYS, len(OFFSETS_UM)).astype(np.float32)
    values = [remapped(plane, across, down) for plane in planes]
    return np.stack(values, axis=-1).reshape(n, RAYS, len(OFFSETS_UM) * PLANES)


def stained_rays(seen: Floats, thresholds: tuple[float, ...], mpp: float, weights: Weights | None = None) -> Mask:
    """Which rays of `profiles` are stained at each threshold, (n, RAYS, thresholds)."""
    w, last = weights or shipped(), len(thresholds) - 1
    found = np.empty((*seen.shape[:2], len(thresholds)), bool)
    for first in range(0, len(seen), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        total = _along(np.ascontiguousarray(seen[some].transpose(1, 0, 2)), w.across)
        sure: Floats = np.zeros(total.shape[:2], np.float32)
        done = -1
        for k in sorted({*range(0, last, STRIDE), last}):
            said = w.bias + told(mpp, thresholds[k]) @ w.told
            before, sure = sure, _settled(total * np.float32(1 / thresholds[k]) + said, w)
            for between in range(done + 1, k + 1):
                share = np.float32((between - done) / (k - done))
                found[some, :, between] = (before + share * (sure - before)).T > 0
            done = k
    return found


def _settled(hidden: Floats, w: Weights) -> Floats:
    """How surely each ray is stained, (RAYS, n), from the first layer's values (RAYS, n, h), which it changes."""
    few = np.maximum(hidden, 0, out=hidden) @ w.mid + w.mid_bias
    along = _along(few, w.along) + w.along_bias
    return np.asarray(np.maximum(along, 0, out=along) @ w.out + few @ w.direct + w.out_bias, np.float32)


def _along(values: Floats, weights: Floats) -> Floats:
    """(RAYS, n, v) to (RAYS, n, h): the sum over the rays beside each, APART from one another, by `weights` (steps, v,
    h). Rays come first, so that each step is one product of what lies together.
    """
    rays, n, v = values.shape
    steps, _, h = weights.shape
    reach = APART * (steps // 2)
    turned = np.concatenate([values[rays - reach :], values, values[:reach]])
    total = np.zeros((rays * n, h), np.float32)
    for i in range(steps):
        total += turned[APART * i : APART * i + rays].reshape(rays * n, v) @ weights[i]
    return total.reshape(rays, n, h)
