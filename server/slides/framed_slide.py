"""An open slide over frames, whatever file they lie in: implements `inference.slide.Slide`."""

from collections.abc import Callable, Collection, Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from inference.errors import Reason
from inference.geometry import Grid, Region
from inference.model import Resolution
from inference.slide import FrameUnreadable, Rgb, SlideFacts
from server.slides.codec import Undecodable, box_average
from server.slides.colour import Transform
from server.slides.frames import FrameCache, Frames
from server.slides.plan import Source, coarser, plan_overview, plan_working, sources

DAMAGED_COLOUR = (200, 130, 160)
"""What an overview shows where a frame doesn't decode: it must look like tissue, so that the analysis meets the damage.
"""

BAND = 512
"""Rows of the source that an overview reads at a time, about."""

_STEPS = 32  # OpenCV interpolates between pixels in 32nds (its INTER_TAB_SIZE)


class FramedSlide:
    """The levels of a slide, base first, with its working grid. `facts.levels` says how large their pixels are.

    `transform` is applied to each decoded frame (ICC to sRGB) where given; `profile` is the file's ICC profile. Of the
    levels `unread` only the header is here. Raises Refused TOO_COARSE.
    """

    def __init__(
        self,
        levels: Sequence[Frames],
        facts: SlideFacts,
        resolution: Resolution,
        *,
        close: Callable[[], None],
        transform: Transform | None = None,
        profile: bytes | None = None,
        unread: Collection[int] = (),
    ) -> None:
        self._levels, self._facts, self._close, self._transform = levels, facts, close, transform
        self.profile = profile
        scales = [round(level.mpp / facts.mpp, 9) for level in facts.levels]  # whole ones stay whole
        found = sources([level.layout for level in levels], scales, facts.mpp)
        self._sources = [source for source in found if source.level not in unread]
        self._plan = plan_working(self._sources, resolution)
        self._cache = self._cached(self._plan.source, self._decode)

    @property
    def facts(self) -> SlideFacts:
        return self._facts

    @property
    def working(self) -> Grid:
        return self._plan.working

    @property
    def base(self) -> Frames:
        """The frames of the largest level."""
        return self._levels[0]

    @property
    def decoded(self) -> int:
        """Frames that `read` has had decoded so far; in one sweep in rows of tiles, at most once each."""
        return self._cache.decoded

    @property
    def source(self) -> Source:
        """The level and scaling that the working grid is read from."""
        return self._plan.source

    def read(self, region: Region) -> Rgb:
        """Pixels of a region inside the working grid. Raises FrameUnreadable, ValueError outside of the grid."""
        if region.empty or not region.inside(self.working.size):
            size = self.working.size
            raise ValueError(f"{region} is not inside the working grid of {size.width} x {size.height} px")
        if self._plan.step == 1.0:
            return self._cache.read(region)
        return self._resampled(region)

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        """The whole slide at about `mpp` µm/px or finer (at most 4,096 px a side), and its grid.

        Raises ValueError for an `mpp` that isn't positive. A frame that doesn't decode is shown in DAMAGED_COLOUR.
        """
        if not mpp > 0:
            raise ValueError(f"{mpp} µm/px is no resolution")
        source, factor = plan_overview(self._sources, mpp)
        grid = coarser(source, factor)
        frames = self._cached(source, self._decode_or_mark)
        out: Rgb = np.empty((grid.size.height, grid.size.width, 3), np.uint8)
        band = max(1, BAND // factor)
        for y in range(0, grid.size.height, band):
            height = min(band, grid.size.height - y)
            rows = Region(x=0, y=y * factor, width=grid.size.width * factor, height=height * factor)
            out[y : y + height] = box_average(frames.read(rows.clipped(source.grid.size)), factor)
        return out, grid

    def close(self) -> None:
        """Nothing where it is closed already."""
        close, self._close = self._close, _nothing
        close()

    def _cached(self, source: Source, decode: Callable[[Source, int, int], Rgb | None]) -> FrameCache:
        layout = self._levels[source.level].layout.shrunk(source.shrink)
        return FrameCache(lambda column, row: decode(source, column, row), layout)

    def _decode(self, source: Source, column: int, row: int) -> Rgb | None:
        try:
            pixels = self._levels[source.level].decode(column, row, source.shrink)
        except Undecodable:
            number = row * self._levels[source.level].layout.columns + column
            message = f"frame {number} (level {source.level}, column {column}, row {row}) doesn't decode"
            raise FrameUnreadable(Reason.SLIDE_DAMAGED, message) from None
        return pixels if pixels is None or self._transform is None else self._transform(pixels)

    def _decode_or_mark(self, source: Source, column: int, row: int) -> Rgb | None:
        try:
            return self._decode(source, column, row)
        except FrameUnreadable:
            frame = self._levels[source.level].layout.shrunk(source.shrink).frame
            return np.full((frame.height, frame.width, 3), DAMAGED_COLOUR, np.uint8)

    def _resampled(self, region: Region) -> Rgb:
        """Bicubic (bilinear took so much of the contrast of copies of 0.55 and 0.6249 µm/px that nuclei were lost and
        graded paler), at positions that are rounded to 1/32 px before the region's corner is taken off.

        So a pixel has the same value in every region that holds it.
        """
        size = self._plan.source.grid.size
        x = _positions(region.x, region.width, self._plan.step, size.width)
        y = _positions(region.y, region.height, self._plan.step, size.height)
        left, top = int(x[0]) // _STEPS - 1, int(y[0]) // _STEPS - 1
        right, bottom = int(x[-1]) // _STEPS + 3, int(y[-1]) // _STEPS + 3
        box = Region(x=left, y=top, width=right - left, height=bottom - top).clipped(size)
        map_x, map_y = np.meshgrid(
            ((x - box.x * _STEPS) / _STEPS).astype(np.float32), ((y - box.y * _STEPS) / _STEPS).astype(np.float32)
        )
        return cast(
            Rgb, cv2.remap(self._cache.read(box), map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        )


def _nothing() -> None: ...


def _positions(first: int, count: int, step: float, limit: int) -> npt.NDArray[np.int64]:
    """Where working pixels first .. first + count - 1 lie on the source's axis of `limit` px, in 32nds of a pixel."""
    centres = (np.arange(first, first + count) + 0.5) * step - 0.5
    positions: npt.NDArray[np.int64] = np.clip(np.rint(centres * _STEPS), 0, (limit - 1) * _STEPS).astype(np.int64)
    return positions
