"""An image at the resolution that a model works at, read region by region: whole pixels averaged where it is finer, and
interpolated for the rest, also where it is coarser than the model takes (which is then to be warned of).
"""

import cv2
import numpy as np
import numpy.typing as npt

from inference.geometry import Grid, Region, Size
from inference.model import Resolution
from inference.slide import Rgb, Slide, SlideFacts


class Resampled:
    """`inference.slide.Slide` over one whose working grid is its largest level."""

    def __init__(self, native: Slide, resolution: Resolution) -> None:
        self._native, facts = native, native.facts
        self._shrink = max(int(resolution.working / facts.mpp + 1e-6), 1)
        coarse = facts.mpp * self._shrink
        self._step = 1.0 if resolution.takes(coarse) and resolution.keeps(coarse) else resolution.working / coarse
        scale = self._shrink * self._step
        size = Size(width=max(int(facts.size.width / scale), 1), height=max(int(facts.size.height / scale), 1))
        self._working = Grid(size=size, mpp=facts.mpp * scale, scale=scale)

    @property
    def facts(self) -> SlideFacts:
        return self._native.facts

    @property
    def working(self) -> Grid:
        return self._working

    def read(self, region: Region) -> Rgb:
        """Raises FrameUnreadable, ValueError outside of the grid."""
        if region.empty or not region.inside(self._working.size):
            raise ValueError(f"{region} is outside of {self._working.size}")
        return self._shrunk(region) if self._step == 1.0 else self._stretched(region)

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        return self._native.overview(mpp)

    def close(self) -> None:
        self._native.close()

    def _shrunk(self, region: Region) -> Rgb:
        """A region of the image with `shrink` px averaged to one."""
        k, size = self._shrink, self.facts.size
        box = Region(x=region.x * k, y=region.y * k, width=region.width * k, height=region.height * k).clipped(size)
        image = self._native.read(box)
        if k == 1:
            return image
        return np.asarray(cv2.resize(image, (region.width, region.height), interpolation=cv2.INTER_AREA), np.uint8)

    def _stretched(self, region: Region) -> Rgb:
        """Linear between the averaged pixels, at positions that don't depend on the region."""
        limit = Size(width=self._of(0), height=self._of(1))
        x, y = (self._at(first, n) for first, n in ((region.x, region.width), (region.y, region.height)))
        left, top = int(np.floor(x[0])), int(np.floor(y[0]))
        right, bottom = int(np.ceil(x[-1])) + 1, int(np.ceil(y[-1])) + 1
        box = Region(x=left, y=top, width=right - left, height=bottom - top).clipped(limit)
        at_x, at_y = np.meshgrid((x - box.x).astype(np.float32), (y - box.y).astype(np.float32))
        image = cv2.remap(self._shrunk(box), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(image, np.uint8)

    def _at(self, first: int, n: int) -> npt.NDArray[np.float64]:
        """Where working pixels lie among the averaged ones, to the 32nds that OpenCV interpolates by."""
        positions: npt.NDArray[np.float64] = np.rint(((np.arange(first, first + n) + 0.5) * self._step - 0.5) * 32) / 32
        return positions

    def _of(self, axis: int) -> int:
        size = self.facts.size
        return max((size.width, size.height)[axis] // self._shrink, 1)
