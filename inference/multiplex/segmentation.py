"""A probability map read: pixels above the threshold that touch are one nucleus, its class the majority's.

Positive: red above the threshold, not below blue; negative: blue above it and above red; green at most MOST_GREEN. So
DeepLIIF's clients read the map while their sliders move.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.multiplex.raster import Mask
from inference.slide import Rgb

MOST_GREEN = 80
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """`probability` 0-254; nuclei of `least` to `most` pixels (None: any number); negative ones whose brightest marker
    pixel is above `marker` (0-255; None: not asked) are positive.
    """

    probability: int
    least: int
    most: int | None = None
    marker: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """n nuclei: `positive` and `kept` (n,), the first row of each (n,), and whose each pixel is (h, w), 0 nobody's."""

    owner: npt.NDArray[np.int32]
    first_row: npt.NDArray[np.int32]
    positive: Mask
    kept: Mask

    @property
    def classes(self) -> npt.NDArray[np.uint8]:
        """(h, w): 1 positive, 2 negative, 0 neither."""
        table = np.where(self.kept, np.where(self.positive, 1, 2), 0)
        return np.concatenate([[0], table]).astype(np.uint8)[self.owner]


def read(seg: Rgb, marker: Rgb | None, gates: Gates) -> Read:
    """The nuclei of a map; `marker` is asked where the gates have it."""
    red, green, blue = seg[..., 0], seg[..., 1], seg[..., 2]
    within = green <= MOST_GREEN
    positive = (red > gates.probability) & (blue <= red) & within
    negative = (blue > gates.probability) & (red < blue) & within
    n, labels, stats, _ = cv2.connectedComponentsWithStats((positive | negative).astype(np.uint8), connectivity=8)
    owner = np.asarray(labels, np.int32)
    votes = np.bincount(owner[positive], minlength=n)[1:]
    sizes = stats[1:, cv2.CC_STAT_AREA]
    called = 2 * votes >= sizes
    if gates.marker is not None and marker is not None:
        called = called | (brightest(marker, owner, n) > gates.marker)
    kept = (sizes >= gates.least) & (sizes <= (gates.most or np.inf))
    return Read(owner, np.asarray(stats[1:, cv2.CC_STAT_TOP], np.int32), called, kept)


def brightest(marker: Rgb, owner: npt.NDArray[np.int32], n: int) -> npt.NDArray[np.uint8]:
    """(n - 1,): the brightest marker pixel of each nucleus."""
    found = np.zeros(n, np.uint8)
    np.maximum.at(found, owner.ravel(), marker.max(axis=2).ravel())
    return found[1:]


def overlaid(image: Rgb, classes: npt.NDArray[np.uint8]) -> Rgb:
    """The image with outlines between inside and outside, red and blue."""
    inner, outer = cv2.erode(classes, _SQUARE), cv2.dilate(classes, _SQUARE)
    drawn = image.copy()
    edge = inner != outer
    drawn[edge & (outer == 1)] = RED
    drawn[edge & (outer == 2)] = BLUE
    return drawn


def refined(classes: npt.NDArray[np.uint8]) -> Rgb:
    """The nuclei on black, red and blue within green borders."""
    table = np.array([(0, 0, 0), RED, BLUE], np.uint8)
    drawn: Rgb = table[classes]
    drawn[(cv2.dilate(classes, _SQUARE) > 0) & (classes == 0)] = GREEN
    return drawn
