"""At which pixel size nuclei are looked for: to a network that knows small nuclei, large ones are small in coarser
pixels.

A few fields of a slide are looked at as they come. Where the network is sure of what it finds, nothing changes. Else
they are looked at in each of the coarser sizes that the model names, and the size in which most is surely found (the
sum of squared probabilities) is the whole slide's. The overview says which fields: so the choice depends on no tile,
batch or worker, and what was chosen costs less arithmetic than the usual size.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from inference.analyzers.measuring import MeasuringEngine
from inference.geometry import Region, Size
from inference.infer import Engine, TileAnswer
from inference.model import Model
from inference.slide import FrameUnreadable, Rgb, Slide
from inference.stain import hue_value_density, mean_rgb
from inference.tile import Tile, TileShape, pixels, plan
from inference.tissue import MASK_MPP, Tissue, mean_density

FIELD = TileShape(core=576, halo=0, stride=32)
"""A side that is a whole number of the network's strides at 1/1, 2/3 and 1/2."""
FIELDS = 4
EDGE = 32  # px of a field within which peaks aren't looked at: the network doesn't see what is beyond
FAINTEST = 0.02
SURE = 0.78
"""Mean probability of what is found, weighted by itself, from which on no other size is tried."""
BETTER, LEAST = 1.25, 20.0
"""By how much more a coarser size must surely find, and how much at least."""

Floats = npt.NDArray[np.float64]
COLOURS = ("hue", "value", "dab_od_centi")


class CoarserEngine(MeasuringEngine):
    """An engine that sees tiles shrunk `by` 1.5 or 2: places, and colours where it has them, are of the tiles as they
    come.
    """

    def __init__(self, engine: Engine, by: float) -> None:
        super().__init__(engine)
        self.by = by
        self._model = replace(engine.model, tile=seen_coarser(engine.model.tile, by))

    @property
    def model(self) -> Model:
        """The same, with tiles and halos as much larger."""
        return self._model

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        small = np.stack([shrunk(tile, self.by) for tile in tiles])
        answers = self._engine.detect(small, faintest)
        return [self.measured(tile, answer) for tile, answer in zip(tiles, answers, strict=True)]

    def measured(self, tile: Rgb, answer: TileAnswer) -> TileAnswer:
        columns = dict(answer.columns)
        for name in ("x", "y"):
            columns[name] = (columns[name] + 0.5) * self.by - 0.5
        if set(COLOURS) <= set(columns):
            rgb = mean_rgb(tile, columns["x"], columns["y"])
            columns |= dict(zip(COLOURS, hue_value_density(rgb), strict=True))
        return replace(answer, columns=columns)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A part of a field as the network saw it (h, w, 3), and its peaks in px of that: (n,) each."""

    image: Rgb
    x: Floats
    y: Floats
    probability: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """By how much the pixels are to be coarser than the working ones, 1 or more, and what was seen in such; nothing
    where the model knows no coarser ones.
    """

    by: float = 1.0
    windows: tuple[Window, ...] = ()

    def fitted(self, engine: Engine) -> Engine:
        """The engine, or it in those coarser pixels."""
        return engine if self.by == 1 else CoarserEngine(engine, self.by)


def look(slide: Slide, engine: Engine, tissue: Tissue | None, asked: TileShape | None = None) -> Look:
    """At a few fields of a slide. The engine sees no larger tile than those `asked` for, or its model's."""
    resolution, side = engine.model.resolution, (asked or engine.model.tile).side
    if not resolution.coarser:
        return Look()
    seen = list(_seen(slide, fields(slide, tissue)))
    plain = Look(windows=_windows_seen(engine, seen, 1.0, side))
    least = _sure(plain)
    if least and least >= SURE * sum(float(window.probability.sum()) for window in plain.windows):
        return plain
    sizes = (mpp / resolution.working for mpp in resolution.coarser)
    coarser = [Look(by=by, windows=_windows_seen(engine, seen, by, side)) for by in sizes]
    best = max(coarser, key=_sure)
    return best if _sure(best) >= max(BETTER * least, LEAST) else plain


