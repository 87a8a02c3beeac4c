"""Whether two images that claim the same place on a slide show the same, at low power.

A few squares are compared: those where the coarser image varies most, and some spread over the slide. A frame of
512 x 512 px of dense tissue takes 0.7 ms to decode at an eighth, so few are looked at: opening stays quick.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

from inference.geometry import Region, Size
from inference.slide import FrameUnreadable, Rgb
from server.slides.codec import Undecodable
from server.slides.frames import FrameCache, Frames, Layout

_PIXELS = 1_200_000  # of frames that are decoded, about, of both images
_FEWEST, _MOST = 2, 16  # frames of the coarser image that are searched for squares
_BLOCK = 8  # pixels of the coarser image averaged into one, so that a pixel's shift makes little
_SQUARE = 64  # most pixels of the coarser image along a square
_FINER = 512  # most pixels of the finer image along a square, where it has more than two blocks

_OTHER = 0.3  # of both pictures' variation their difference makes near 0 if they are the same, 1 if they are unrelated
_FAINT = 2.0  # grey levels of variation below which a picture says nothing
_OTHER_HERE = 20.0  # grey levels between two squares: no rendering of a level is that far off
_GOLDEN = 0.618  # a column's step, so that few frames lie in one

Blocks = npt.NDArray[np.float32]

MOST_SEEN = 4096
"""Pairs of images whose comparison is remembered, so that a slide that is opened again isn't compared again."""

_SEEN: dict[object, bool] = {}


def remembered(key: object, look: Callable[[], bool]) -> bool:
    """What `look` says of a pair; `key` names its files as they are now. What `look` raises is raised."""
    if key not in _SEEN:
        _SEEN[key] = look()
        while len(_SEEN) > MOST_SEEN:
            _SEEN.pop(next(iter(_SEEN)))
    return _SEEN[key]


def show_the_same(finer: Frames, coarser: Frames, ratio: float) -> bool:
    """Whether nothing speaks against it; `ratio` is pixels of the finer one per pixel of the coarser, 1 or more.

    Frames that don't decode say nothing.
    """
    one, other = _Shrunk(finer), _Shrunk(coarser)
    probed = max(_FEWEST, min(_MOST, _PIXELS // (3 * finer.layout.frame.area)))
    squares = _squares(other, _side(coarser.layout, ratio), probed)
    pairs = [(a, b) for s in squares if (a := one.blocks(s, ratio)) is not None and (b := other.blocks(s)) is not None]
    return not pairs or _agree(pairs)


def _side(layout: Layout, ratio: float) -> int:
    """Pixels of the coarser image along a square: whole blocks, two and more."""
    shorter = min(layout.frame.width, layout.frame.height, layout.size.width, layout.size.height)
    return max(2, min(_SQUARE, int(_FINER / ratio), shorter // 2) // _BLOCK) * _BLOCK


def _agree(pairs: list[tuple[Blocks, Blocks]]) -> bool:
    if any(_off(a, b) > _OTHER_HERE for a, b in pairs):
        return False
    one, other = (np.concatenate([_variation(pair[k]).ravel() for pair in pairs]) for k in (0, 1))
    both = float((one**2).sum() + (other**2).sum())
    return both < _FAINT**2 * one.size or float(((one - other) ** 2).sum()) < _OTHER * both


def _off(a: Blocks, b: Blocks) -> float:
    """The brightness of most blocks, and the square's colour: JPEG keeps less of each block's colour."""
    return max(float(np.median(np.abs(a - b).mean(axis=2))), float(np.abs(a.mean((0, 1)) - b.mean((0, 1))).max()))


def _variation(blocks: Blocks) -> Blocks:
    return np.asarray(blocks - blocks.mean((0, 1)), np.float32)


class _Shrunk:
    """An image at an eighth of its size, or as far as its frames allow."""

    def __init__(self, image: Frames) -> None:
        self.shrink = max(image.layout.shrinks)
        self.layout = image.layout.shrunk(self.shrink)
        self._cache = FrameCache(lambda column, row: image.decode(column, row, self.shrink), self.layout)

    def blocks(self, square: Region, ratio: float = 1.0) -> Blocks | None:
        """The blocks of a square of the coarser image, (rows, columns, 3); None where it can't be read."""
        by = ratio / self.shrink
        left, top = round(square.x * by), round(square.y * by)
        right, bottom = round(square.right * by), round(square.bottom * by)
        pixels = self.read(Region(x=left, y=top, width=max(1, right - left), height=max(1, bottom - top)))
        if pixels is None:
            return None
        size = square.width // _BLOCK, square.height // _BLOCK
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)

    def read(self, region: Region) -> Rgb | None:
        if region.empty or not region.inside(self.layout.size):
            return None
        try:
            return self._cache.read(region)
        except (FrameUnreadable, Undecodable):
            return None


def _squares(image: _Shrunk, side: int, probed: int) -> list[Region]:
    """Of the image, in its own pixels: the middle ones of `probed` frames, and as many that vary most."""
    varied: list[tuple[float, Region]] = []
    middles: list[Region] = []
    for frame in _probed(image, probed):
        found = list(_of_frame(image, frame, side))
        middles += [square for _, square in found[len(found) // 2 :][:1]]
        varied += found
    varied.sort(key=lambda each: -each[0])
    return list(dict.fromkeys([*(square for _, square in varied[:probed]), *middles]))


def _probed(image: _Shrunk, most: int) -> list[Region]:
    """Some frames in shrunk pixels, spread over the image's height and width."""
    layout = image.layout
    places = {(int((k + 0.5) / most * layout.rows), int((k * _GOLDEN + 0.5) % 1 * layout.columns)) for k in range(most)}
    return [_frame(layout.frame, row, column).clipped(layout.size) for row, column in sorted(places)]


def _frame(size: Size, row: int, column: int) -> Region:
    return Region(x=column * size.width, y=row * size.height, width=size.width, height=size.height)


def _of_frame(image: _Shrunk, frame: Region, side: int) -> Iterator[tuple[float, Region]]:
    """The frame's whole squares, in the image's own pixels, each with how much it varies."""
    pixels, step = image.read(frame), max(1, side // image.shrink)
    if pixels is None:
        return
    for y in range(0, frame.height - step + 1, step):
        for x in range(0, frame.width - step + 1, step):
            place = Region(x=(frame.x + x) * image.shrink, y=(frame.y + y) * image.shrink, width=side, height=side)
            yield float(pixels[y : y + step, x : x + step].std(axis=(0, 1)).mean()), place
