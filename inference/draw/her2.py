"""HER2 slides whose truth is known: tumour nests of tessellated cells in stroma, control cores beside them.

drawing = draw_her2(side_um=700, mix={"none": 0.8, "intense_complete": 0.2}, scanner=Scanner(), seed=1)
drawing.pixels()    RGB at the scanner's µm/px            drawing.truth    what is true of each tumour cell
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.draw.canvas import Canvas, polygons_of
from inference.draw.expression import WIDTHS_UM, Expression, Mix, dealt, expressed
from inference.draw.scanner import Scanner, compressed, photographed
from inference.draw.tessellation import Floats, Ints, Tessellation, tessellated
from inference.draw.texture import Plane, looked_up, periodic, smooth
from inference.geometry import Region, Size
from inference.slide import Rgb

FINE_MPP = 0.125
MARGIN_UM = 4.0
BLOCK_PX = 1024
NEST_UM, CLONE_UM = 170.0, 120.0

Mask = npt.NDArray[np.bool_]
NUCLEI = ("xy", "axes", "angle", "haematoxylin", "dab")


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """A round piece of control tissue, all tumour cells, its expected score in `name`."""

    name: str
    x_um: float
    y_um: float
    radius_um: float
    mix: Mix

    def holds(self, xy: Floats) -> Mask:
        found: Mask = np.hypot(xy[:, 0] - self.x_um, xy[:, 1] - self.y_um) < self.radius_um
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is drawn. `tumour_share` of the tissue is nests; `unusual` of the cells are cut tangentially, and as many
    have no nucleus in the plane; `blush` is the DAB density of all tumour cells' cytoplasm, `nuclear` of their nuclei;
    `widths_um` those of faint, moderate and intense membranes.
    """

    side_um: float
    mix: Mix
    cell_um: float = 14.0
    tumour_share: float = 0.65
    unusual: float = 0.05
    lymphocytes: float = 0.1
    blush: float = 0.0
    nuclear: float = 0.0
    cores: Sequence[Core] = ()
    alike: float = 0.75
    widths_um: tuple[float, float, float] = WIDTHS_UM


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Of n tumour cells: centre of the nucleus (or cell) and of class `kind` (a place in CLASSES); `scorable` but for
    the tangential and those without a nucleus; `core` the place of the control core, -1 for tumour.
    """

    x_um: Floats
    y_um: Floats
    completeness: Floats
    intensity: Floats
    kind: Ints
    scorable: Mask
    core: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Nuclei:
    """Ellipses: centre, half axes (µm), angle (degrees), haematoxylin density, DAB density."""

    xy: Floats
    axes: Floats
    angle: Floats
    haematoxylin: Floats
    dab: Floats


class Her2Drawing:
    """A slide as read by `read`; pixels are the same whatever the region asked for, but for JPEG's blocks."""

    canvas: type[Canvas] = Canvas
    photographed = staticmethod(photographed)

    def __init__(self, plan: Plan, scanner: Scanner, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.plan, self.scanner = plan, scanner
        self.cells = self._tessellated(random)
        self.tumour, self.core = _tissue(plan, self.cells, random)
        self.tangential, self.empty = _unusual(plan, self.tumour, random)
        self.expression: Expression = self._expressed(random)
        self.polygons = polygons_of(self.cells)
        self.nuclei = self._nuclei(random)
        self.texture = [periodic(random, side, blur) for side, blur in ((509, 1.5), (613, 3.0), (701, 12.0))]
        self.noise = [periodic(random, side, 0.4) for side in (487, 499, 521)]
        n = round(plan.side_um / scanner.mpp)
        self.size = Size(width=n, height=n)

    def _tessellated(self, random: np.random.Generator) -> Tessellation:
        return tessellated(self.plan.side_um, self.plan.cell_um, random)

    def _expressed(self, random: np.random.Generator) -> Expression:
        plan, cells = self.plan, self.cells
        field = smooth(random, int(plan.side_um) + 256, int(plan.side_um) + 256, CLONE_UM)
        column, row = np.clip(np.rint(cells.centre + 128).astype(np.int64), 0, field.shape[0] - 1).T
        likeness = plan.alike * field[row, column] + (1 - plan.alike) * random.standard_normal(len(cells.centre))
        wanted = np.zeros(len(cells.centre), np.int64)
        for i in range(-1, len(plan.cores)):
            here = self.tumour & (self.core == i)
            wanted[here] = dealt(plan.mix if i < 0 else plan.cores[i].mix, likeness[here])
        return expressed(cells, self.tumour & ~self.tangential, wanted, random, plan.widths_um)

    def _nuclei(self, random: np.random.Generator) -> Nuclei:
        """Those of tumour cells first, in the order of the cells; then stroma and lymphocytes."""
        whole = Canvas(np.zeros(2), 1.0, *[int(self.plan.side_um) + 1] * 2)
        taken = whole.fill_cells(self.polygons, self.tumour, self.cells.centre, blur_um=2.0)
        which = self.tumour & ~self.empty & ~self.tangential
        parts = (_tumour_nuclei(self.plan, self.cells, which, random), _stroma_nuclei(self.plan, taken, random))
        return Nuclei(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in NUCLEI})

    @property
    def truth(self) -> Truth:
        xy = self.cells.centre.copy()
        with_nucleus = np.flatnonzero(self.tumour & ~self.empty & ~self.tangential)
        xy[with_nucleus] = self.nuclei.xy[: len(with_nucleus)]
        inside = ((xy > 0) & (xy < self.plan.side_um)).all(axis=1) & self.tumour
        e = self.expression
        return Truth(
            x_um=xy[inside, 0],
            y_um=xy[inside, 1],
            completeness=e.completeness[inside],
            intensity=e.intensity[inside],
            kind=e.kind[inside],
            scorable=~(self.tangential | self.empty)[inside],
            core=self.core[inside],
        )

    def pixels(self) -> Rgb:
        """All of it, through JPEG where the scanner compresses."""
        whole: Rgb = np.empty((self.size.height, self.size.width, 3), np.uint8)
        for y in range(0, self.size.height, BLOCK_PX):
            for x in range(0, self.size.width, BLOCK_PX):
                box = Region(x=x, y=y, width=BLOCK_PX, height=BLOCK_PX).clipped(self.size)
                whole[box.y : box.bottom, box.x : box.right] = self.read(box)
        return compressed(whole, self.scanner.jpeg)

    def read(self, region: Region) -> Rgb:
        """Pixels before compression, (h, w, 3)."""
        mpp, factor = self.scanner.mpp, max(round(self.scanner.mpp / FINE_MPP), 1)
        margin = int(np.ceil(MARGIN_UM / mpp))
        wide = region.grown(margin)
        origin = np.array([wide.x, wide.y]) * mpp
        planes = self._planes(self.canvas(origin, mpp / factor, wide.width * factor, wide.height * factor))
        noise = np.stack([looked_up(f, wide.x, wide.y, wide.width, wide.height) for f in self.noise], axis=-1)
        seen = self.photographed(*planes, noise, self.scanner, factor)
        return np.ascontiguousarray(seen[margin : margin + region.height, margin : margin + region.width])

    def _planes(self, canvas: Canvas) -> tuple[Plane, Plane, Plane]:
        """Haematoxylin, DAB, plasma."""
        fine, mid, coarse = (looked_up(f, canvas.x, canvas.y, canvas.width, canvas.height) for f in self.texture)
        membranes, haematoxylin, brown = canvas.plane(), canvas.plane(), canvas.plane()
        canvas.draw_membranes(membranes, self.cells, self.expression.density, self.expression.width)
        inside = canvas.fill_cells(self.polygons, self.tumour, self.cells.centre)
        smear = canvas.fill_cells(self.polygons, self.tangential, self.cells.centre, blur_um=1.2)
        n = self.nuclei
        canvas.fill_ellipses(haematoxylin, n.xy, n.axes, n.angle, n.haematoxylin)
        if self.plan.nuclear:
            canvas.fill_ellipses(brown, n.xy, n.axes, n.angle, n.dab)
        grain = np.clip(1 + self.scanner.granular * (0.7 * fine + 0.7 * mid), 0.2, 2.0)
        ground = self.scanner.ground
        nuclear = haematoxylin * np.clip(1 + 0.25 * mid, 0.4, 1.6)
        cytoplasm = ground * np.clip(0.6 * inside + 0.4 + 0.2 * coarse, 0.1, 2)
        dab = np.maximum(membranes * grain, brown * np.clip(1 + 0.2 * mid, 0.5, 1.5))
        dab = dab + self.plan.blush * inside * (brown + nuclear < 0.05) * np.clip(1 + 0.3 * mid, 0.3, 1.7)
        dab = dab + smear * 0.35 * self._mean_density() * grain
        plasma = 0.06 * np.clip(1 + 0.25 * mid + 0.4 * coarse, 0, 3) + 0.05 * (1 - inside) * np.clip(mid, 0, 2)
        return nuclear + 0.5 * cytoplasm, np.asarray(dab, np.float32), np.asarray(plasma, np.float32)

    def _mean_density(self) -> float:
        stained = self.expression.density[self.expression.density > 0.1]
        return float(stained.mean()) if len(stained) else 0.0


