"""Whether two images that claim the same place on a slide show the same, at low power.

A few squares are compared: in the frames that show most by their bytes, and in some spread over the slide. A frame of
512 x 512 px of dense tissue takes 0.7 ms to decode at an eighth, so few are looked at: opening stays quick.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from inference.geometry import Region, Size
from inference.slide import FrameUnreadable, Rgb
from server.slides.codec import Undecodable
from server.slides.frames import WHITE, Frames, Layout, paste

_PIXELS = 1_200_000  # of frames that are decoded, about, of both images
_FEWEST, _MOST = 2, 16  # frames of the coarser image that are searched for squares
_BLOCK = 8  # pixels of the coarser image averaged into one, so that a pixel's shift makes little
_TRIED = 16  # squares of a place that are thought of, about
_SQUARE = 64  # most pixels of the coarser image along a square
_FINER = 512  # most pixels of the finer image along a square, where it has more than two blocks

_OTHER = 0.3  # of both pictures' variation their difference makes near 0 if they are the same, 1 if they are unrelated
_FAINT = 2.0  # grey levels of variation below which a picture says nothing
_OTHER_HERE = 20.0  # grey levels between two squares: no rendering of a level is that far off
_GOLDEN = 0.618  # a column's step, so that few frames lie in one

Blocks = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int64]

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


def show_the_same(finer: "Shrunk", coarser: "Shrunk", ratio: float) -> bool:
    """Whether nothing speaks against it; `ratio` is pixels of the finer one per pixel of the coarser, 1 or more.

    Frames that don't decode say nothing.
    """
    probed = max(_FEWEST, min(_MOST, _PIXELS // (3 * finer.image.layout.frame.area)))
    squares = _squares(finer, coarser, ratio, probed)
    pairs = [
        (a, b) for s in squares if (a := finer.blocks(s, ratio)) is not None and (b := coarser.blocks(s)) is not None
    ]
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


class Shrunk:
    """An image at an eighth of its size, or as far as its frames allow, with the frames of it that were looked at.

    `lengths` (rows, columns) are the bytes of its encoded frames, which tell those that show most; None where all are
    as long. It is used by one thread at a time.
    """

    def __init__(self, image: Frames, lengths: Lengths | None) -> None:
        self.image, self._lengths = image, lengths
        self.shrink = max(image.layout.shrinks)
        self.layout = image.layout.shrunk(self.shrink)
        self._seen: dict[tuple[int, int], Rgb | None] = {}

    def blocks(self, square: Region, ratio: float = 1.0) -> Blocks | None:
        """The blocks of a square of the coarser image, (rows, columns, 3); None where it can't be read."""
        pixels = self.read(self.place(square, ratio))
        if pixels is None:
            return None
        size = square.width // _BLOCK, square.height // _BLOCK
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)

    def place(self, square: Region, ratio: float = 1.0) -> Region:
        """A square of another image in this one's shrunk pixels; `ratio` is its pixels per pixel of the other."""
        by = ratio / self.shrink
        left, top = round(square.x * by), round(square.y * by)
        right, bottom = round(square.right * by), round(square.bottom * by)
        return Region(x=left, y=top, width=max(1, right - left), height=max(1, bottom - top))

    def read(self, region: Region) -> Rgb | None:
        """None outside of the image, and where a frame doesn't decode."""
        if region.empty or not region.inside(self.layout.size):
            return None
        out: Rgb = np.empty((region.height, region.width, 3), np.uint8)
        size = self.layout.frame
        for column, row in self.frames_of(region):
            pixels = self._frame(column, row)
            if pixels is None:
                return None
            paste(pixels, out, x=column * size.width - region.x, y=row * size.height - region.y, frame=size)
        return out

    def frames_of(self, region: Region) -> set[tuple[int, int]]:
        """Column and row of each that a region touches."""
        size = self.layout.frame
        rows = range(region.y // size.height, -(-region.bottom // size.height))
        columns = range(region.x // size.width, -(-region.right // size.width))
        return {(column, row) for row in rows for column in columns}

    def has_seen(self, region: Region) -> bool:
        return self.frames_of(region) <= self._seen.keys()

    def fullest(self, most: int) -> list[tuple[int, int]]:
        """Column and row of the frames that show most, by their bytes: glass packs into few."""
        if self._lengths is None:
            return []
        heaviest = np.argsort(-self._lengths, axis=None, kind="stable")[:most].tolist()
        return [(at % self.layout.columns, at // self.layout.columns) for at in heaviest]

    def _frame(self, column: int, row: int) -> Rgb | None:
        if (column, row) not in self._seen:
            size = self.layout.frame
            try:
                pixels = self.image.decode(column, row, self.shrink)
                white = np.full((size.height, size.width, 3), WHITE, np.uint8) if pixels is None else pixels
                self._seen[column, row] = white
            except (FrameUnreadable, Undecodable):
                self._seen[column, row] = None
        return self._seen[column, row]


def _squares(finer: Shrunk, coarser: Shrunk, ratio: float, probed: int) -> list[Region]:
    """Twice `probed` of the coarser image, in its own pixels: of some places those that vary most, and as many that
    vary less, from the same frames of the finer image. Those of its frames that were looked at before are taken again
    where they show as much: decoding is what takes the time.
    """
    side, found = _side(coarser.image.layout, ratio), list[Region]()
    places = _probed(finer, coarser, ratio, probed)
    each = max(1, probed // len(places))
    for place in places:
        squares = _of_place(coarser, place, side, _TRIED + 2 * each)
        seen = [(varies, s) for varies, s in squares if finer.has_seen(finer.place(s, ratio))]
        best = [s for _, s in (seen if seen and 2 * seen[0][0] >= squares[0][0] else squares)]
        if best:
            first = finer.frames_of(finer.place(best[0], ratio))
            near = [s for s in best if finer.frames_of(finer.place(s, ratio)) <= first]
            found += [*best[:each], *near[len(near) // 2 :: max(1, len(near) // 2 // each)][:each]]
    return list(dict.fromkeys(found))


def _probed(finer: Shrunk, coarser: Shrunk, ratio: float, most: int) -> list[Region]:
    """Places of the coarser image, in its shrunk pixels: its fullest frames, what the finer image's fullest show, and
    frames that are spread over its height and width.
    """
    layout, each = coarser.layout, -(-most // 3)
    spread = [(int((k * _GOLDEN + 0.5) % 1 * layout.columns), int((k + 0.5) / most * layout.rows)) for k in range(most)]
    full = [_frame(layout.frame, row, column) for column, row in coarser.fullest(each)]
    fine = [_frame(finer.image.layout.frame, row, column) for column, row in finer.fullest(each)]
    places = [*full, *(coarser.place(f, 1 / ratio) for f in fine), *(_frame(layout.frame, row, c) for c, row in spread)]
    inside = (p.clipped(layout.size) for p in places if p.x < layout.size.width and p.y < layout.size.height)
    return list(dict.fromkeys(inside))[:most]


def _frame(size: Size, row: int, column: int) -> Region:
    return Region(x=column * size.width, y=row * size.height, width=size.width, height=size.height)


def _of_place(image: Shrunk, place: Region, side: int, most: int) -> list[tuple[float, Region]]:
    """Of a place's whole squares, in the image's own pixels, with how much each varies: those that vary most, and as
    many of the others.
    """
    step = max(1, side // image.shrink)
    place = _whole(place, step).clipped(image.layout.size)
    pixels = image.read(place)
    rows, columns = place.height // step, place.width // step
    if pixels is None or rows * columns == 0:
        return []
    whole = pixels[: rows * step, : columns * step].astype(np.float32)
    varies = whole.reshape(rows, step, columns, step, 3).std(axis=(1, 3)).mean(axis=2)
    order = np.argsort(-varies, axis=None, kind="stable")
    rest = order[most // 2 :]
    taken = [*order[: most // 2].tolist(), *rest[:: max(1, 2 * len(rest) // most)].tolist()]
    places = ((at // columns * step, at % columns * step) for at in taken)
    squares = [_square(place, y, x, image.shrink, side) for y, x in places]
    return list(zip(varies.ravel()[taken].tolist(), squares, strict=True))


def _whole(place: Region, step: int) -> Region:
    """A place that is smaller than a square, as a square's."""
    x, y = (v // step * step if side < step else v for v, side in ((place.x, place.width), (place.y, place.height)))
    return Region(x=x, y=y, width=max(step, place.width), height=max(step, place.height))


def _square(frame: Region, y: int, x: int, shrink: int, side: int) -> Region:
    return Region(x=(frame.x + x) * shrink, y=(frame.y + y) * shrink, width=side, height=side)