def fields(slide: Slide, tissue: Tissue | None) -> list[Tile]:
    """FIELDS of a slide, or as many as it has: spread over the darker half of those with tissue, from the darkest."""
    size = slide.working.size
    tiles = plan(size, FIELD, Region(x=0, y=0, width=size.width, height=size.height), tissue)
    overview = slide.overview(MASK_MPP)[0] if tissue is None else tissue.overview
    density = mean_density(overview)
    dark = [_mean(density, tile.core, size) for tile in tiles]
    half = np.argsort(-np.array(dark), kind="stable")[: max((len(tiles) + 1) // 2, min(len(tiles), FIELDS))]
    chosen = np.unique(np.rint(np.linspace(0, len(half) - 1, min(FIELDS, len(half)))).astype(int))
    return [tiles[i] for i in half[chosen].tolist()]


def shape_for(engine: Engine, asked: TileShape | None, size: Size) -> TileShape:
    """The tiles of an analysis: those `asked` for, in px that the network sees, or the model's, fitted to a picture."""
    if asked is None:
        return engine.model.tile.fitting(size)
    return seen_coarser(asked, engine.by) if isinstance(engine, CoarserEngine) else asked


def seen_coarser(shape: TileShape, by: float) -> TileShape:
    """Tiles that are of this shape once they are shrunk."""
    return TileShape(core=round(shape.core * by), halo=round(shape.halo * by), stride=round(shape.stride * by))


def shrunk(tile: Rgb, by: float) -> Rgb:
    """(h / by, w / by, 3)."""
    height, width = (round(side / by) for side in tile.shape[:2])
    return np.asarray(cv2.resize(tile, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _seen(slide: Slide, tiles: list[Tile]) -> "list[tuple[Rgb, Region]]":
    """Pixels of the fields that decode, and the part of each that the slide has."""
    found = []
    for tile in tiles:
        try:
            image = pixels(slide, tile, FIELD)
        except FrameUnreadable:
            continue
        found.append((image, Region(x=0, y=0, width=tile.core.width, height=tile.core.height)))
    return found


def _windows_seen(engine: Engine, seen: "list[tuple[Rgb, Region]]", by: float, side: int) -> tuple[Window, ...]:
    """In the order of the fields; as many at once as the engine has workers."""
    finder = engine.model.finder
    assert finder is not None, "what has coarser sizes finds peaks"
    cut = [(there, *part) for image, there in seen for part in _windows(shrunk(image, by), side)]

    def window(there: Region, image: Rgb, left: int, top: int, own: Region) -> Window:
        columns = engine.detect(image[None], FAINTEST)[0].columns
        if finder.probability not in columns:
            return Window(image, *np.zeros((3, 0)))
        right, bottom = min(there.width, FIELD.core - EDGE), min(there.height, FIELD.core - EDGE)
        x, y = columns["x"] + left, columns["y"] + top
        inside = (x >= own.x) & (x < own.right) & (y >= own.y) & (y < own.bottom)
        x, y = (x + 0.5) * by, (y + 0.5) * by
        inside &= (x >= EDGE) & (x < right) & (y >= EDGE) & (y < bottom)
        return Window(image, *(columns[name][inside].astype(np.float64) for name in ("x", "y", finder.probability)))

    with ThreadPoolExecutor(engine.workers, thread_name_prefix="look") as pool:
        return tuple(pool.map(lambda part: window(*part), cut))


def _windows(image: Rgb, side: int) -> Iterator[tuple[Rgb, int, int, Region]]:
    """Parts of a picture no larger than `side`, where each begins, and what of the picture is its own."""
    height, width = image.shape[:2]
    for top, first, last in _cuts(height, side):
        for left, begins, ends in _cuts(width, side):
            window = np.ascontiguousarray(image[top : top + side, left : left + side])
            yield window, left, top, Region(x=begins, y=first, width=ends - begins, height=last - first)


def _cuts(length: int, side: int) -> list[tuple[int, int, int]]:
    """Where the parts of a line begin, and from where to where each owns it: they overlap by 2 x EDGE, or by half where
    tiles are as small as that.
    """
    step = max(side - 2 * EDGE, side // 2)
    starts = [*range(0, max(length - side, 0), step), max(length - side, 0)]
    bounds = [0, *((a + side + b) // 2 for a, b in pairwise(starts)), length]
    return [(start, first, last) for start, (first, last) in zip(starts, pairwise(bounds), strict=True)]


def _sure(found: Look) -> float:
    return sum(float((window.probability**2).sum()) for window in found.windows)


def _mean(density: npt.NDArray[np.float32], core: Region, size: Size) -> float:
    """Of the part of an overview that a core shows."""
    rows, columns = density.shape[0] / size.height, density.shape[1] / size.width
    top, left = min(int(core.y * rows), density.shape[0] - 1), min(int(core.x * columns), density.shape[1] - 1)
    part = density[top : max(int(core.bottom * rows), top + 1), left : max(int(core.right * columns), left + 1)]
    return float(part.mean())
