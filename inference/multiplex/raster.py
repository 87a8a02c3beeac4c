"""Nuclei on pixels: whose each pixel is, how far out from its centre, and where the border is."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.geometry import Region
from inference.outline import COS, RAYS, SIN

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_SHIFT = 4  # corners are given to OpenCV in sixteenths of a pixel
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """n nuclei of a picture: centres in its px (that of the first pixel is 0), `radii` (n, RAYS) px, `strength` (n,)
    0-255, `positive` (n,). Where two meet the later one shows.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    radii: Plane
    strength: Plane
    positive: Mask

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Of a region, (h, w) each: `owner` the nucleus's place plus 1, 0 for none; `border` its outermost pixels;
    `out` 0 in the centre, 1 at the outline, and `inside` px from the pixel to the outline along its ray.
    """

    owner: npt.NDArray[np.int32]
    border: Mask
    out: Plane
    inside: Plane


def raster(nuclei: Nuclei, region: Region) -> Raster:
    """Nuclei whose centre lies within the longest radius of the region are on it."""
    reach = float(nuclei.radii.max(initial=0)) + 1
    x, y = nuclei.x, nuclei.y
    near = np.flatnonzero(
        (x > region.x - reach) & (x < region.right + reach) & (y > region.y - reach) & (y < region.bottom + reach)
    )
    owner = np.zeros((region.height, region.width), np.int32)
    corners_x = (x[near, None] - region.x + nuclei.radii[near] * COS) * (1 << _SHIFT)
    corners_y = (y[near, None] - region.y + nuclei.radii[near] * SIN) * (1 << _SHIFT)
    corners = np.rint(np.stack([corners_x, corners_y], axis=2)).astype(np.int32)
    for place, polygon in zip((near + 1).tolist(), corners, strict=True):
        cv2.fillPoly(owner, [polygon], place, shift=_SHIFT)
    return _measured(nuclei, region, owner)


def _measured(nuclei: Nuclei, region: Region, owner: npt.NDArray[np.int32]) -> Raster:
    names = owner.astype(np.float32)
    border = (cv2.dilate(names, _SQUARE) != cv2.erode(names, _SQUARE)) & (owner > 0)
    out, inside = np.zeros(owner.shape, np.float32), np.zeros(owner.shape, np.float32)
    rows, columns = np.nonzero(owner)
    whose = owner[rows, columns] - 1
    dx, dy = (
        (v - c[whose]).astype(np.float32) for v, c in ((columns + region.x, nuclei.x), (rows + region.y, nuclei.y))
    )
    distance = np.hypot(dx, dy)
    turn = np.arctan2(dy, dx) * np.float32(RAYS / (2 * np.pi)) % RAYS
    ray = turn.astype(np.int32) % RAYS
    share = turn - np.floor(turn)
    outline = nuclei.radii[whose, ray] * (1 - share) + nuclei.radii[whose, (ray + 1) % RAYS] * share
    out[rows, columns] = np.minimum(distance / outline, 1)
    inside[rows, columns] = np.maximum(outline - distance, 0)
    return Raster(owner, np.asarray(border, np.bool_), out, inside)
