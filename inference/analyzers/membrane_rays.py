"""Which rays of a cell's contour cross a stained membrane: a small network of the densities about each ray.

It sees haematoxylin and DAB across the contour on the ray and its neighbours, so that a membrane that comes in from the
side, a nucleus' edge, or compression's blur isn't taken for a stained crest; a contour beside the crest is forgiven.
`inference.training.membrane_rays` fits it on drawn cells and writes the weights beside this file.

Where a picture's density counts as stained depends on the laboratory's scale, which is known later: densities are given
in units of each threshold, and the first layer, which is linear, is computed once for all of them.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.analyzers.membrane_contour import RAYS, remapped

Floats = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

WEIGHTS = Path(__file__).with_name("membrane_rays.npz")
OFFSETS_UM = np.arange(-6, 7, dtype=np.float32) * np.float32(0.4)
NEIGHBOURS = 5
"""Rays on either side."""
PLANES = 2
AT_ONCE = 64
"""Cells judged together: what fits a processor's cache."""
USUAL = 0.05
"""A threshold of the middle: the network is told the logarithm of a threshold by this."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Of two layers of h hidden values: `across` (2 NEIGHBOURS + 1, offsets x planes, h), `told` (2, h) of pixel size
    and threshold, `bias` (h,), `out` (h,) and `out_bias`.
    """

    across: Floats
    told: Floats
    bias: Floats
    out: Floats
    out_bias: float


@cache
def shipped() -> Weights:
    with np.load(WEIGHTS) as file:
        across, said, bias, out = (np.asarray(file[name], np.float32) for name in ("across", "told", "bias", "out"))
        return Weights(across=across, told=said, bias=bias, out=out, out_bias=float(file["out_bias"]))


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
    w = weights or shipped()
    found = np.empty((*seen.shape[:2], len(thresholds)), bool)
    for first in range(0, len(seen), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        total = _first_layer(seen[some], w.across)
        for k, threshold in enumerate(thresholds):
            hidden = total * np.float32(1 / threshold)
            hidden += w.bias + told(mpp, threshold) @ w.told
            np.maximum(hidden, 0, out=hidden)
            found[some, :, k] = hidden @ w.out > -w.out_bias
    return found


def _first_layer(seen: Floats, across: Floats) -> Floats:
    """(n, RAYS, h): all neighbours' parts in one product, each then laid on the ray that it belongs to."""
    n, rays, values = seen.shape
    steps, _, h = across.shape
    parts = (seen.reshape(-1, values) @ across.transpose(1, 0, 2).reshape(values, -1)).reshape(n, rays, steps, h)
    turned = np.concatenate([parts[:, rays - NEIGHBOURS :], parts, parts[:, :NEIGHBOURS]], axis=1)
    total = np.zeros((n, rays, h), np.float32)
    for i in range(steps):
        first = 2 * NEIGHBOURS - i
        total += turned[:, first : first + rays, i]
    return total
