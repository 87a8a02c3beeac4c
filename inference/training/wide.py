"""What other laboratories, organs and scanners do to a picture, beyond `augment`: hollow nuclei, veils, casts,
vignettes.

Every function takes (h, w, 3) RGB uint8 and returns the same. Densities are optical, base 10.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Range = tuple[float, float]

HAEMATOXYLIN = np.array([0.69, 0.62, 0.38], np.float32)
DAB = np.array([0.37, 0.56, 0.74], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """Ranges are uniform (gamma: in its logarithm); a share is how often a change is made.

    Attributes
    ----------
    hollow : how much of the mean density round a pixel (sigma `hollow_sigma`, px) is taken off: nuclei become rims, as
        vesicular ones are
    browned : how much of the blue density turns to DAB where a smooth field is high
    veil : density of an uneven stain (haematoxylin, DAB or grey) over all
    warmth, tint : relative gain of red against blue, and of green; exposure of all three
    gamma : exponent of values in [0, 1]
    vignette : light lost at the far end of the crop
    """

    hollow_share: float = 0.25
    hollow: Range = (0.25, 0.8)
    hollow_sigma: Range = (2.0, 4.5)
    browned_share: float = 0.15
    browned: Range = (0.4, 1.6)
    veil_share: float = 0.25
    veil: Range = (0.03, 0.22)
    cast_share: float = 0.4
    warmth: float = 0.09
    tint: float = 0.04
    exposure: Range = (0.82, 1.1)
    gamma_share: float = 0.3
    gamma: Range = (0.55, 1.8)
    vignette_share: float = 0.2
    vignette: Range = (0.05, 0.4)


def stained_otherwise(image: Image, w: Wide, random: np.random.Generator) -> Image:
    """Hollow, browned, veiled: what happens on the glass."""
    hollow, brown, veil = (random.random() < share for share in (w.hollow_share, w.browned_share, w.veil_share))
    if not (hollow or brown or veil):
        return image
    density = densities(image)
    if hollow:
        density = hollowed(density, random.uniform(*w.hollow), random.uniform(*w.hollow_sigma))
    if brown:
        density = browned(density, random.uniform(*w.browned), field(density.shape[:2], random))
    if veil:
        stain = (HAEMATOXYLIN, DAB, np.full(3, 0.5, np.float32))[int(random.integers(3))]
        density = density + field(density.shape[:2], random)[..., None] * (random.uniform(*w.veil) * stain)
    return pixels(density)


def scanned_otherwise(image: Image, w: Wide, random: np.random.Generator) -> Image:
    """Cast, gamma, vignette: what happens in the scanner."""
    values = image.astype(np.float32)
    if random.random() < w.cast_share:
        warm, green = random.uniform(-w.warmth, w.warmth), random.uniform(-w.tint, w.tint)
        values *= np.array([1 + warm, 1 + green, 1 - warm], np.float32) * np.float32(random.uniform(*w.exposure))
    if random.random() < w.vignette_share:
        values *= vignette(image.shape[:2], random.uniform(*w.vignette), random)[..., None]
    if random.random() < w.gamma_share:
        exponent = np.float32(np.exp(random.uniform(*np.log(w.gamma))))
        values = 255 * np.power(np.clip(values, 0, 255) / 255, exponent)
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def hollowed(density: Floats, strength: float, sigma: float) -> Floats:
    """Density less a share of the mean round it, never below a quarter of what was there: rims stay, middles pale."""
    round_it = cv2.GaussianBlur(density, (0, 0), sigma)
    return np.asarray(np.maximum(density - strength * np.minimum(round_it, density), 0.25 * density), np.float32)


def browned(density: Floats, strength: float, where: Floats) -> Floats:
    """Turn haematoxylin to DAB, `strength` times as dense, where the field `where` (h, w), 0 to 1, is high."""
    blue = np.clip(density[..., 0] - 0.5 * density[..., 2], 0, None)[..., None] * where[..., None]
    return np.asarray(density + blue * (strength * 1.4 * DAB - 0.6 * HAEMATOXYLIN), np.float32)


def field(shape: tuple[int, int], random: np.random.Generator) -> Floats:
    """(h, w) in [0, 1], changing over a third of the side."""
    coarse = random.random((5, 5)).astype(np.float32)
    return np.asarray(np.clip(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), 0, 1), np.float32)


def vignette(shape: tuple[int, int], lost: float, random: np.random.Generator) -> Floats:
    """(h, w) gain: 1 at a centre that may lie outside, 1 - lost at the farthest pixel, falling with the square."""
    h, w = shape
    cx, cy = random.uniform(-0.5, 1.5) * w, random.uniform(-0.5, 1.5) * h
    y, x = np.mgrid[:h, :w].astype(np.float32)
    squared = (x - cx) ** 2 + (y - cy) ** 2
    return np.asarray(1 - lost * squared / squared.max(), np.float32)


def densities(image: Image) -> Floats:
    return np.asarray(-np.log10((image.astype(np.float32) + 1) / 256), np.float32)


def pixels(density: Floats) -> Image:
    return np.asarray(np.clip(256 * np.power(np.float32(10), -density) - 1, 0, 255), np.uint8)
