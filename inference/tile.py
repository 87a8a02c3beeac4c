"""Tiles: each owns a core and carries a halo. A nucleus belongs to the tile whose core holds its centre.

Cores tile the working grid from its origin, whatever the region asked for, and their sides and halos are multiples of
the network's stride: the phase of the network over the slide never changes, so a score hardly depends on the tile's
size.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from inference.cells.values import Cells, Mask
from inference.geometry import Region, Size
from inference.slide import Rgb, Slide
from inference.tissue import Tissue

STRIP = 8
"""Tiles side by side before the next row: what a reader keeps of a row is as wide as this and not as the slide.

A slide within one strip has each frame decoded once; a wider one those at its strips' seams twice, a sixteenth of them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileShape:
    """Sides in working px, multiples of the network's total `stride`: `core` owned, `halo` on each side for context."""

    core: int
    halo: int
    stride: int

    def __post_init__(self) -> None:
        if self.core <= 0 or self.core % self.stride or self.halo < 0 or self.halo % self.stride:
            raise ValueError(f"core {self.core} and halo {self.halo} must be multiples of {self.stride}")

    @property
    def side(self) -> int:
        return self.core + 2 * self.halo

    def fitting(self, size: Size) -> "TileShape":
        """This shape, or a smaller one that holds the whole of a small picture."""
        core = -(-max(size.width, size.height) // self.stride) * self.stride
        return replace(self, core=max(core, self.stride)) if core < self.core else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A tile of the plan: `core` in working px, clipped to the region analysed.

    `origin` of its pixels (core and halo).
    """

    index: int
    core: Region
    x: int
    y: int


def plan(size: Size, shape: TileShape, region: Region, tissue: Tissue | None) -> list[Tile]:
    """Tiles whose core holds a part of the region and, where a mask is given, of the tissue.

    Strip by strip, row by row.
    """
    tiles: list[Tile] = []
    first, last = region.x // shape.core, -(-region.right // shape.core)
    for left in range(first, last, STRIP):
        for row in range(region.y // shape.core, -(-region.bottom // shape.core)):
            for column in range(left, min(left + STRIP, last)):
                x, y = column * shape.core, row * shape.core
                core = _intersection(Region(x=x, y=y, width=shape.core, height=shape.core), region).clipped(size)
                if not core.empty and (tissue is None or tissue.touches(core)):
                    tiles.append(Tile(index=len(tiles), core=core, x=x - shape.halo, y=y - shape.halo))
    return tiles


def pixels(slide: Slide, tile: Tile, shape: TileShape) -> Rgb:
    """The tile's pixels (side, side, 3); beyond the slide's edge its pixels are mirrored."""
    wanted = Region(x=tile.x, y=tile.y, width=shape.side, height=shape.side)
    there = wanted.clipped(slide.working.size)
    image = slide.read(there)
    if there == wanted:
        return image
    top, left = there.y - wanted.y, there.x - wanted.x
    bottom, right = wanted.bottom - there.bottom, wanted.right - there.right
    return np.asarray(cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101), np.uint8)


def shown(slide: Slide, tile: Tile, shape: TileShape) -> Region:
    """The part of a tile's pixels that isn't mirrored, in px of the tile."""
    there = Region(x=tile.x, y=tile.y, width=shape.side, height=shape.side).clipped(slide.working.size)
    return Region(x=there.x - tile.x, y=there.y - tile.y, width=there.width, height=there.height)


def batches(tiles: list[Tile], n: int) -> Iterator[list[Tile]]:
    """Consecutive groups of at most n tiles."""
    for i in range(0, len(tiles), n):
        yield tiles[i : i + n]


def in_core(tile: Tile, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], tissue: Tissue | None) -> Mask:
    """Which points, px of the working grid, lie in the tile's core (and in tissue), (n,)."""
    core = tile.core
    mine = (x >= core.x - 0.5) & (x < core.right - 0.5) & (y >= core.y - 0.5) & (y < core.bottom - 0.5)
    return mine if tissue is None else mine & tissue.holds(x, y)


def owned(tile: Tile, found: Cells, slide: Slide, tissue: Tissue | None) -> Cells:
    """The cells of a tile whose centre lies in its core (and in tissue), in px of the largest level."""
    x, y = found.x + tile.x, found.y + tile.y
    mine, to_base = in_core(tile, x, y, tissue), slide.working.to_base
    return found.taken(mine).placed(to_base(x[mine]), to_base(y[mine]))


def _intersection(a: Region, b: Region) -> Region:
    x, y = max(a.x, b.x), max(a.y, b.y)
    return Region(x=x, y=y, width=max(min(a.right, b.right) - x, 0), height=max(min(a.bottom, b.bottom) - y, 0))
