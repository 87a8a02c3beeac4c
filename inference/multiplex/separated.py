"""Stains and nuclei as pictures, under the names that DeepLIIF's clients know; nothing is re-stained: stains are taken
apart by their densities (Ruifrok & Johnston 2001), nuclei are found by our network.
"""

import cv2
import numpy as np

from inference.multiplex.raster import Mask, Nuclei, Plane, Raster
from inference.outline import ABSORBED
from inference.slide import Rgb
from inference.stain import HAEMATOXYLIN, unmixing

FULL_OD = 1.5
"""Optical density that is shown as 255."""
BORDER_UM = 1.0
FALL = 0.25
"""Share of its strength that a nucleus has lost at its outline."""
_STEPS = 301


def densities(image: Rgb) -> tuple[Plane, Plane]:
    """Haematoxylin and DAB, (h, w) each, optical density to base 10, 0 and above."""
    absorbed, of_each = cv2.LUT(image, ABSORBED), unmixing().astype(np.float32)
    both = (cv2.transform(absorbed, np.ascontiguousarray(of_each[:, i])[None]) for i in (0, 1))
    haematoxylin, dab = (np.asarray(np.maximum(density, 0), np.float32) for density in both)
    return haematoxylin, dab


def haematoxylin_alone(density: Plane) -> Rgb:
    """As a slide that is stained by nothing else."""
    vector = np.array(HAEMATOXYLIN) / np.linalg.norm(HAEMATOXYLIN)
    table = np.rint(255 * 10 ** -(np.arange(_STEPS)[:, None] / 100 * vector)).astype(np.uint8)
    return np.asarray(table[np.minimum(density * 100 + 0.5, _STEPS - 1).astype(np.int32)], np.uint8)


def marker(dab: Plane) -> Rgb:
    """The protein, bright on black."""
    return grey(dab * (255 / FULL_OD))


def nuclei_alone(haematoxylin: Plane, dab: Plane, on: Raster, shown: Mask) -> Rgb:
    """All stain within nuclei, bright on black."""
    return grey((haematoxylin + dab) * (255 / FULL_OD) * _of(on, shown))


def borders_alone(on: Raster, shown: Mask, *, mpp: float) -> Rgb:
    """Bright at the outline, black BORDER_UM further in."""
    near = np.clip(1 - on.inside * (mpp / BORDER_UM), 0, 1)
    return grey(255 * near * _of(on, shown))


def probability_map(nuclei: Nuclei, on: Raster) -> Rgb:
    """Red positive, blue negative, falling towards the green border, which parts every nucleus from its neighbours."""
    strength = np.concatenate([np.zeros(1, np.float32), nuclei.strength])
    positive = np.concatenate([np.zeros(1, bool), nuclei.positive])[on.owner]
    value = np.rint(strength[on.owner] * (1 - FALL * on.out**2) * ~on.border).astype(np.uint8)
    return np.stack([value * positive, np.where(on.border, 255, 0).astype(np.uint8), value * ~positive], axis=2)


def grey(values: Plane) -> Rgb:
    """0-255 in three equal channels."""
    one = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(one[..., None], 3, axis=2)


def _of(on: Raster, shown: Mask) -> Mask:
    """(h, w): pixels of the nuclei that are shown, (n,)."""
    return np.asarray(np.concatenate([np.zeros(1, bool), shown])[on.owner], np.bool_)
