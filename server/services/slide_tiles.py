"""The slide of a result as tiles for a browser: powers of two of its largest level, read from the archive's copy."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from inference.errors import ChromogenError
from inference.geometry import Grid, Region
from inference.model import Resolution
from inference.slide import FrameUnreadable, Rgb, Slide, SlideFacts
from inference.stain import Stains, stain_picture
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import OpenSlide, SlideQuery, SlideSource
from server.domain.result import ResultId
from server.services.opened import Kept, OpenedResults

Places = npt.NDArray[np.floating[Any]]

SIDE = 512
QUALITY = 85
MOST_SLIDES = 4
OVERVIEW_PX = 2048
"""Levels of at most so many pixels a side are cut from one overview."""
AWAY_S = 10.0
"""For so long an archive that didn't answer isn't asked again."""
DAMAGED = (200, 130, 160)
ORIGINAL = "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pyramid:
    """What a viewer must know: level `levels` - 1 is the largest, each below it half as large."""

    width: int
    height: int
    side: int
    levels: int
    mpp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Which stain, and its window in optical density."""

    stain: str = ORIGINAL
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Raises Refused ARGUMENT_INVALID."""
        if not 0 <= self.low < self.high <= 5:
            raise Refused(ServiceReason.ARGUMENT_INVALID, "low lies below high, both within 0 to 5")

    def check(self, stains: Stains) -> None:
        """Raises Refused ARGUMENT_INVALID where a slide of these stains has no such one."""
        names = (ORIGINAL, *stains)
        if self.stain not in names:
            raise Refused(ServiceReason.ARGUMENT_INVALID, f"a picture of this slide is of {', '.join(names)}")

    def of(self, image: Rgb, stains: Stains) -> Rgb:
        return image if self.stain == ORIGINAL else stain_picture(image, self.stain, self.low, self.high, stains)


class SlideTiles:
    """`source` gives a laboratory's archives, `spool` is a folder for what they bring; it may be emptied at the start.

    Every method raises Refused RESULT_UNKNOWN, SLIDE_NOT_FOUND; Failed ARCHIVE_UNREACHABLE (retryable).
    """

    def __init__(
        self, opened: OpenedResults, source: Callable[[str], SlideSource], open_slide: OpenSlide, spool: Path
    ) -> None:
        self._opened, self._source, self._open_slide, self._spool = opened, source, open_slide, spool
        self._slides: Kept[_TiledSlide] = Kept(MOST_SLIDES, lambda slide: slide.close())
        self._away: dict[ResultId, tuple[float, ChromogenError]] = {}
        self._opening = threading.Lock()

    def pyramid(self, actor: Caller, result_id: ResultId) -> Pyramid:
        """From what is known of the slide: the archive needn't be there."""
        return pyramid_of(self._opened.get(actor, result_id, "slide").slide)

    def tile(self, actor: Caller, result_id: ResultId, level: int, column: int, row: int, shown: Shown) -> bytes:
        """A JPEG of at most SIDE x SIDE px. Raises Refused ARGUMENT_INVALID outside of the slide, and for a stain that
        it hasn't.
        """
        opened = self._opened.get(actor, result_id, "slide")
        stains = opened.assay.analyzer.stains
        shown.check(stains)
        region = region_of(pyramid_of(opened.slide), level, column, row)
        slide = self._slide(opened.root, opened.lab, opened.slide)
        image = shown.of(slide.read(level, region), stains)
        picture: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), QUALITY, "RGB", "420")
        return picture

    def overview(self, actor: Caller, result_id: ResultId) -> tuple[Rgb, Grid]:
        """The whole slide, at most OVERVIEW_PX a side, and its grid."""
        opened = self._opened.get(actor, result_id, "slide")
        return self._slide(opened.root, opened.lab, opened.slide).overview()

    def close(self) -> None:
        self._slides.clear()

    def _slide(self, root: ResultId, lab: str, facts: SlideFacts) -> "_TiledSlide":
        known = self._slides.get(root)
        if known is not None:
            return known
        with self._opening:
            since, error = self._away.get(root, (float("-inf"), None))
            if error is not None and time.monotonic() - since < AWAY_S:
                raise error
            try:
                return self._slides.get(root) or self._slides.put(root, self._fetched(root, lab, facts))
            except ChromogenError as error:
                self._away = {root: (time.monotonic(), error)}
                raise

    def _fetched(self, root: ResultId, lab: str, facts: SlideFacts) -> "_TiledSlide":
        reference = SlideReference(
            study_uid=facts.study_uid or "",
            series_uid=facts.series_uid or "",
            container_id="" if facts.series_uid else facts.container_id or "",
        )
        folder = self._spool / root
        path = self._source(lab).fetch(SlideQuery(slide=reference), folder)
        slide = _TiledSlide(path, facts, self._open_slide, folder)
        slide.check()
        return slide


