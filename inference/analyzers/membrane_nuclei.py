"""Nuclei among brown membranes: blobs of haematoxylin less brown, by a Laplacian of Gaussians of several widths.

A detector of brown and blue nuclei finds a third of those of strongly stained cells, and takes the corners where
membranes meet for brown nuclei. What is brown is taken off the haematoxylin here, and a blob must be as wide as a
nucleus. All filters are local, and work on a grid that no tile's place changes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]

BROWN = 0.7
"""Haematoxylin that a unit of DAB is taken to hide or feign."""
WIDTHS_UM = (1.7, 2.5, 3.5)
"""Deviations of the Gaussians: a disc of radius r answers most at r / sqrt 2."""
APART_UM = 3.4
"""No two nuclei are nearer."""
LEAST_RESPONSE = 0.035
LEAST_DENSITY = 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """n nuclei: `x`, `y` px of the tile, `response` of the filter, `width_um` of the Gaussian that answers most."""

    x: Floats
    y: Floats
    response: Floats
    width_um: Floats

    def taken(self, which: npt.NDArray[np.bool_]) -> "Nuclei":
        return Nuclei(x=self.x[which], y=self.y[which], response=self.response[which], width_um=self.width_um[which])


def coarsening(mpp: float) -> int:
    """Pixels that make one of the grid nuclei are sought on, of about 1 µm; it divides the stride of the tiles."""
    return 4 if mpp <= 0.31 else 2


def blue(haematoxylin: Plane, dab: Plane) -> Plane:
    """Haematoxylin density less brown, (h, w)."""
    return np.asarray(haematoxylin - BROWN * np.maximum(dab, 0), np.float32)


def find_nuclei(haematoxylin: Plane, dab: Plane, mpp: float) -> Nuclei:
    """Nuclei of a tile of densities (h, w) at `mpp` µm/px."""
    factor = coarsening(mpp)
    height, width = (-(-side // factor) * factor for side in haematoxylin.shape)
    plane = blue(haematoxylin, dab)
    below, beside = height - plane.shape[0], width - plane.shape[1]
    whole = cv2.copyMakeBorder(plane, 0, below, 0, beside, cv2.BORDER_REFLECT_101)
    small = np.asarray(cv2.resize(whole, (width // factor, height // factor), interpolation=cv2.INTER_AREA), np.float32)
    small = np.minimum(np.maximum(small, -0.05), 1.2)
    best, scale = _responses(small, mpp * factor)
    reach = max(round(APART_UM / (mpp * factor)), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    middle = cv2.GaussianBlur(small, (0, 0), 1.0 / (mpp * factor))
    peak = (best >= cv2.dilate(best, kernel)) & (best > LEAST_RESPONSE) & (middle > LEAST_DENSITY)
    row, column = np.nonzero(peak)
    dx, dy = _within_pixel(best, row, column)
    return Nuclei(
        x=((column + dx + 0.5) * factor - 0.5).astype(np.float32),
        y=((row + dy + 0.5) * factor - 0.5).astype(np.float32),
        response=best[row, column],
        width_um=np.array(WIDTHS_UM, np.float32)[scale[row, column]],
    )


def _responses(plane: Plane, mpp: float) -> tuple[Plane, npt.NDArray[np.uint8]]:
    """The strongest answer of each pixel, and the place of its width in WIDTHS_UM."""
    best = np.full(plane.shape, -1, np.float32)
    scale = np.zeros(plane.shape, np.uint8)
    for i, width in enumerate(WIDTHS_UM):
        sigma = width / mpp
        smooth = cv2.GaussianBlur(plane, (0, 0), sigma)
        answer = np.asarray(-(sigma**2) * cv2.Laplacian(smooth, cv2.CV_32F, ksize=1), np.float32)
        wins = answer > best
        best[wins], scale[wins] = answer[wins], i
    return best, scale


def _within_pixel(best: Plane, row: npt.NDArray[np.intp], column: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """By how much of a pixel the top of the parabola lies beside each peak, along x and y."""
    padded = cv2.copyMakeBorder(best, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    here = best[row, column]
    found: list[Floats] = []
    for step in ((0, 1), (1, 0)):
        before = padded[row + 1 - step[0], column + 1 - step[1]]
        after = padded[row + 1 + step[0], column + 1 + step[1]]
        bend = 2 * here - before - after
        found.append(np.clip((after - before) / np.where(bend > 1e-6, 2 * bend, 1), -0.5, 0.5).astype(np.float32))
    return found[0], found[1]
