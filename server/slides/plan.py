"""Which level, at which scaling, is analysed: pure arithmetic over sizes (DESIGN, decision 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from inference.errors import Reason, Refused
from inference.geometry import Grid, Size
from inference.slide import COARSEST_MPP, FINEST_WORKING_MPP, WORKING_MPP
from server.slides.frames import Layout

SAME_MPP = 0.02
"""Two grids whose pixels differ by less than this share are as near to 0.5 as each other; the cheaper is taken."""

_ROUNDING = 1e-6  # sizes of pixels come from decimal text: 0.000625 mm is not coarser than 0.625 µm
OVERVIEW_SIDE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A level decoded at 1/shrink, and the grid that this gives."""

    level: int
    shrink: int
    grid: Grid
    level_pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The working grid and the source it is read from; `step` source pixels make one working pixel (1: as they are)."""

    source: Source
    working: Grid
    step: float


def level_scales(sizes: Sequence[Size]) -> list[float]:
    """Pixels of the largest level (the first) per pixel of each level.

    Levels are halved and their sizes rounded, so a ratio is taken as whole where both sides agree with that within a
    pixel; otherwise it is the mean of the two sides' ratios.
    """
    base = sizes[0]
    return [_scale(base, size) for size in sizes]


def _scale(base: Size, size: Size) -> float:
    mean = (base.width / size.width + base.height / size.height) / 2
    whole = round(mean)
    near = abs(base.width / whole - size.width) <= 1 and abs(base.height / whole - size.height) <= 1
    return float(whole) if near else mean


def sources(layouts: Sequence[Layout], mpp: float) -> list[Source]:
    """Every level at every scaling; `mpp` is that of the first, the largest."""
    scales = level_scales([layout.size for layout in layouts])
    return [
        Source(level=k, shrink=s, grid=_grid(layout.shrunk(s).size, mpp, scale * s), level_pixels=layout.size.area)
        for k, (layout, scale) in enumerate(zip(layouts, scales, strict=True))
        for s in layout.shrinks
    ]


def plan_working(found: Sequence[Source], *, allow_coarse: bool = False) -> Plan:
    """The source nearest to 0.5 µm/px, and how it is resampled where none is near. Raises Refused TOO_COARSE."""
    inside = [s for s in found if FINEST_WORKING_MPP - _ROUNDING <= s.grid.mpp <= COARSEST_MPP + _ROUNDING]
    if inside:
        nearest = min(_distance(s) for s in inside)
        chosen = min(
            (s for s in inside if _distance(s) <= nearest + SAME_MPP), key=lambda s: (s.level_pixels, _distance(s))
        )
        return Plan(source=chosen, working=chosen.grid, step=1.0)
    finer = [s for s in found if s.grid.mpp < FINEST_WORKING_MPP]
    if finer:
        return _resampled(max(finer, key=lambda s: (s.grid.mpp, -s.level_pixels)))
    finest = min(found, key=lambda s: s.grid.mpp)
    if not allow_coarse:
        message = (
            f"the best level has {finest.grid.mpp:.4g} µm/px, coarser than {COARSEST_MPP} "
            f"µm/px: scan the slide at 20x or finer"
        )
        raise Refused(Reason.TOO_COARSE, message)
    return Plan(source=finest, working=finest.grid, step=1.0)


def plan_overview(found: Sequence[Source], mpp: float) -> tuple[Source, int]:
    """The coarsest source that is fine enough, and the whole number of its pixels that make one of the overview.

    The overview is at `mpp` or finer, and at most OVERVIEW_SIDE px a side.
    """
    fine = [s for s in found if s.grid.mpp <= mpp * (1 + SAME_MPP)]
    source = max(fine, key=lambda s: (s.grid.mpp, -s.level_pixels)) if fine else min(found, key=lambda s: s.grid.mpp)
    side = max(source.grid.size.width, source.grid.size.height)
    return source, max(1, int(mpp * (1 + SAME_MPP) / source.grid.mpp), -(-side // OVERVIEW_SIDE))


def coarser(source: Source, factor: int) -> Grid:
    """The source's grid averaged over boxes of factor x factor px; at least one pixel."""
    size = source.grid.size
    width, height = max(1, size.width // factor), max(1, size.height // factor)
    return Grid(size=Size(width=width, height=height), mpp=source.grid.mpp * factor, scale=source.grid.scale * factor)


def _grid(size: Size, mpp: float, scale: float) -> Grid:
    return Grid(size=size, mpp=mpp * scale, scale=scale)


def _distance(source: Source) -> float:
    return abs(log(source.grid.mpp / WORKING_MPP))


def _resampled(source: Source) -> Plan:
    step = WORKING_MPP / source.grid.mpp
    size = Size(width=max(1, int(source.grid.size.width / step)), height=max(1, int(source.grid.size.height / step)))
    return Plan(source=source, working=Grid(size=size, mpp=WORKING_MPP, scale=source.grid.scale * step), step=step)
