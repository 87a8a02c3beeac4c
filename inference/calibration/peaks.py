"""The hue threshold by two peaks: a kernel density of the nuclei's hues, and the valley between brown and blue
(EndoNet, Informatics 2023, 10(4), 90: the other way).
"""

import numpy as np

from inference.cells.values import IntArray
from inference.grade import HUE_CLOSES_ABOVE, HUES
from inference.keypoints import FloatArray

BANDWIDTH = 6.0
"""Degrees; a peak of hues is some 20 degrees wide."""
LEAST_PROMINENT = 0.02
"""Of the higher peak: what rises less above the valley is no peak."""
LEAST_APART = 60
"""Degrees: brown and blue are some 180 apart, bumps of either aren't."""
REACH = 5
"""Bandwidths to which the kernel is drawn."""


def hue_threshold(hues: IntArray) -> int | None:
    """The hue (1 to 300 degrees) where fewest nuclei lie between the two peaks; None where there aren't two."""
    if len(hues) == 0:
        return None
    density = np.roll(kernel_density(hues), HUES - 1 - HUE_CLOSES_ABOVE)  # red in the middle of what is brown
    peaks = np.flatnonzero((density >= np.roll(density, 1)) & (density > np.roll(density, -1)))
    highest = int(peaks[np.argmax(density[peaks])])
    best, valley = 0.0, None
    for other in peaks[abs(peaks - highest) >= LEAST_APART].tolist():
        left, right = sorted((highest, other))
        lowest = density[left : right + 1].min()
        if density[other] - lowest > best:
            flat = np.flatnonzero(density[left : right + 1] <= lowest * (1 + 1e-9)) + left
            best, valley = float(density[other] - lowest), int(flat[len(flat) // 2])
    if valley is None or best < LEAST_PROMINENT * density[highest]:
        return None
    hue = valley - (HUES - 1 - HUE_CLOSES_ABOVE)
    return hue if 1 <= hue <= HUE_CLOSES_ABOVE else None


def kernel_density(hues: IntArray) -> FloatArray:
    """(HUES,) density of hues by degree, Gaussian kernel, round the circle; its sum is 1."""
    counts = np.bincount(hues, minlength=HUES) / len(hues)
    reach = int(REACH * BANDWIDTH)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * BANDWIDTH**2))
    density: FloatArray = np.convolve(np.pad(counts, reach, mode="wrap"), kernel / kernel.sum(), mode="valid")
    return density
