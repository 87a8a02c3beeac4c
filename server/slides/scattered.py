"""Frames that lie beside a grid, and may overlap, cut anew into frames that lie on one."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inference.slide import Rgb
from server.slides.codec import box_average
from server.slides.frames import WHITE, Layout, paste

KEPT_BYTES = 64 * 1024 * 1024
"""Decoded frames that are kept for the neighbouring places, which need parts of the same ones."""

Pixels = npt.NDArray[np.int64]


class ScatteredFrames:
    """Implements `server.slides.frames.Frames` over frames with their own positions.

    `left` and `top` are (n,) int64, the pixel of the level that holds the first of each frame. Of frames that overlap
    the last is seen. Scaling down averages over boxes of whole pixels, because a scaled frame would no longer meet its
    neighbour.
    """

    def __init__(self, layout: Layout, left: Pixels, top: Pixels, frame: Callable[[int], Rgb]) -> None:
        self._layout, self._left, self._top, self._frame = layout, left, top, frame
        self._kept: OrderedDict[int, Rgb] = OrderedDict()

    @property
    def layout(self) -> Layout:
        return self._layout

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        """Pixels at 1/shrink; None where no frame reaches. Raises Undecodable."""
        size = self._layout.frame
        x, y = self._left - column * size.width, self._top - row * size.height
        touching = np.flatnonzero((np.abs(x) < size.width) & (np.abs(y) < size.height))
        if len(touching) == 0:
            return None
        out: Rgb = np.full((size.height, size.width, 3), WHITE, np.uint8)
        for number in touching.tolist():
            paste(self._pixels(number), out, x=int(x[number]), y=int(y[number]), frame=size)
        return box_average(out, shrink)

    def _pixels(self, number: int) -> Rgb:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        pixels = self._kept[number] = self._frame(number)
        if len(self._kept) * pixels.nbytes > max(KEPT_BYTES, 4 * pixels.nbytes):
            self._kept.popitem(last=False)
        return pixels