class _TiledSlide:
    """One slide, opened for each level that is looked at. Safe for threads: a level is read by one at a time."""

    def __init__(self, path: Path, facts: SlideFacts, open_slide: OpenSlide, folder: Path) -> None:
        self._path, self._facts, self._open_slide, self._folder = path, facts, open_slide, folder
        self._levels: dict[int, tuple[Slide, threading.Lock]] = {}
        self._overview: tuple[Rgb, Grid] | None = None
        self._lock = threading.RLock()

    def check(self) -> None:
        """Raises Refused SLIDE_NOT_FOUND where the archive has another slide under the name now."""
        slide, _ = self._level(pyramid_of(self._facts).levels - 1)
        if slide.facts.size != self._facts.size:
            message = "the slide that the archive has now isn't the one that was scored"
            raise Refused(ServiceReason.SLIDE_NOT_FOUND, message)

    def read(self, level: int, region: Region) -> Rgb:
        """`region` in pixels of the level."""
        pyramid = pyramid_of(self._facts)
        scale = float(2 ** (pyramid.levels - 1 - level))
        if max(pyramid.width, pyramid.height) / scale <= OVERVIEW_PX / 2:
            image, grid = self.overview()
            return _cut(image, grid.scale, region, scale, Region(x=0, y=0, width=image.shape[1], height=image.shape[0]))
        slide, lock = self._level(level)
        size = slide.working.size
        box = _box(region, scale / slide.working.scale).clipped(size)
        if box.empty:
            return np.full((region.height, region.width, 3), 255, np.uint8)
        with lock:
            try:
                image = slide.read(box)
            except FrameUnreadable:
                return np.full((region.height, region.width, 3), DAMAGED, np.uint8)
        return _cut(image, slide.working.scale, region, scale, box)

    def overview(self) -> tuple[Rgb, Grid]:
        with self._lock:
            if self._overview is None:
                side = max(self._facts.size.width, self._facts.size.height)
                slide, lock = self._level(pyramid_of(self._facts).levels - 1)
                with lock:
                    image, grid = slide.overview(self._facts.mpp * max(1.0, side / OVERVIEW_PX))
                self._overview = image, grid
            return self._overview

    def close(self) -> None:
        for slide, lock in self._levels.values():
            with lock:
                slide.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _level(self, level: int) -> tuple[Slide, threading.Lock]:
        with self._lock:
            if level not in self._levels:
                mpp = self._facts.mpp * 2 ** (pyramid_of(self._facts).levels - 1 - level)
                near = Resolution(working=mpp, finest=mpp * 0.7, coarsest=mpp * 1.43)
                self._levels[level] = self._open_slide(self._path, near), threading.Lock()
            return self._levels[level]


def pyramid_of(facts: SlideFacts) -> Pyramid:
    width, height = facts.size.width, facts.size.height
    levels = int(np.ceil(np.log2(max(width, height, 2)))) + 1
    return Pyramid(width=width, height=height, side=SIDE, levels=levels, mpp=facts.mpp)


def region_of(pyramid: Pyramid, level: int, column: int, row: int) -> Region:
    """Of a tile, in pixels of its level. Raises Refused ARGUMENT_INVALID."""
    if not 0 <= level < pyramid.levels or min(column, row) < 0:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "there is no such tile")
    scale = 2 ** (pyramid.levels - 1 - level)
    width, height = -(-pyramid.width // scale), -(-pyramid.height // scale)
    left, top = column * pyramid.side, row * pyramid.side
    if left >= width or top >= height:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "there is no such tile")
    return Region(x=left, y=top, width=min(pyramid.side, width - left), height=min(pyramid.side, height - top))


def _box(region: Region, scale: float) -> Region:
    """The pixels of a grid, `scale` of whose make one of the region's, that it needs."""
    left, top = int(np.floor(region.x * scale)), int(np.floor(region.y * scale))
    right, bottom = int(np.ceil(region.right * scale)), int(np.ceil(region.bottom * scale))
    return Region(x=left, y=top, width=max(right - left, 1), height=max(bottom - top, 1))


def _cut(image: Rgb, grid: float, region: Region, scale: float, box: Region) -> Rgb:
    """The region (of a level `scale`) of a picture that shows `box` of a grid: as it is, averaged or between pixels."""
    if grid == scale and box.size == region.size:
        return image
    step = scale / grid
    x: Places = (region.x + np.arange(region.width) + 0.5) * step - 0.5 - box.x
    y: Places = (region.y + np.arange(region.height) + 0.5) * step - 0.5 - box.y
    if step > 1.5:
        image, x, y = _halved(image, x, y, step)
    map_x, map_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    shown: Rgb = np.asarray(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return shown


def _halved(image: Rgb, x: Places, y: Places, step: float) -> tuple[Rgb, Places, Places]:
    """A coarser picture for so coarse a step, and the same places on it: what lies between isn't left out."""
    factor = max(1, round(step))
    height, width = (max(1, side // factor) for side in image.shape[:2])
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    across, down = image.shape[1] / width, image.shape[0] / height
    return small, (x + 0.5) / across - 0.5, (y + 0.5) / down - 0.5
