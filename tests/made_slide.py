"""A slide in memory: the Protocol of `inference.slide` over an array at working resolution, with frames that can be
broken.
"""

import cv2
import numpy as np

from inference.errors import Reason
from inference.geometry import Grid, Region, Size
from inference.slide import FrameUnreadable, Level, Rgb, SlideFacts


class ArraySlide:
    """RGB array of `mpp`; reading a region that touches `broken` raises FrameUnreadable."""

    def __init__(self, pixels: Rgb, *, mpp: float = 0.5, broken: tuple[Region, ...] = ()) -> None:
        self._pixels, self._broken = pixels, broken
        size = Size(width=pixels.shape[1], height=pixels.shape[0])
        self.facts = SlideFacts(mpp=mpp, size=size, levels=(Level(size=size, mpp=mpp),), sha256="0" * 64)
        self.working = Grid(size=size, mpp=mpp, scale=1.0)

    def read(self, region: Region) -> Rgb:
        if region.empty or not region.inside(self.working.size):
            raise ValueError(region)
        for b in self._broken:
            if b.x < region.right and region.x < b.right and b.y < region.bottom and region.y < b.bottom:
                raise FrameUnreadable(Reason.SLIDE_DAMAGED, f"frame at {b.x}, {b.y} doesn't decode")
        return self._pixels[region.y : region.bottom, region.x : region.right]

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        scale = max(mpp / self.facts.mpp, 1.0)
        size = Size(
            width=max(int(self.working.size.width / scale), 1), height=max(int(self.working.size.height / scale), 1)
        )
        small = cv2.resize(self._pixels, (size.width, size.height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), Grid(
            size=size, mpp=self.facts.mpp * scale, scale=self.working.size.width / size.width
        )

    def close(self) -> None:
        pass
