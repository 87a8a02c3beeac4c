"""Frames of a level: where they lie, who decodes them, and the band of them that is kept while tiles are read."""

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from inference.errors import Failed, Reason
from inference.geometry import Region, Size
from inference.slide import FrameUnreadable, Rgb
from server.slides.codec import SHRINKS

CACHE_BYTES = 512 * 1024 * 1024
LARGEST_FRAME = 1 << 28
"""Pixels of the largest frame that is decoded in one piece, 3 bytes each; more is refused when the slide is opened."""
WHITE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A level of `size` px cut into frames of `frame` px, row by row.

    Frames of the last column and row may stick out.
    """

    size: Size
    frame: Size

    @property
    def columns(self) -> int:
        return -(-self.size.width // self.frame.width)

    @property
    def rows(self) -> int:
        return -(-self.size.height // self.frame.height)

    @property
    def shrinks(self) -> tuple[int, ...]:
        """The scalings at which frames still meet without a seam, and something is left of the level."""
        return tuple(s for s in SHRINKS if self._meets(s))

    def shrunk(self, shrink: int) -> "Layout":
        """The layout of the level decoded at 1/shrink; a last column or row that is not whole is left out."""
        size = Size(width=self.size.width // shrink, height=self.size.height // shrink)
        frame = Size(width=-(-self.frame.width // shrink), height=-(-self.frame.height // shrink))
        return Layout(size=size, frame=frame)

    def _meets(self, shrink: int) -> bool:
        wide = self.columns == 1 or self.frame.width % shrink == 0
        high = self.rows == 1 or self.frame.height % shrink == 0
        return wide and high and min(self.size.width, self.size.height) >= shrink


class Frames(Protocol):
    """The frames of one level, in a file."""

    @property
    def layout(self) -> Layout: ...

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        """Pixels at 1/shrink, at least those inside the level; None where the slide has no frame.

        Raises Undecodable.
        """
        ...


class FrameFile:
    """A file that frames are read from by position.

    Read rather than mapped: when a network file system fails, a read is an error that can be reported, a page fault the
    end of the process. Copying the encoded bytes costs a hundredth of decoding them.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self.size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes there, fewer at the end of the file. Raises Failed SLIDE_DAMAGED, retryable."""
        length = min(length, self.size - offset)  # a damaged header may claim gigabytes
        if length <= 0 or offset < 0:
            return b""
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            message = (
                f"reading {self._name} failed ({os.strerror(error.errno or 0)}); see to the disk or share and try again"
            )
            raise Failed(Reason.SLIDE_DAMAGED, message, retryable=True) from None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FrameCache:
    """Decoded frames of one level and scaling, kept as long as a sweep in rows of tiles may need them.

    A sweep never comes back above the top of the region it reads before its next strip, so frames wholly above it are
    dropped; beyond `limit` bytes those used longest ago go too. Damage is remembered like pixels: a bad frame is tried
    once.
    """

    def __init__(self, decode: Callable[[int, int], Rgb | None], layout: Layout, *, limit: int = CACHE_BYTES) -> None:
        self.decoded = 0
        self._decode, self._layout, self._limit = decode, layout, limit
        self._kept: OrderedDict[tuple[int, int], Rgb | FrameUnreadable | None] = OrderedDict()
        self._bytes = 0
        self._top = 0

    def read(self, region: Region) -> Rgb:
        """Pixels of a region inside the layout; white where there are no frames. Raises FrameUnreadable."""
        frame = self._layout.frame
        rows = range(region.y // frame.height, -(-region.bottom // frame.height))
        columns = range(region.x // frame.width, -(-region.right // frame.width))
        self._drop_outside(rows)
        out: Rgb = np.empty((region.height, region.width, 3), np.uint8)
        for row in rows:
            for column in columns:
                paste(
                    self._get(column, row),
                    out,
                    x=column * frame.width - region.x,
                    y=row * frame.height - region.y,
                    frame=frame,
                )
        return out

    @property
    def held_bytes(self) -> int:
        """Bytes of the pixels kept now."""
        return self._bytes

    def _get(self, column: int, row: int) -> Rgb | None:
        key = column, row
        if key in self._kept:
            self._kept.move_to_end(key)
            found = self._kept[key]
        else:
            found = self._fill(key)
        if isinstance(found, FrameUnreadable):
            raise FrameUnreadable(found.reason, found.message)
        return found

    def _fill(self, key: tuple[int, int]) -> Rgb | FrameUnreadable | None:
        self.decoded += 1
        found: Rgb | FrameUnreadable | None
        try:
            found = self._decode(*key)
        except FrameUnreadable as error:
            found = error
        self._kept[key] = found
        self._bytes += _bytes(found)
        while self._bytes > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _bytes(oldest)
        return found

    def _drop_outside(self, rows: range) -> None:
        """Rows above the region.

        Where it lies higher than the last one, a new strip begins, and those below are done with too.
        """
        if rows.start != self._top:
            back = rows.start < self._top
            for key in [k for k in self._kept if k[1] < rows.start or (back and k[1] >= rows.stop)]:
                self._bytes -= _bytes(self._kept.pop(key))
        self._top = rows.start


def paste(pixels: Rgb | None, out: Rgb, *, x: int, y: int, frame: Size) -> None:
    """Put a frame whose first pixel belongs at (x, y) of `out` there, as far as it reaches; white for None."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + frame.width, out.shape[1]), min(y + frame.height, out.shape[0])
    if pixels is None:
        out[top:bottom, left:right] = WHITE
    else:
        out[top:bottom, left:right] = pixels[top - y : bottom - y, left - x : right - x]


def _bytes(kept: Rgb | FrameUnreadable | None) -> int:
    return kept.nbytes if isinstance(kept, np.ndarray) else 0
