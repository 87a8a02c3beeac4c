"""How brown the ground between nuclei is, at every place of a tile: what is no browner than that isn't positive.

Brown is told by the optical density in blue less that in red: nothing that dims all colours alike changes it, it is
below 0 in haematoxylin and above in DAB. A pale blue nucleus on a brownish ground has it above 0 too, as one on a clear
ground hasn't: what the ground has is taken off before its hue is told.
"""

import cv2
import numpy as np
import numpy.typing as npt

from inference.slide import Rgb
from inference.stain import DAB, dab_density
from inference.white import White, whitened

SHRUNK = 4  # to pixels of 2 µm, as coarse as tells nuclei from what lies between
AROUND = 41  # px of those: 82 µm
CLEAR, DARK = 0.05, 1.0
"""The ground's optical densities in red, green and blue together lie between: glass has less, nuclei have more."""
MOST = 0.2
"""Of how brown a ground all is taken off, and of browner ones no more."""
PALE, DARK_BROWN = 0.3, 0.6
"""DAB densities up to which all of the ground's brown is taken off, and from which on a nucleus is brown whatever its
ground, which seems to be browner between others' halos. Less and less between: a step there would let a scanner's gamma
move percent positive by 6 points, as a share or an excess of the ground that isn't its own would.
"""
BROWN = np.array(DAB) / np.linalg.norm(DAB)

Floats = npt.NDArray[np.float64]


def brown_of_ground(image: Rgb, white: White) -> npt.NDArray[np.float32]:
    """Of a tile (h, w, 3), (h / SHRUNK, w / SHRUNK): mean of the ground around each place, 0 where there is none."""
    height, width = (max(side // SHRUNK, 1) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    shades = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    table = (-np.log10((whitened(shades, white) + 1) / 256)).astype(np.float32)
    red, green, blue = (table[small[..., k], k] for k in range(3))
    whole = red + green + blue
    ground = ((whole > CLEAR) & (whole < DARK)).astype(np.float32)
    share, brown = (cv2.blur(plane, (AROUND, AROUND)) for plane in (ground, (blue - red) * ground))
    found: npt.NDArray[np.float32] = np.divide(brown, share, out=np.zeros_like(brown), where=share > 1e-3)
    return np.maximum(found, 0)


def less_ground(rgb: Floats, image: Rgb, white: White, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    """Colours (n, 3) of nuclei by the white point, 0 to 255, without the brown of the ground at (x, y), px of the tile;
    those whose DAB density is DARK_BROWN or more as they are.
    """
    brown = brown_of_ground(image, white)
    rows, columns = (
        np.clip(np.asarray(v) // SHRUNK, 0, side - 1).astype(int) for v, side in zip((y, x), brown.shape, strict=True)
    )
    pale = np.clip((DARK_BROWN - dab_density(rgb)) / (DARK_BROWN - PALE), 0, 1)
    off = pale * np.minimum(brown[rows, columns], MOST) / (BROWN[2] - BROWN[0])
    cleared: Floats = (rgb + 1) * 10 ** (off[:, None] * BROWN) - 1
    brightest: Floats = np.maximum(cleared.max(axis=1, keepdims=True), 255)
    return np.asarray(cleared * 255 / brightest, np.float64)