def draw_her2(*, side_um: float, mix: Mix, scanner: Scanner, seed: int, cores: Sequence[Core] = ()) -> Her2Drawing:
    return Her2Drawing(Plan(side_um=side_um, mix=mix, cores=cores), scanner, seed)


def _tissue(plan: Plan, cells: Tessellation, random: np.random.Generator) -> tuple[Mask, Ints]:
    """Which cells of the tessellation are tumour cells (the others are only room), and of which core."""
    field = smooth(random, int(plan.side_um) + 256, int(plan.side_um) + 256, NEST_UM)
    column, row = np.clip(np.rint(cells.centre + 128).astype(np.int64), 0, field.shape[0] - 1).T
    height = field[row, column] + 0.15 * random.standard_normal(len(row)).clip(-1, 1) * 0.3
    tumour = height > np.quantile(height, 1 - plan.tumour_share)
    core = np.full(len(tumour), -1, np.int64)
    for i, one in enumerate(plan.cores):
        near = np.hypot(cells.centre[:, 0] - one.x_um, cells.centre[:, 1] - one.y_um)
        tumour[near < one.radius_um + 60] = False
        tumour[one.holds(cells.centre)] = True
        core[one.holds(cells.centre)] = i
    regular = (cells.area > 0.3 * np.median(cells.area)) & (cells.area < 2.5 * np.median(cells.area))
    return tumour & regular, core


