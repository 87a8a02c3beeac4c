"""Random fields: smooth noise over the whole slide, and periodic noise that any pixel can look up by its position.

A pixel's texture depends on its position and the slide's seed alone, never on the region that was asked for. The
periods differ from field to field, so that their sums repeat only after many slides.
"""

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
"""(height, width) float32."""


def periodic(random: np.random.Generator, period: int, blur: float) -> Plane:
    """A square of Gaussian noise, mean 0 and deviation 1, that wraps round; smoothed by a Gaussian of `blur` px."""
    white = random.standard_normal((period, period))
    frequency = np.fft.fftfreq(period)
    damping = np.exp(-2 * (np.pi * blur) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    field = np.fft.ifft2(np.fft.fft2(white) * damping).real
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def looked_up(field: Plane, x: int, y: int, width: int, height: int) -> Plane:
    """The part of a periodic field at columns x .. and rows y .. of the slide (which may be negative)."""
    side = field.shape[0]
    return field[np.ix_(np.arange(y, y + height) % side, np.arange(x, x + width) % side)]


def smooth(random: np.random.Generator, width: int, height: int, cell: float) -> Plane:
    """Noise of mean 0 and deviation near 1 over `width` x `height`, that changes over about `cell` of its pixels."""
    columns, rows = int(width / cell) + 4, int(height / cell) + 4
    coarse = random.standard_normal((rows, columns)).astype(np.float32)
    big = cv2.resize(coarse, (int(columns * cell) + 1, int(rows * cell) + 1), interpolation=cv2.INTER_CUBIC)
    left, top = random.integers(0, int(cell) + 1, 2)
    return np.asarray(big[top : top + height, left : left + width], np.float32)
