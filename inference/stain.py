"""Colour of a nucleus: mean RGB of a small square round its centre, as hue, value and DAB optical density.

These functions are the reference; the `staining_grading` graph computes the same and a test compares them.
Square: side 9 px at 0.5 µm/px (4.5 µm, a little under the mean nuclear diameter; EndoNet, Informatics 2023, 10(4), 90).
Stain vectors: Ruifrok & Johnston 2001, haematoxylin with DAB or eosin, the third direction their normal.
"""

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from inference.grade import DENSITIES, HUES
from inference.slide import Rgb

SIDE = 9
FloatArray = npt.NDArray[np.float64]

HAEMATOXYLIN = (0.650, 0.704, 0.286)
DAB = (0.268, 0.570, 0.776)
EOSIN = (0.072, 0.990, 0.105)
Vector = tuple[float, float, float]
Stains = Mapping[str, Vector]
"""The two of a slide, by name, haematoxylin first."""
IHC_STAINS: Stains = {"haematoxylin": HAEMATOXYLIN, "dab": DAB}
HE_STAINS: Stains = {"haematoxylin": HAEMATOXYLIN, "eosin": EOSIN}


def unmixing(second: Vector = DAB) -> FloatArray:
    """(3, 3): optical densities in red, green, blue times this give haematoxylin, the second stain, residual."""
    h, d = (np.array(v) / np.linalg.norm(v) for v in (HAEMATOXYLIN, second))
    residual = np.cross(h, d)
    return np.linalg.inv(np.stack([h, d, residual / np.linalg.norm(residual)]))


def mean_rgb(image: Rgb, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
    """Mean colour (n, 3) of the SIDE x SIDE square round each rounded (x, y).

    At the border the nearest pixel counts again.
    """
    sums = cv2.boxFilter(image, cv2.CV_32S, (SIDE, SIDE), normalize=False, borderType=cv2.BORDER_REPLICATE)
    rows, columns = (
        np.clip(np.rint(np.asarray(v)).astype(int), 0, n - 1) for v, n in zip((y, x), image.shape[:2], strict=True)
    )
    means: FloatArray = sums[rows, columns] / SIDE**2
    return means


def hue_value_density(rgb: FloatArray) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
    """Quantised hue (degrees, 0-359), value (0-255) and DAB optical density (hundredths, 0-300) of (n, 3) colours
    0-255.
    """
    high, low = rgb.max(axis=1), rgb.min(axis=1)
    spread = np.where(high > low, high - low, 1)
    r, g, b = rgb.T
    sector = np.where(high == r, (g - b) / spread % 6, np.where(high == g, (b - r) / spread + 2, (r - g) / spread + 4))
    hue = np.where(high > low, np.floor(sector * 60 + 0.5), 0).astype(np.int64) % HUES
    centi = np.clip(np.floor(dab_density(rgb) * 100 + 0.5), 0, DENSITIES - 1)
    return hue.astype(np.uint16), np.floor(high + 0.5).astype(np.uint8), centi.astype(np.uint16)


def dab_density(rgb: FloatArray) -> FloatArray:
    """DAB optical density of (n, 3) colours 0-255, (n,); below 0 where a colour holds less than no DAB."""
    density: FloatArray = -np.log10((rgb + 1) / 256) @ unmixing()[:, 1]
    return density


SHOWN_DENSITY = 1.2
"""Optical density along the stain's vector that the upper end of a window is shown with."""


def stain_picture(image: Rgb, stain: str, low: float, high: float, stains: Stains = IHC_STAINS) -> Rgb:
    """One of a slide's two stains alone, in its colour on white: optical densities `low` and below white, `high` and
    above darkest.

    Raises ValueError for a stain that isn't among them, or where the window is empty.
    """
    if not low < high:
        raise ValueError("a window needs low below high")
    names, vectors = list(stains), list(stains.values())
    column = names.index(stain)
    parts = (
        -np.log10((np.arange(256)[:, None] + 1) / 256) * unmixing(vectors[1])[:, column]
    )  # (256, 3): of each channel's value
    parts = parts.astype(np.float32)
    density = parts[image[..., 0], 0] + parts[image[..., 1], 1] + parts[image[..., 2], 2]
    places = np.clip((density - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    vector = np.array(vectors[column]) / np.linalg.norm(vectors[column])
    shades = 255 * 10 ** (-np.linspace(0, SHOWN_DENSITY, 256)[:, None] * vector)
    shown: Rgb = np.rint(shades).astype(np.uint8)[places]
    return shown
