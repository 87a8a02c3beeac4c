"""H&E slides whose truth is known: epithelial nests in fibrous stroma with inflammation and debris, on glass.

drawing = HeDrawing(Plan(side_um=700), Scanner(), seed=1)
drawing.pixels()    RGB at the scanner's µm/px       drawing.truth    what is true of each nucleus

Nuclei are ellipses: epithelial ones wide and vesicular with a rim and a nucleolus, inflammatory ones round, small and
dark, spindles long, even and aligned, others fragments of debris. Real nuclei are less regular and overlap.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from inference.draw.canvas import Canvas, polygons_of
from inference.draw.scanner import Scanner, compressed, photographed
from inference.draw.tessellation import Floats, Ints, Tessellation, tessellated
from inference.draw.texture import Plane, looked_up, periodic, smooth
from inference.geometry import Region, Size
from inference.slide import Rgb

OTHER, INFLAMMATORY, EPITHELIAL, SPINDLE = range(4)
EOSIN = (0.22, 0.92, 0.31)
"""As it looks beside haematoxylin: nearer to pink than the pure dye."""
FINE_MPP, MARGIN_UM, BLOCK_PX = 0.125, 4.0, 1024
NEST_UM, INFLAMED_UM, TISSUE_UM = 150.0, 110.0, 320.0
PITCH_UM = {INFLAMMATORY: 8.6, SPINDLE: 15.5, OTHER: 23.0}
JITTER = 0.18

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Shares of the tissue: `nests` is epithelium, `inflamed` of the stroma; `tissue` of the square, the rest glass."""

    side_um: float
    nests: float = 0.5
    inflamed: float = 0.25
    tissue: float = 0.9
    cell_um: float = 13.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Of n nuclei: centre and half axes in µm, `angle` in degrees, `kind` 0 (other) to 3 (spindle), density of blue."""

    xy: Floats
    axes: Floats
    angle: Floats
    kind: Ints
    haematoxylin: Floats


class HeDrawing:
    """A slide as read by `read`; pixels are the same whatever the region asked for, but for JPEG's blocks."""

    def __init__(self, plan: Plan, scanner: Scanner, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.plan, self.scanner = plan, replace(scanner, dab=EOSIN)
        self.cells: Tessellation = tessellated(plan.side_um, plan.cell_um, random)
        self._tissue = _upper(random, plan.side_um, TISSUE_UM, plan.tissue)
        self._nests = _upper(random, plan.side_um, NEST_UM, plan.nests) & self._tissue
        self._inflamed = _upper(random, plan.side_um, INFLAMED_UM, plan.inflamed) & self._tissue & ~self._nests
        self.epithelial = self._regular() & self._at(self._nests, self.cells.centre)
        self.polygons = polygons_of(self.cells)
        self.truth = self._nuclei(random)
        self.texture = [periodic(random, side, blur) for side, blur in ((509, 1.5), (613, 3.0), (701, 12.0))]
        self.noise = [periodic(random, side, 0.4) for side in (487, 499, 521)]
        n = round(plan.side_um / scanner.mpp)
        self.size = Size(width=n, height=n)

    def _regular(self) -> Mask:
        area = self.cells.area
        return np.asarray((area > 0.4 * np.median(area)) & (area < 2.5 * np.median(area)))

    def _at(self, where: Mask, xy: Floats) -> Mask:
        """Is each point in a mask of 1 µm a px?"""
        column, row = np.clip(xy.astype(np.int64), 0, where.shape[0] - 1).T
        return np.asarray(where[row, column])

    def _nuclei(self, random: np.random.Generator) -> Truth:
        whole = Canvas(np.zeros(2), 1.0, *[int(self.plan.side_um) + 1] * 2)
        taken = whole.fill_cells(self.polygons, self.epithelial, self.cells.centre, blur_um=2.0) > 0.05
        free = self._tissue & ~taken[: self._tissue.shape[0], : self._tissue.shape[1]]
        parts = [_epithelial(self.cells, self.epithelial, random)]
        for kind, where in (
            (INFLAMMATORY, free & self._inflamed),
            (SPINDLE, free & ~self._inflamed),
            (OTHER, free & ~self._inflamed),
        ):
            xy = _scattered(self.plan.side_um, PITCH_UM[kind], random, offset=0.5 * (kind == OTHER))
            parts.append(_of_kind(kind, xy[self._at(where, xy)], random))
        found = Truth(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in Truth.__slots__})
        return _apart(found)

    def pixels(self) -> Rgb:
        """All of it, through JPEG where the scanner compresses."""
        whole: Rgb = np.empty((self.size.height, self.size.width, 3), np.uint8)
        for y in range(0, self.size.height, BLOCK_PX):
            for x in range(0, self.size.width, BLOCK_PX):
                box = Region(x=x, y=y, width=BLOCK_PX, height=BLOCK_PX).clipped(self.size)
                whole[box.y : box.bottom, box.x : box.right] = self.read(box)
        return compressed(whole, self.scanner.jpeg)

    def labels(self) -> npt.NDArray[np.int32]:
        """Which nucleus each pixel of the slide is of: its place in `truth`, from 1 on; 0 is none."""
        plane = np.zeros((self.size.height, self.size.width), np.float32)
        whole = Canvas(np.zeros(2), self.scanner.mpp, self.size.width, self.size.height)
        t = self.truth
        whole.fill_ellipses(plane, t.xy, t.axes, t.angle, np.arange(1.0, len(t.xy) + 1))
        return plane.astype(np.int32)

    def read(self, region: Region) -> Rgb:
        """Pixels before compression, (h, w, 3)."""
        mpp, factor = self.scanner.mpp, max(round(self.scanner.mpp / FINE_MPP), 1)
        margin = int(np.ceil(MARGIN_UM / mpp))
        wide = region.grown(margin)
        canvas = Canvas(np.array([wide.x, wide.y]) * mpp, mpp / factor, wide.width * factor, wide.height * factor)
        planes = self._planes(canvas)
        noise = np.stack([looked_up(f, wide.x, wide.y, wide.width, wide.height) for f in self.noise], axis=-1)
        seen = photographed(*planes, noise, self.scanner, factor)
        return np.ascontiguousarray(seen[margin : margin + region.height, margin : margin + region.width])

    def _planes(self, canvas: Canvas) -> tuple[Plane, Plane, Plane]:
        """Haematoxylin, eosin, plasma."""
        fine, mid, coarse = (looked_up(f, canvas.x, canvas.y, canvas.width, canvas.height) for f in self.texture)
        tissue = self._shown(self._tissue, canvas)
        nests = canvas.fill_cells(self.polygons, self.epithelial, self.cells.centre)
        fibres = cv2.blur(fine, (25, 3)) * 4
        stroma = 0.42 * np.clip(1 + 0.45 * fibres + 0.25 * coarse, 0.2, 2)
        cytoplasm = 0.24 * np.clip(1 + 0.2 * mid + 0.2 * coarse, 0.3, 2)
        nuclear = self._nuclear(canvas, fine, mid)
        eosin = tissue * (nests * cytoplasm + (1 - nests) * stroma) * np.clip(1 - 0.8 * nuclear, 0.3, 1)
        blue = nuclear + tissue * nests * 0.06 * np.clip(1 + 0.3 * mid, 0, 2)
        plasma = 0.02 * tissue * np.clip(1 + 0.3 * mid, 0, 2)
        return np.asarray(blue, np.float32), np.asarray(eosin, np.float32), np.asarray(plasma, np.float32)

    def _nuclear(self, canvas: Canvas, fine: Plane, mid: Plane) -> Plane:
        t = self.truth
        whole, inner, spots = canvas.plane(), canvas.plane(), canvas.plane()
        canvas.fill_ellipses(whole, t.xy, t.axes, t.angle, t.haematoxylin)
        wide = t.kind == EPITHELIAL
        pale = 0.35 * wide
        canvas.fill_ellipses(inner, t.xy, 0.78 * t.axes, t.angle, pale)
        canvas.fill_ellipses(spots, t.xy + 0.2 * t.axes, 0.16 * t.axes.min(axis=1)[:, None] + 0 * t.axes, t.angle, pale)
        clumps = np.clip(1 + 0.22 * mid + 0.12 * fine, 0.5, 1.6)
        return np.asarray(whole * clumps * (1 - inner) + 0.9 * spots * (whole > 0), np.float32)

    def _shown(self, where: Mask, canvas: Canvas) -> Plane:
        """A mask of 1 µm a px on the canvas, soft at its edge."""
        column, row = (
            np.clip(((v + np.arange(n) + 0.5) * canvas.mpp).astype(np.int64), 0, where.shape[0] - 1)
            for v, n in ((canvas.x, canvas.width), (canvas.y, canvas.height))
        )
        soft = cv2.GaussianBlur(where.astype(np.float32), (0, 0), 1.5)
        return np.asarray(soft[row][:, column], np.float32)


