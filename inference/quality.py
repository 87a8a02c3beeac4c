"""What makes a slide unfit, or less fit, to be scored; each a word in the result's warnings."""

from collections.abc import Iterator
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from inference.slide import Rgb
from inference.tissue import BAND, mean_density

Plane = npt.NDArray[np.floating]


class Warning(StrEnum):
    """Warnings of an analysis."""

    NOT_IHC = "NOT_IHC"  # eosin where an immunostain has none: probably H&E
    OUT_OF_SCOPE = "OUT_OF_SCOPE"  # marker or site that the model card doesn't cover
    WHOLE_TISSUE = "WHOLE_TISSUE"  # the score is of all cells alike, where only those of a tumour should be
    COLOUR_SUSPECT = "COLOUR_SUSPECT"  # the background is neither white nor grey: perhaps colours are decoded wrongly
    COLOUR_CAST = "COLOUR_CAST"  # the white point is far from grey, or no glass and no bright ground show what it is
    TOO_LITTLE_TISSUE = "TOO_LITTLE_TISSUE"
    TOO_FEW_NUCLEI = "TOO_FEW_NUCLEI"
    COUNT_UNSURE = "COUNT_UNSURE"  # many nuclei were counted only just: others like them will have been missed
    LARGE_NUCLEI = "LARGE_NUCLEI"  # nuclei are large for the network, which saw them in coarser pixels
    STAIN_WEAK = "STAIN_WEAK"  # haematoxylin or DAB of the whole slide is so weak that grades are doubtful
    OUT_OF_FOCUS = "OUT_OF_FOCUS"
    INK = "INK"
    TILES_UNREADABLE = "TILES_UNREADABLE"  # some, fewer than would refuse the slide
    INTERVAL_MISSING = "INTERVAL_MISSING"  # scored anew without the cells' file: gone, or of an older schema
    PEAKS_OVERFLOWED = "PEAKS_OVERFLOWED"  # a tile had more nuclei than the network reports


LEAST_TISSUE_MM2 = 0.25
JUST_COUNTED, UNSURE_SHARE = 0.15, 0.18
"""A nucleus is counted only just within so much above the threshold; the share of such from which COUNT_UNSURE is said
(docs/models/nuclei.md).
"""
MOST_UNREADABLE = 0.02  # of the tiles with tissue; above it the slide is refused
SHARPNESS_MPP = 0.5
BLURRED = 8.0  # median over tiles of the standard deviation of the Laplacian, grey levels
INK_SHARE = 0.01  # of the picture

# Hue (degrees) and saturation (0-1) of eosin-stained tissue; the share of stained pixels that makes a slide H&E.
EOSIN_HUES = (285.0, 350.0)
EOSIN_SATURATION = 0.10
EOSIN_SHARE = 0.25
BROWN_BELOW = 50.0
STAINED_DENSITY = 0.08

# Bare glass: the brightest share of a picture, and how far apart its colours may be in grey levels. YCbCr that is taken
# for RGB shows glass as (255, 128, 128); a strong stain that fills a picture is darker than glass.
BRIGHTEST_SHARE = 0.05
GLASS_BRIGHTNESS = 150.0
GLASS_COLOURED = 85.0  # eosin that fills a picture has 75
_SAMPLED_SIDE = 512

# Pen: strongly saturated, and of a hue that neither haematoxylin, DAB nor eosin has; or a blue that takes more of red
# than of green (by optical density; haematoxylin 0.9 times); or dark in all colours alike, where stains take most of
# green. By density only in patches of at least PEN_PX each way; what was never scanned is black, too.
PEN_HUES = (75.0, 195.0)
PEN_SATURATION = 0.45
BLUE_DENSITY, BLUE_BY_GREEN = 0.5, 1.15
BLACK_DENSITY, BLACK_GREEN, BLACK_APART = 0.5, 1.12, 1.3
NEVER_SCANNED = 8  # grey levels, of the brightest colour
PEN_PX = 3


def looks_like_he(picture: Rgb, saturation_from: float = EOSIN_SATURATION) -> bool:
    """Is most of what is stained pink or purple-pink, and so saturated at least? On a picture of any resolution."""
    stained = pink = 0
    for hue, saturation, density in _bands(picture):
        is_stained = density > STAINED_DENSITY
        is_pink = (hue > EOSIN_HUES[0]) & (hue < EOSIN_HUES[1]) & (saturation > saturation_from)
        stained, pink = stained + int(is_stained.sum()), pink + int((is_pink & is_stained).sum())
    return stained >= 20 and pink / stained > EOSIN_SHARE


