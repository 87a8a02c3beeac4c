"""Slides that are hard to read: nuclei of 4 to 16 µm, pale, hollow or crowded, brown on a continuum, casts, shades.

Each kind of KINDS stands for tissue that the usual drawing hasn't. Grades are cuts of one unbroken range of DAB, so
that neighbours of two grades may look alike, as they do on glass; the truth is exact all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from inference.draw.cells import EDGE, EPITHELIAL, STROMA, Cells, scattered
from inference.draw.ground import CLEAR, Veil
from inference.draw.optics import USUAL, Optics
from inference.draw.slide import MPP, Drawing, Truth, check_drawable, graded
from inference.draw.stamp import EDGE as FADING
from inference.draw.stamp import WOBBLE, Shapes
from inference.draw.tissue import REACH, Tissue, at, grow_tissue
from inference.geometry import Size

DAB = ((0.0, 0.08), (0.30, 0.70), (0.70, 1.40), (1.40, 2.40))
"""Amounts of each grade, from one cut to the next."""
COUNTERSTAIN = (0.43, 0.14, 0.16, 0.24)
"""Haematoxylin by grade, where it isn't pale."""
ELONGATED = 1.45
IN_TISSUE, IN_NEST = 8.0, 6.0  # px from its outline to a centre


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`diameter_um` of nuclei, smallest and largest; `apart`, the least distance of two centres in mean diameters;
    `haematoxylin` and `dab`, shares of the usual amounts; `hollow`, what a nucleus lacks in its middle. Where `nests`,
    those are in nests, and nuclei of `between_um` lie between them; else they lie throughout.
    """

    diameter_um: tuple[float, float]
    apart: float = 1.1
    haematoxylin: float = 1.0
    dab: float = 1.0
    hollow: float = 0.0
    nests: bool = False
    between_um: tuple[float, float] = (5.0, 7.0)
    optics: Optics = field(default=USUAL)
    veil: Veil = field(default=CLEAR)


WARM = Optics(white=(250.0, 240.0, 221.0), haematoxylin=(0.66, 0.65, 0.37), blur=0.7, sharpening=0.2, noise=2.2)
COLD = Optics(white=(226.0, 240.0, 250.0), dab=(0.31, 0.57, 0.76), blur=0.45, sharpening=0.9, noise=1.2)
KINDS: Mapping[str, Kind] = {
    "small": Kind(diameter_um=(4.0, 6.0), apart=1.05, haematoxylin=1.2),
    "pale": Kind(diameter_um=(6.0, 10.0), haematoxylin=0.42, hollow=0.3, veil=Veil(tint=0.03)),
    "crowded": Kind(diameter_um=(6.0, 9.0), apart=0.8, hollow=0.2),
    "large": Kind(diameter_um=(10.0, 16.0), hollow=0.35, haematoxylin=0.8),
    "carcinoma": Kind(
        diameter_um=(9.0, 14.0), apart=0.95, hollow=0.4, nests=True, optics=WARM, veil=Veil(tint=0.04, uneven=0.15)
    ),
    "uneven": Kind(diameter_um=(6.0, 10.0), hollow=0.2, optics=COLD, veil=Veil(tint=0.06, uneven=0.35)),
    "cytoplasm": Kind(diameter_um=(6.0, 10.0), hollow=0.2, veil=Veil(cytoplasm=0.6)),
}
"""By name."""
DEMO = "carcinoma"


def draw_difficult(kind: Kind, *, size: Size, seed: int, h_score: float) -> Drawing:
    """A slide of one kind at 0.5 µm/px with this H-score (0-300). Arguments and errors otherwise as `draw_slide`."""
    check_drawable(size, h_score)
    growth, staining, painting = (np.random.default_rng(s) for s in np.random.SeedSequence((seed, 18)).spawn(3))
    tissue = _ground_of(grow_tissue(size, growth), nests=kind.nests)
    cells = _cells(kind, size, tissue, growth)
    grade = graded(cells, size, h_score, staining)
    truth = Truth(x=cells.x, y=cells.y, compartment=cells.compartment, grade=grade)
    shapes = _shapes(kind, cells, grade, staining)
    return Drawing(
        size=size,
        seed=seed,
        truth=truth,
        tissue=tissue,
        shapes=shapes,
        random=painting,
        optics=kind.optics,
        veil=kind.veil,
    )


def _ground_of(tissue: Tissue, *, nests: bool) -> Tissue:
    """Glands filled to their middle, or none."""
    if nests:
        return replace(tissue, depth=np.full_like(tissue.depth, 2 * REACH))
    return replace(tissue, gland=np.full_like(tissue.gland, -REACH), glands=())


def _cells(kind: Kind, size: Size, tissue: Tissue, random: np.random.Generator) -> Cells:
    """Sorted by row of 64 px and column."""
    if not kind.nests:
        joined = _thrown(kind.diameter_um, kind.apart, STROMA, size, random)
        kept = at(tissue.inside, joined.x, joined.y) > IN_TISSUE
    else:
        nests = _thrown(kind.diameter_um, kind.apart, EPITHELIAL, size, random)
        between = _thrown(kind.between_um, 1.6, STROMA, size, random)
        joined = _joined(nests, between)
        gland = at(tissue.gland, joined.x, joined.y)
        within = np.where(joined.compartment == EPITHELIAL, gland > IN_NEST, gland < -IN_NEST - joined.long)
        kept = within & (at(tissue.inside, joined.x, joined.y) > IN_TISSUE)
    edge = EDGE + joined.long
    for v, side in ((joined.x, size.width), (joined.y, size.height)):
        kept &= (v > edge) & (v < side - 1 - edge)
    cells = joined.kept(kept)
    return cells.kept(np.lexsort((cells.x, cells.y // 64)))


def _joined(one: Cells, other: Cells) -> Cells:
    names = ("x", "y", "long", "wide", "angle", "compartment")
    return Cells(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names})


def _thrown(
    diameter_um: tuple[float, float], apart: float, compartment: int, size: Size, random: np.random.Generator
) -> Cells:
    """Nuclei all over the slide."""
    x, y = scattered(size, apart * sum(diameter_um) / 2 / MPP, random)
    n = len(x)
    radius, stretch = random.uniform(*diameter_um, n) / 2 / MPP, np.sqrt(random.uniform(1, ELONGATED, n))
    return Cells(
        x=x,
        y=y,
        long=radius * stretch,
        wide=radius / stretch,
        angle=random.uniform(0, np.pi, n),
        compartment=np.full(n, compartment, np.uint8),
    )


def _shapes(kind: Kind, cells: Cells, grade: npt.NDArray[np.uint8], random: np.random.Generator) -> Shapes:
    n = len(cells)
    low, high = np.array(DAB).T
    blue = np.array(COUNTERSTAIN)[grade] * kind.haematoxylin * np.exp(random.normal(0, 0.18, n).clip(-0.4, 0.4))
    brown = random.uniform(low[grade], high[grade]) * kind.dab
    return Shapes(
        cells=cells,
        haematoxylin=blue.astype(np.float32),
        dab=brown.astype(np.float32),
        edge=random.uniform(*FADING, n).astype(np.float32),
        harmonics=(random.standard_normal((n, 4)) * WOBBLE).astype(np.float32),
        bucket=np.asarray(cells.y // 64, np.int64),
        hollow=(kind.hollow * random.uniform(0.5, 1.5, n)).clip(0, 0.9).astype(np.float32),
        reach=int(np.ceil(cells.long.max(initial=1.0) * 1.2)) + 4,
    )
