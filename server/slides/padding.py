"""What a level shows beyond the area that its pyramid's base covers."""

import numpy as np
import numpy.typing as npt

from inference.geometry import Region, Size
from inference.slide import Rgb
from server.slides.frames import FrameCache, Frames

_BLOCK = 16
"""Pixels after the edge that are left out: JPEG smears an edge over its block."""

_FLAT = 2.0
"""Mean difference, in grey levels, of a strip from its own mean that JPEG leaves of one colour."""


def shows_nothing_beyond(image: Frames, covered: Size) -> bool:
    """Whether what lies right of and below `covered` is one colour, or repeats the picture's edge.

    Raises Undecodable.
    """
    size = image.layout.size
    return all(
        _is_flat(image, region, axis)
        for region, axis in (
            (Region(x=covered.width, y=0, width=size.width - covered.width, height=size.height), 1),
            (Region(x=0, y=covered.height, width=size.width, height=size.height - covered.height), 0),
        )
    )


def _is_flat(image: Frames, region: Region, axis: int) -> bool:
    """Read in pieces of a frame's length, at full size."""
    frame = image.layout.frame
    skipped = Region(
        x=region.x + (_BLOCK if axis == 1 else 0),
        y=region.y + (_BLOCK if axis == 0 else 0),
        width=region.width - (_BLOCK if axis == 1 else 0),
        height=region.height - (_BLOCK if axis == 0 else 0),
    )
    if skipped.empty:
        return True
    cache = FrameCache(lambda column, row: _decoded(image, column, row), image.layout)
    step = frame.height if axis == 1 else frame.width
    return all(_varies(cache.read(piece), axis) <= _FLAT for piece in _pieces(skipped, step, axis))


def _decoded(image: Frames, column: int, row: int) -> Rgb | None:
    return image.decode(column, row, 1)


def _pieces(region: Region, step: int, axis: int) -> list[Region]:
    if axis == 1:
        ys = range(region.y, region.bottom, step)
        return [Region(x=region.x, y=y, width=region.width, height=min(step, region.bottom - y)) for y in ys]
    xs = range(region.x, region.right, step)
    return [Region(x=x, y=region.y, width=min(step, region.right - x), height=region.height) for x in xs]


def _varies(pixels: npt.NDArray[np.uint8], axis: int) -> float:
    found = pixels.astype(np.float32)
    return float(np.abs(found - found.mean(axis=axis, keepdims=True)).mean())