def brown_share(picture: Rgb) -> float:
    """Share of what is stained that is brown, 0 to 1: eosin and haematoxylin have none. Of any resolution."""
    stained = brown = 0
    for hue, saturation, density in _bands(picture):
        is_stained = density > STAINED_DENSITY
        is_brown = ((hue < BROWN_BELOW) | (hue > EOSIN_HUES[1])) & (saturation > EOSIN_SATURATION)
        stained, brown = stained + int(is_stained.sum()), brown + int((is_brown & is_stained).sum())
    return brown / max(stained, 1)


def density_ratios(picture: Rgb) -> tuple[float, float]:
    """Optical density in red, and in blue, by that in green, of all that is stained; (0, 0) where nothing is.

    Haematoxylin has 0.9 and 0.4, eosin 0.1 and 0.1, DAB 0.5 and 1.4. As densities add up they hardly depend on the
    resolution, as hues do.
    """
    sums = np.zeros(3)
    for top in range(0, len(picture), BAND):
        density = -np.log10((picture[top : top + BAND].astype(np.float32) + 1) / 256)
        sums += density[density.mean(axis=2) > STAINED_DENSITY].sum(axis=0)
    red, green, blue = sums.tolist()
    return (red / green, blue / green) if green > 0 else (0.0, 0.0)


def background_coloured(picture: Rgb) -> bool:
    """Is what should be bare glass of a strong colour? On a picture of any resolution."""
    step = max(1, max(picture.shape[:2]) // _SAMPLED_SIDE)
    pixels = picture[::step, ::step].reshape(-1, 3).astype(np.float32)
    brightness = pixels.mean(axis=1)
    brightest = pixels[brightness >= np.quantile(brightness, 1 - BRIGHTEST_SHARE)]
    glass = np.median(brightest, axis=0)
    return bool(glass.mean() >= GLASS_BRIGHTNESS and np.ptp(glass) > GLASS_COLOURED)


def ink_share(picture: Rgb) -> float:
    """Share of the picture under pen strokes, 0 to 1: green, blue or black."""
    pen = np.concatenate(
        [
            (hue > PEN_HUES[0]) & (hue < PEN_HUES[1]) & (saturation > PEN_SATURATION)
            for hue, saturation, _ in _bands(picture)
        ]
    )
    return float((pen | _dark_ink(picture)).mean())


def _dark_ink(picture: Rgb) -> npt.NDArray[np.bool_]:
    """(h, w): blue or black by optical density, in patches."""
    dark = np.zeros(picture.shape[:2], np.uint8)
    smooth = np.asarray(cv2.blur(picture, (3, 3)), np.uint8)
    for top in range(0, len(smooth), BAND):
        red, green, blue = cv2.split(-np.log10((smooth[top : top + BAND].astype(np.float32) + 1) / 256))
        most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        alike = (green < BLACK_GREEN * np.maximum(red, blue)) & (most < BLACK_APART * least)
        black = alike & (least > BLACK_DENSITY)
        dark[top : top + BAND] = black | ((red > BLUE_DENSITY) & (red > BLUE_BY_GREEN * green))
    unscanned = (picture.max(axis=2) < NEVER_SCANNED).astype(np.uint8)
    dark[cv2.dilate(unscanned, np.ones((5, 5), np.uint8)) > 0] = 0
    return np.asarray(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((PEN_PX, PEN_PX), np.uint8))) > 0


def sharpness(tile: Rgb, mpp: float) -> float:
    """Standard deviation of the Laplacian of the brightness in the middle quarter of a tile of `mpp` µm/px.

    In grey levels. Pixels finer than SHARPNESS_MPP are brought to it: what is as sharp differs less between them.
    """
    height, width = tile.shape[:2]
    middle = np.ascontiguousarray(tile[height // 4 : height - height // 4, width // 4 : width - width // 4])
    if mpp < 0.8 * SHARPNESS_MPP:
        by = mpp / SHARPNESS_MPP
        middle = np.asarray(cv2.resize(middle, None, fx=by, fy=by, interpolation=cv2.INTER_AREA), np.uint8)
    grey = cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))  # NumPy's takes ten times as long, on every tile
    return float(deviation[0, 0])


def _bands(picture: Rgb) -> Iterator[tuple[Plane, Plane, Plane]]:
    """Hue in degrees, saturation 0-1, mean optical density, each (rows, w), of a slightly smoothed picture, some rows
    at a time.
    """
    smooth = np.asarray(cv2.blur(picture, (3, 3)), np.uint8)
    for top in range(0, len(smooth), BAND):
        rows = smooth[top : top + BAND]
        hsv = cv2.cvtColor(rows.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hue, saturation = (np.asarray(hsv[..., i], np.float32) for i in range(2))
        yield hue, saturation, mean_density(rows)
