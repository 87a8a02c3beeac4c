"""Does stain lie in nuclei, or more densely around them? By nuclei that the network found, and what is beside each.

A nuclear stain is denser in nuclei than between, though rings round nuclei hold parts of their neighbours: of
EndoNuke's 229 tiles, however brown their ground, the worst has 0.94 of the nuclei's density around them. Cytoplasmic
stain, or a brown ground over nuclei that are negative, has more around than within (docs/models/nuclei.md).
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from inference.slide import Rgb
from inference.stain import unmixing
from inference.white import White, whitened

WITHIN, AROUND = 9, 33
"""Sides in px of 0.5 µm of the square within a nucleus, and of that around it which the former is cut out of."""
LEAST_NUCLEI = 50
LEAST, DENSER = 0.12, 0.03
"""Mean DAB density around nuclei from which on it is stain (the paler ground of negative slides isn't told of), and by
how much that is to exceed the nuclei's: hollow nuclei with hardly any stain are as pale as their ground.
"""

Floats = npt.NDArray[np.floating]
Densities = tuple[Floats, Floats]


def densities(image: Rgb, white: White, x: Floats, y: Floats) -> Densities:
    """DAB by the white point, below 0 none, within and around nuclei at (x, y) px of a picture (h, w, 3): (n,) each."""
    shades = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    table = -np.log10((whitened(shades, white) + 1) / 256) * unmixing()[:, 1]
    red, green, blue = (table[image[..., k], k] for k in range(3))
    dab = np.maximum(red + green + blue, 0).astype(np.float32)
    rows, columns = (np.clip(np.rint(v).astype(int), 0, n - 1) for v, n in zip((y, x), dab.shape, strict=True))
    within, whole = (cv2.blur(dab, (side, side))[rows, columns] for side in (WITHIN, AROUND))
    return within, (whole * AROUND**2 - within * WITHIN**2) / (AROUND**2 - WITHIN**2)


def beside_nuclei(measured: Sequence[Densities]) -> bool:
    """Of nuclei of a few fields: is there stain around them, and more than in them?"""
    within, around = (np.concatenate([np.zeros(0), *(pair[i] for pair in measured)]) for i in range(2))
    return len(within) >= LEAST_NUCLEI and bool(around.mean() >= max(LEAST, within.mean() + DENSER))
