"""A picture in memory as a slide: what measurements change before they look, and what has no file."""

import cv2
import numpy as np

from inference.geometry import Grid, Region, Size
from inference.model import Resolution
from inference.slide import Level, Rgb, SlideFacts


class PictureSlide:
    """RGB (h, w, 3) of `mpp` µm/px, the working resolution unless given; brought to that where it isn't near it.

    `sha256` names its file.
    """

    def __init__(
        self, pixels: Rgb, resolution: Resolution, *, mpp: float | None = None, sha256: str | None = None
    ) -> None:
        mpp = resolution.working if mpp is None else mpp
        size = Size(width=pixels.shape[1], height=pixels.shape[0])
        self._facts = SlideFacts(mpp=mpp, size=size, levels=(Level(size=size, mpp=mpp),), sha256=sha256)
        self._pixels, self._working = (
            (pixels, _grid(size, size, mpp))
            if resolution.takes(mpp) and resolution.keeps(mpp)
            else _resized(pixels, mpp, resolution.working)
        )

    @property
    def facts(self) -> SlideFacts:
        return self._facts

    @property
    def working(self) -> Grid:
        return self._working

    @property
    def pixels(self) -> Rgb:
        """All pixels of the working grid."""
        return self._pixels

    def read(self, region: Region) -> Rgb:
        if region.empty or not region.inside(self._working.size):
            raise ValueError(f"{region} is outside of {self._working.size}")
        return self._pixels[region.y : region.bottom, region.x : region.right]

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        small, grid = _resized(self._pixels, self._working.mpp, max(mpp, self._working.mpp))
        return small, Grid(size=grid.size, mpp=grid.mpp, scale=self._facts.size.width / grid.size.width)

    def close(self) -> None:
        """Nothing is open."""


def _resized(pixels: Rgb, old_mpp: float, mpp: float) -> tuple[Rgb, Grid]:
    size = Size(width=pixels.shape[1], height=pixels.shape[0])
    new = Size(width=max(round(size.width * old_mpp / mpp), 1), height=max(round(size.height * old_mpp / mpp), 1))
    if new == size:
        return pixels, _grid(size, size, old_mpp)
    way = cv2.INTER_AREA if new.width < size.width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (new.width, new.height), interpolation=way), np.uint8), _grid(
        size, new, old_mpp
    )


def _grid(base: Size, size: Size, base_mpp: float) -> Grid:
    scale = base.width / size.width
    return Grid(size=size, mpp=base_mpp * scale, scale=scale)
