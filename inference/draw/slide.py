"""The drawing of a slide: its truth, and the pixels of any region, the same whichever regions are asked for."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.draw.cells import STROMA, Cells, grow_cells
from inference.draw.ground import CLEAR, Ground, Veil
from inference.draw.mixture import counts_of
from inference.draw.optics import LOADS, USUAL, Optics, photographed
from inference.draw.stamp import Shapes, stamped
from inference.draw.texture import looked_up, periodic, smooth
from inference.draw.tissue import PITCH, Tissue, at, grow_tissue
from inference.geometry import Region, Size
from inference.slide import Rgb

MPP = 0.5
SIDE = 512  # px of the tiles that are drawn and kept
HALO = 24  # px drawn round a tile: the widest blur and half the largest nucleus
KEPT = 96  # tiles in memory, 75 MB
SMALLEST = 256  # px
EPITHELIUM_STAINS_MORE = 0.5  # in deviations of a nucleus's affinity for DAB
REGIONAL = 0.7

LARGEST_ASKED = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Every nucleus that was drawn: x, y (n,) float64 px, the centre of the first pixel being (0, 0).

    `compartment` (n,) uint8, 0 stroma, 1 epithelium; `grade` (n,) uint8, 0 unstained to 3 strong; `counts` (2, 4)
    int64, by compartment and grade.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    compartment: npt.NDArray[np.uint8]
    grade: npt.NDArray[np.uint8]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        return np.bincount(self.compartment * 4 + self.grade, minlength=8).reshape(2, 4)


class Drawing:
    """A slide at MPP µm/px. Memory: the maps of the tissue, the nuclei, and at most KEPT tiles."""

    def __init__(
        self,
        *,
        size: Size,
        seed: int,
        truth: Truth,
        tissue: Tissue,
        shapes: Shapes,
        random: np.random.Generator,
        optics: Optics = USUAL,
        veil: Veil = CLEAR,
    ) -> None:
        self.size, self.seed, self.truth = size, seed, truth
        self._optics, self._veil = optics, veil
        self._shapes = shapes
        self._ground = Ground(tissue, random)
        self._noise = periodic(random, 611, 0.5)
        self._chromatin = periodic(random, 467, 1.25)
        self._tiles: OrderedDict[tuple[int, int], Rgb] = OrderedDict()

    def read(self, region: Region) -> Rgb:
        """Pixels of a region inside the slide. Raises ValueError outside."""
        if region.empty or not region.inside(self.size):
            raise ValueError(f"{region} is not within a slide of {self.size.width} x {self.size.height} px")
        out = np.empty((region.height, region.width, 3), np.uint8)
        for row in range(region.y // SIDE, (region.bottom - 1) // SIDE + 1):
            for column in range(region.x // SIDE, (region.right - 1) // SIDE + 1):
                _paste(out, region, self._tile(column, row), column * SIDE, row * SIDE)
        return out

    def outlines(self, rays: int) -> npt.NDArray[np.float64]:
        """(n, rays) px: how far each nucleus of `truth` reaches from its centre, ray k at k / rays of a turn from x to
        y.
        """
        return self._shapes.radii(rays)

    def bands(self, height: int = SIDE) -> Iterator[Rgb]:
        """The whole slide from top to bottom, (height, width, 3) each, the last one shorter."""
        for y in range(0, self.size.height, height):
            yield self.read(Region(x=0, y=y, width=self.size.width, height=min(height, self.size.height - y)))

    def _tile(self, column: int, row: int) -> Rgb:
        key = column, row
        if key not in self._tiles:
            self._tiles[key] = self._drawn(column * SIDE - HALO, row * SIDE - HALO)
            if len(self._tiles) > KEPT:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(key)
        return self._tiles[key]

    def _drawn(self, x: int, y: int) -> Rgb:
        side = SIDE + 2 * HALO
        chromatin = looked_up(self._chromatin, x, y, side, side)
        nuclei = stamped(self._shapes, x, y, side, chromatin)
        ground = self._ground.drawn(x, y, side, nuclei.dab, nuclei.cover)
        dab, plasma, light = nuclei.dab + ground.dab, ground.plasma, None
        if self._veil != CLEAR:
            (more_dab, more_plasma), light = self._veil.over(plasma, nuclei.cover), self._veil.light(x, y, side)
            dab, plasma = dab + more_dab, plasma + more_plasma
        noise = looked_up(self._noise, x, y, side, side)
        rgb = photographed(nuclei.haematoxylin + ground.haematoxylin, dab, plasma, noise, self._optics, light)
        return rgb[HALO:-HALO, HALO:-HALO].copy()


def draw_slide(*, size: Size, seed: int, h_score: float, optics: Optics = USUAL) -> Drawing:
    """A slide of `size` px at 0.5 µm/px whose nuclei together have this H-score (0-300) to the nearest their number
    allows; `optics` are a laboratory's stains and scanner.

    Equal arguments give equal truth and pixels. Raises ValueError for a size below 256 px a side or an H-score out of
    range.
    """
    check_drawable(size, h_score)
    growth, staining, painting = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    tissue = grow_tissue(size, growth)
    cells = grow_cells(size, tissue, growth)
    grade = graded(cells, size, h_score, staining)
    truth = Truth(x=cells.x, y=cells.y, compartment=cells.compartment, grade=grade)
    shapes = Shapes.grown(cells, grade, LOADS, staining)
    return Drawing(size=size, seed=seed, truth=truth, tissue=tissue, shapes=shapes, random=painting, optics=optics)


def check_drawable(size: Size, h_score: float) -> None:
    """Raises ValueError."""
    if min(size.width, size.height) < SMALLEST:
        raise ValueError(f"a drawn slide has at least {SMALLEST} px a side, not {size.width} x {size.height}")
    if not 0 <= h_score <= LARGEST_ASKED:
        raise ValueError(f"an H-score lies within 0 and 300, not at {h_score}")


def graded(cells: Cells, size: Size, h_score: float, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Grades in exact numbers: nuclei ordered by their affinity for DAB, which varies by compartment, region and
    nucleus.
    """
    columns, rows = size.width // PITCH + 2, size.height // PITCH + 2
    affinity = random.standard_normal(len(cells)) + EPITHELIUM_STAINS_MORE * (cells.compartment != STROMA)
    affinity += REGIONAL * at(smooth(random, columns, rows, 600 / PITCH), cells.x, cells.y)
    grade = np.empty(len(cells), np.uint8)
    grade[np.argsort(affinity, kind="stable")] = np.repeat(np.arange(4), counts_of(len(cells), h_score))
    return grade


def _paste(out: Rgb, region: Region, tile: Rgb, x: int, y: int) -> None:
    """Copy the part of a tile at (x, y) that lies in the region."""
    left, top = max(region.x, x), max(region.y, y)
    right, bottom = min(region.right, x + tile.shape[1]), min(region.bottom, y + tile.shape[0])
    out[top - region.y : bottom - region.y, left - region.x : right - region.x] = tile[
        top - y : bottom - y, left - x : right - x
    ]
