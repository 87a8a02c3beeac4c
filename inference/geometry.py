"""Sizes, regions and pixel grids, with their units in the types.

Pixel coordinates are (x, y) = (column, row); the centre of the top-left pixel is (0, 0), its corner (-0.5, -0.5).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Coordinate = TypeVar("Coordinate", float, npt.NDArray[np.float64])


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A box of whole pixels: columns x .. x + width - 1, rows y .. y + height - 1."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def size(self) -> Size:
        return Size(width=self.width, height=self.height)

    @property
    def empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    def grown(self, margin: int) -> "Region":
        """The region with `margin` more pixels on each side."""
        return Region(
            x=self.x - margin, y=self.y - margin, width=self.width + 2 * margin, height=self.height + 2 * margin
        )

    def clipped(self, size: Size) -> "Region":
        """The part inside (0, 0, size); empty (width or height 0) where nothing is."""
        x, y = min(max(self.x, 0), size.width), min(max(self.y, 0), size.height)
        right, bottom = max(min(self.right, size.width), x), max(min(self.bottom, size.height), y)
        return Region(x=x, y=y, width=right - x, height=bottom - y)

    def inside(self, size: Size) -> bool:
        return self.x >= 0 and self.y >= 0 and self.right <= size.width and self.bottom <= size.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A picture of the slide at some resolution: its size in px, its pixel's side in µm, and base pixels per pixel.

    `scale` is (pixels of the largest level) / (pixels of this grid), along x and y alike.
    """

    size: Size
    mpp: float
    scale: float

    def to_base(self, v: Coordinate) -> Coordinate:
        """A coordinate of this grid as one of the largest level (both count from the centre of their first pixel)."""
        return (v + 0.5) * self.scale - 0.5

    def from_base(self, v: Coordinate) -> Coordinate:
        """The inverse of `to_base`."""
        return (v + 0.5) / self.scale - 0.5