def _unusual(plan: Plan, tumour: Mask, random: np.random.Generator) -> tuple[Mask, Mask]:
    """Cells cut tangentially, and cells without a nucleus in the plane."""
    drawn = random.random(len(tumour))
    return tumour & (drawn < plan.unusual), tumour & (drawn > 1 - plan.unusual)


def _tumour_nuclei(plan: Plan, cells: Tessellation, which: Mask, random: np.random.Generator) -> Nuclei:
    n = int(which.sum())
    radius = np.sqrt(cells.area[which] / np.pi)
    mean = radius * random.uniform(0.48, 0.66, n)
    stretch = random.uniform(1.0, 1.3, n)
    moved = random.normal(0, 0.09, (n, 2)) * radius[:, None]
    strength = random.uniform(0.30, 0.42) * random.normal(1, 0.18, n).clip(0.6, 1.6)
    return Nuclei(
        xy=cells.centre[which] + moved,
        axes=np.stack([mean * np.sqrt(stretch), mean / np.sqrt(stretch)], axis=1),
        angle=random.uniform(0, 180, n),
        haematoxylin=strength,
        dab=plan.nuclear * random.normal(1, 0.3, n).clip(0.2, 2),
    )


def _stroma_nuclei(plan: Plan, taken: Plane, random: np.random.Generator) -> Nuclei:
    """Spindles where no tumour cell is (`taken`, at 1 µm/px), and round dark lymphocytes, some of them in nests."""
    n = int(plan.side_um**2 / 220)
    xy = random.uniform(0, plan.side_um, (n, 2))
    lymphocyte = random.random(n) < plan.lymphocytes
    free = taken[xy[:, 1].astype(int), xy[:, 0].astype(int)] < 0.05
    keep = (free | (lymphocyte & (random.random(n) < 0.15))) & _apart(xy, 9.0)
    xy, lymphocyte = xy[keep], lymphocyte[keep]
    n = len(xy)
    long = np.where(lymphocyte, random.uniform(2.8, 3.6, n), random.uniform(5.5, 9.0, n))
    wide = np.where(lymphocyte, long * random.uniform(0.9, 1, n), random.uniform(1.4, 2.3, n))
    return Nuclei(
        xy=xy,
        axes=np.stack([long, wide], axis=1),
        angle=np.degrees(np.sin(xy[:, 0] / 80) + xy[:, 1] / 150) + random.normal(0, 20, n),
        haematoxylin=np.where(lymphocyte, random.uniform(0.55, 0.75, n), random.uniform(0.3, 0.5, n)),
        dab=np.zeros(n),
    )


def _apart(xy: Floats, least_um: float) -> Mask:
    """One point of each square of `least_um` at most."""
    key = np.floor(xy / least_um).astype(np.int64)
    _, first = np.unique(key[:, 0] * 100_003 + key[:, 1], return_index=True)
    keep = np.zeros(len(xy), bool)
    keep[first] = True
    return keep
