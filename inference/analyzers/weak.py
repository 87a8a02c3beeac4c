"""Is a nuclear stain so weak that grades are doubtful? From the colours by the white point of all nuclei together."""

import numpy as np

from inference.cells.values import IntArray
from inference.grade import HUE_CLOSES_ABOVE

BROWN_BELOW = 130
"""Degrees: the hue that parts brown from blue (docs/models/nuclei.md)."""
PALE_BLUE, PALE_BROWN = 205, 150
"""Brightness, 0 to 255: of half of the blue nuclei, of all but the darkest tenth of the brown ones."""
LEAST_BLUE, LEAST_BROWN, LEAST_BROWN_SHARE = 50, 100, 0.1
"""Fewer say nothing of the stain: a positive slide has few blue nuclei, a negative one few brown."""


def stain_weak(table: IntArray) -> bool:
    """Of nuclei by hue in degrees and brightness, (360, 256): pale haematoxylin, or DAB that is nowhere dark."""
    hues = np.arange(len(table))
    is_brown = (hues < BROWN_BELOW) | (hues > HUE_CLOSES_ABOVE)
    blue, brown = table[~is_brown].sum(axis=0), table[is_brown].sum(axis=0)
    pale_blue = blue.sum() >= LEAST_BLUE and _brightness(blue, 0.5) >= PALE_BLUE
    enough = brown.sum() >= max(LEAST_BROWN, LEAST_BROWN_SHARE * table.sum())
    return bool(pale_blue or (enough and _brightness(brown, 0.1) >= PALE_BROWN))


def _brightness(counts: IntArray, share: float) -> int:
    """The least that so many of the nuclei don't exceed."""
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