def _upper(random: np.random.Generator, side_um: float, grain_um: float, share: float) -> Mask:
    """The upper `share` of a smooth field, at 1 µm a px."""
    field = smooth(random, int(side_um) + 1, int(side_um) + 1, grain_um)
    return np.asarray(field > np.quantile(field, 1 - share))


def _scattered(side_um: float, pitch_um: float, random: np.random.Generator, *, offset: float) -> Floats:
    """(n, 2) places on a grid, each moved a little."""
    n = int(side_um / pitch_um)
    grid = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2) + 0.5 + offset
    moved = (grid + random.uniform(-JITTER, JITTER, grid.shape)) * pitch_um
    return np.asarray(moved[(moved < side_um).all(axis=1)])


def _epithelial(cells: Tessellation, which: Mask, random: np.random.Generator) -> Truth:
    n = int(which.sum())
    radius = np.sqrt(cells.area[which] / np.pi) * random.uniform(0.55, 0.68, n)
    stretch = random.uniform(1.0, 1.4, n)
    return Truth(
        xy=cells.centre[which],
        axes=np.stack([radius * np.sqrt(stretch), radius / np.sqrt(stretch)], axis=1),
        angle=random.uniform(0, 180, n),
        kind=np.full(n, EPITHELIAL),
        haematoxylin=0.55 * random.normal(1, 0.12, n).clip(0.7, 1.4),
    )


