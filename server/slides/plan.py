"""Which level, at which scaling, is analysed: pure arithmetic over sizes (DESIGN, decision 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from inference.errors import Reason, Refused
from inference.geometry import Grid, Size
from inference.model import Resolution
from server.slides.frames import Layout

SAME_MPP = 0.02
"""Two grids whose pixels differ by less than this share are as near to the working resolution; the cheaper is taken."""

_ROUNDING = 1e-6  # sizes of pixels come from decimal text: 0.000625 mm is not coarser than 0.625 µm
_SPACING_ROUNDED = 0.002
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
    """Pixels of the largest level (the first) per pixel of each level, where nothing but their sizes is known."""
    return [_scale(sizes[0], size) for size in sizes]


def scale_by_sizes(base: Size, size: Size, *, within: int) -> float | None:
    """The same of one level; None where its sides don't agree within that many of its pixels."""
    ratio = base.width / size.width
    return _scale(base, size) if ratio >= 1 + SAME_MPP and abs(base.height / ratio - size.height) <= within else None


def scale_by_spacing(base: Size, size: Size, ratio: float) -> float:
    """The same where `ratio` is that of the pixels' sides.

    Spacings are rounded text, or were computed from rounded sizes: a ratio is taken as whole where that is within the
    rounding, or where both sizes agree with it within a pixel.
    """
    whole = round(ratio)
    off = abs(ratio - whole) / whole
    near = abs(base.width / whole - size.width) <= 1 and abs(base.height / whole - size.height) <= 1
    return float(whole) if off <= _SPACING_ROUNDED or (near and off <= SAME_MPP / 2) else ratio


def _scale(base: Size, size: Size) -> float:
    """Levels are halved and their sizes rounded, so a ratio is taken as whole where both sides agree with that within
    a pixel; otherwise it is the mean of the two sides' ratios.
    """
    mean = (base.width / size.width + base.height / size.height) / 2
    whole = round(mean)
    near = abs(base.width / whole - size.width) <= 1 and abs(base.height / whole - size.height) <= 1
    return float(whole) if near else mean


def sources(layouts: Sequence[Layout], scales: Sequence[float], mpp: float) -> list[Source]:
    """Every level at every scaling; `mpp` is that of the first, the largest.

    What a level has beyond the first one's extent is left out: it was padded.
    """
    base = layouts[0].size
    return [
        Source(level=k, shrink=s, grid=_grid(_covered(layout, base, scale, s), mpp, scale * s), level_pixels=pixels)
        for k, (layout, scale) in enumerate(zip(layouts, scales, strict=True))
        for pixels in (layout.size.area,)
        for s in layout.shrinks
    ]


def _covered(layout: Layout, base: Size, scale: float, shrink: int) -> Size:
    whole = layout.shrunk(shrink).size
    if layout.size.width - base.width / scale <= 2 and layout.size.height - base.height / scale <= 2:
        return whole
    width, height = (max(1, int(v / scale / shrink)) for v in (base.width, base.height))
    return Size(width=min(whole.width, width), height=min(whole.height, height))


def plan_working(found: Sequence[Source], resolution: Resolution) -> Plan:
    """The source nearest to the working resolution, and how it is resampled where none is near, or the model has its
    pixels brought to what it works at.

    Raises Refused TOO_COARSE.
    """
    inside = [s for s in found if resolution.takes(s.grid.mpp, within=_ROUNDING)]
    if inside:
        apart = {id(s): _apart(s, resolution) for s in inside}
        nearest = min(apart.values())
        near = (s for s in inside if apart[id(s)] <= nearest + SAME_MPP)
        chosen = min(near, key=lambda s: (s.level_pixels, apart[id(s)]))
        if not resolution.keeps(chosen.grid.mpp):
            return _resampled(chosen, resolution.working)
        return Plan(source=chosen, working=chosen.grid, step=1.0)
    finer = [s for s in found if s.grid.mpp < resolution.finest]
    if finer:
        return _resampled(max(finer, key=lambda s: (s.grid.mpp, -s.level_pixels)), resolution.working)
    finest = min(s.grid.mpp for s in found)
    message = (
        f"the best level has {finest:.4g} µm/px, coarser than {resolution.coarsest:g} µm/px: {scan_finer(resolution)}"
    )
    raise Refused(Reason.TOO_COARSE, message)


def scan_finer(resolution: Resolution) -> str:
    """What to do about a slide that is too coarse; 20x is about 0.5 µm/px."""
    return f"scan at {10 / resolution.working:.0f}x or finer"


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


def _apart(source: Source, resolution: Resolution) -> float:
    return abs(log(source.grid.mpp / resolution.working))


def _resampled(source: Source, working_mpp: float) -> Plan:
    step = working_mpp / source.grid.mpp
    size = Size(width=max(1, int(source.grid.size.width / step)), height=max(1, int(source.grid.size.height / step)))
    return Plan(source=source, working=Grid(size=size, mpp=working_mpp, scale=source.grid.scale * step), step=step)
