"""Where brown lies in cells: in nuclei, on membranes, or neither to be told.

Membranes are thin and nuclei are not: what is left of the brown after a disc wider than a membrane was rolled through
it is nuclei, or cytoplasm, and cytoplasm hangs together over many cells.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from inference.slide import Rgb
from inference.stain import unmixing

FAINTEST, DENSEST = 0.12, 0.25
"""DAB density that counts as brown at least, and the least of a picture's densest (the 99.5th percentile)."""
SHARE_OF_DENSEST = 0.35
"""Of the densest: what counts as brown there."""
LEAST_BROWN = 0.01
"""Share of a picture that is brown, below which nothing is said."""
DISC_UM = 1.7
THICK, THIN = 0.60, 0.08
"""Share of the brown that stays: nuclei from THICK on, membranes up to THIN. A brown veil over a section of negative
nuclei keeps 0.1 to 0.2: it must not be taken for membranes, as then a negative result would be refused.
"""
THIN_WHERE_STRONG, STRONG, MUCH = 0.32, 0.5, 0.10
"""Up to which share it is membranes too: where the densest is so dense and so much is brown as no veil is."""
LEAST_FIELDS = {"nuclear": 1, "membrane": 2}
NUCLEUS_UM2 = 260.0
"""Brown patches that are larger aren't single nuclei."""
MPP = 0.5
SIDE_UM = 256.0
PLACES = 6


class Pattern(StrEnum):
    """UNKNOWN where too little is stained, or the whole cell is; BESIDE nuclei is told by those that are found there
    (`inference.around`).
    """

    NUCLEAR = "nuclear"
    MEMBRANE = "membrane"
    BESIDE = "beside"
    UNKNOWN = "unknown"


def pattern_of(picture: Rgb, mpp: float) -> Pattern:
    """Of a field (h, w, 3) of `mpp` µm/px."""
    dab = _dab(_at_mpp(picture, mpp))
    densest = float(np.percentile(dab, 99.5))
    brown = (dab > max(FAINTEST, SHARE_OF_DENSEST * densest)).astype(np.uint8)
    if densest < DENSEST or brown.mean() < LEAST_BROWN:
        return Pattern.UNKNOWN
    reach = round(DISC_UM / MPP)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    thick = np.asarray(cv2.morphologyEx(brown, cv2.MORPH_OPEN, disc), np.uint8)
    share = float(thick.sum() / brown.sum())
    if share < THIN or (share < THIN_WHERE_STRONG and densest >= STRONG and brown.mean() >= MUCH):
        return Pattern.MEMBRANE
    return Pattern.NUCLEAR if share > THICK and _patch_um2(thick) < NUCLEUS_UM2 else Pattern.UNKNOWN


def most(patterns: Sequence[Pattern]) -> Pattern:
    """What most of the fields that say something say, more than two thirds and LEAST_FIELDS of them; else UNKNOWN."""
    said = [p for p in patterns if p is not Pattern.UNKNOWN]
    for pattern in (Pattern.NUCLEAR, Pattern.MEMBRANE):
        if said.count(pattern) >= LEAST_FIELDS[pattern] and 3 * said.count(pattern) > 2 * len(said):
            return pattern
    return Pattern.UNKNOWN


def brownest(overview: Rgb, side_px: int) -> list[tuple[int, int]]:
    """Corners (x, y) of squares of an overview that hold the most brown, the brownest first; no two overlap."""
    brown = np.maximum(_dab(overview) - 0.03, 0)
    mean = cv2.blur(brown, (side_px, side_px), borderType=cv2.BORDER_CONSTANT)
    corners = []
    for _ in range(PLACES):
        y, x = np.unravel_index(int(mean.argmax()), mean.shape)
        if mean[y, x] <= 0.002:
            break
        corners.append((max(int(x) - side_px // 2, 0), max(int(y) - side_px // 2, 0)))
        mean[max(y - side_px, 0) : y + side_px, max(x - side_px, 0) : x + side_px] = 0
    return corners


def fields_pattern(overview: Rgb, overview_mpp: float, read: Callable[[int, int], tuple[Rgb, float]]) -> Pattern:
    """Of a slide: `read` gives the field whose corner lies at (x, y) of the overview, and its µm/px."""
    side = max(round(SIDE_UM / overview_mpp), 1)
    return most([pattern_of(*read(x, y)) for x, y in brownest(overview, side)])


def _dab(picture: Rgb) -> npt.NDArray[np.float32]:
    """DAB density above that of the picture's brightest (h, w)."""
    density = -np.log10((np.arange(256, dtype=np.float32) + 1) / 256)
    weights = unmixing()[:, 1].astype(np.float32)
    dab = np.asarray(cv2.transform(cv2.LUT(picture, density[:, None]), weights[None]), np.float32)
    return dab - np.float32(np.percentile(dab, 5))


def _at_mpp(picture: Rgb, mpp: float) -> Rgb:
    by = mpp / MPP
    if by > 0.8:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=by, fy=by, interpolation=cv2.INTER_AREA), np.uint8)


def _patch_um2(mask: npt.NDArray[np.uint8]) -> float:
    """The size of the patch in which half of the area lies, or smaller ones."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    areas = np.sort(stats[1:, cv2.CC_STAT_AREA].astype(np.float64)) * MPP**2
    half = np.searchsorted(np.cumsum(areas), areas.sum() / 2)
    return float(areas[min(half, len(areas) - 1)])