def _of_kind(kind: int, xy: Floats, random: np.random.Generator) -> Truth:
    n = len(xy)
    low, high = {INFLAMMATORY: (2.7, 3.4), SPINDLE: (5.0, 7.5), OTHER: (1.6, 2.4)}[kind]
    long = random.uniform(low, high, n)
    narrow = long * {INFLAMMATORY: 0.93, SPINDLE: 0.27, OTHER: 0.75}[kind]
    dense = {INFLAMMATORY: 0.95, SPINDLE: 0.6, OTHER: 0.85}[kind]
    along = np.degrees(np.sin(xy[:, 0] / 80) + xy[:, 1] / 150)
    return Truth(
        xy=xy,
        axes=np.stack([long, narrow], axis=1),
        angle=along + random.normal(0, 12 if kind == SPINDLE else 60, n),
        kind=np.full(n, kind),
        haematoxylin=dense * random.normal(1, 0.1, n).clip(0.7, 1.3),
    )


def _apart(nuclei: Truth) -> Truth:
    """Without those that would lie over an earlier one, drawn at 0.5 µm a px."""
    side = int(nuclei.xy.max(initial=0) * 2) + 40
    taken, kept = np.zeros((side, side), np.uint8), np.zeros(len(nuclei.xy), bool)
    for i, (at, axes, angle) in enumerate(zip(nuclei.xy * 2 + 20, nuclei.axes * 2 + 1, nuclei.angle, strict=True)):
        reach = int(axes.max()) + 2
        x, y = at.astype(int)
        left, top = max(x - reach, 0), max(y - reach, 0)
        bottom, right = max(y + reach + 1, 1), max(x + reach + 1, 1)  # of what lies outside a row or column is left
        part = taken[top:bottom, left:right]
        mine = np.zeros_like(part)
        cv2.ellipse(mine, (x - left, y - top), np.rint(axes).astype(int).tolist(), float(angle), 0, 360, 1, -1)
        kept[i] = not (mine & part).any()
        if kept[i]:
            part |= mine
    return Truth(**{name: getattr(nuclei, name)[kept] for name in Truth.__slots__})
