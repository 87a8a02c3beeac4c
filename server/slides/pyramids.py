"""Which images of a series make one pyramid, by what their headers say of their place on the slide.

Sizes alone don't tell: two regions of a slide, an overview that is marked VOLUME or a level that its scanner padded to
whole frames may have any size. The finest image is a pyramid's base; what it covers is the pyramid's extent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from inference.geometry import Size
from server.slides.dicom_level import LevelHeader
from server.slides.plan import SAME_MPP, scale_by_sizes, scale_by_spacing

ROUNDED_PX = 2
"""Pixels of a level by which its edge and the base's may differ from rounding."""

MOST_PADDED = 2.05
"""Times the base's extent that a level which is padded to whole frames may have."""

_PLANE_UM = 0.1  # focal planes are 0.25 µm apart and more
_DIRECTION = 0.001
_ORIGIN_UM = 1.0

Parts = Sequence[LevelHeader]
"""An image: one file, or the files of a concatenation, the first of them first."""


class Pictures(Protocol):
    """What can be told of images by looking at their pixels."""

    def is_padding(self, parts: Parts, covered: Size) -> bool:
        """Whether an image shows nothing beyond that size: one colour, or what its last column or row repeats."""
        ...

    def show_the_same(self, finer: Parts, coarser: Parts, ratio: float) -> bool:
        """Whether nothing speaks against it at low power; `ratio` is pixels of the finer per pixel of the coarser."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedLevel:
    """An image in a pyramid: `scale` is base pixels per pixel."""

    parts: Parts
    scale: float

    @property
    def header(self) -> LevelHeader:
        return self.parts[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pyramid:
    """Levels, the base first."""

    levels: tuple[PlacedLevel, ...]

    @property
    def base(self) -> LevelHeader:
        return self.levels[0].header

    @property
    def mpp(self) -> float:
        """µm per pixel of the base; 0 where the file doesn't say, so that it isn't called coarse."""
        return min(self.base.spacing_um) if self.base.spacing_um else 0.0

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in µm, or in pixels where the file doesn't say how large these are."""
        x, y = self.base.spacing_um or (1.0, 1.0)
        return self.base.layout.size.width * x, self.base.layout.size.height * y

    @property
    def area(self) -> float:
        return self.extent[0] * self.extent[1]

    def share_within(self, other: "Pyramid") -> float:
        """Share of this one's area that the other covers too; 1 where their places aren't known."""
        mine, its = _box(self), _box(other)
        if mine is None or its is None or _elsewhere(self.base, other.base):
            same = not _elsewhere(self.base, other.base) and not _differs(_pyramid_uid(self), _pyramid_uid(other))
            return float(same)
        sides = [min(a[1], b[1]) - max(a[0], b[0]) for a, b in zip(mine, its, strict=True)]
        return max(sides[0], 0.0) * max(sides[1], 0.0) / self.area


def group(images: Sequence[Parts], pictures: Pictures) -> list[Pyramid]:
    """The pyramids of a series. An image that fits no finer one, or shows something else there, begins its own."""
    found: list[list[PlacedLevel]] = []
    for parts in sorted(images, key=_finest_first):
        for levels in found:
            scale, last = _scale_in(levels[0].header, parts, pictures), levels[-1]
            if scale is not None and pictures.show_the_same(last.parts, parts, scale / last.scale):
                levels.append(PlacedLevel(parts=parts, scale=scale))
                break
        else:
            found.append([PlacedLevel(parts=parts, scale=1.0)])
    return [Pyramid(levels=_one_of_each(levels)) for levels in found]


def _finest_first(parts: Parts) -> tuple[float, int, str]:
    spacing, area = parts[0].spacing_um, parts[0].layout.size.area
    return (round(min(spacing), 6) if spacing else inf), -area, parts[0].who.sop_instance_uid


def _one_of_each(levels: Sequence[PlacedLevel]) -> tuple[PlacedLevel, ...]:
    kept: dict[float, PlacedLevel] = {}
    for level in levels:
        kept.setdefault(round(level.scale, 3), level)
    return tuple(sorted(kept.values(), key=lambda level: level.scale))


def _scale_in(base: LevelHeader, parts: Parts, pictures: Pictures) -> float | None:
    """Base pixels per pixel of an image that shows what the base shows; None where it shows something else."""
    level = parts[0]
    if not _belongs(base, level):
        return None
    size, of = level.layout.size, base.layout.size
    if base.spacing_um is None or level.spacing_um is None:
        return scale_by_sizes(of, size, within=ROUNDED_PX)
    x, y = (b / a for a, b in zip(base.spacing_um, level.spacing_um, strict=True))
    if abs(x - y) > SAME_MPP * min(x, y) or min(x, y) < 1 + SAME_MPP:
        return None
    scale = scale_by_spacing(of, size, (x + y) / 2)
    covered = Size(width=int(of.width / scale), height=int(of.height / scale))
    beyond = size.width - of.width / scale, size.height - of.height / scale
    if min(beyond) < -ROUNDED_PX:
        return None
    if max(beyond) <= ROUNDED_PX:
        return scale
    return scale if _may_be_padded(base, level, covered) and pictures.is_padding(parts, covered) else None


def _may_be_padded(base: LevelHeader, level: LevelHeader, covered: Size) -> bool:
    """By less than a frame of the base's size, and not to a multiple of what the base covers."""
    frame, of, size = level.layout.frame, base.layout.frame, level.layout.size
    wide = size.width - covered.width <= min(frame.width, of.width) + ROUNDED_PX
    high = size.height - covered.height <= min(frame.height, of.height) + ROUNDED_PX
    return wide and high and size.width <= MOST_PADDED * covered.width and size.height <= MOST_PADDED * covered.height


def _belongs(base: LevelHeader, level: LevelHeader) -> bool:
    """Whether nothing that both headers say contradicts that they show the same plane of the same place."""
    a, b = base.place, level.place
    return not (
        _differs(a.pyramid_uid, b.pyramid_uid)
        or _elsewhere(base, level)
        or _differs(base.path_name, level.path_name)
        or abs(a.depth_um - b.depth_um) > _PLANE_UM
        or not _same_origin(base, level)
    )


def _elsewhere(one: LevelHeader, other: LevelHeader) -> bool:
    a, b = one.place, other.place
    turned = bool(a.directions and b.directions) and any(
        abs(u - v) > _DIRECTION for u, v in zip(a.directions or (), b.directions or (), strict=False)
    )
    return turned or _differs(a.frame_of_reference, b.frame_of_reference)


def _same_origin(base: LevelHeader, level: LevelHeader) -> bool:
    """Within a pixel of the coarser: scanners name its centre or its corner."""
    a, b = base.place.origin_um, level.place.origin_um
    if a is None or b is None:
        return True
    tolerance = _ORIGIN_UM + max(base.spacing_um or (0.0,)) / 2 + max(level.spacing_um or (0.0,))
    return max(abs(u - v) for u, v in zip(a, b, strict=True)) <= tolerance


def _differs(a: str, b: str) -> bool:
    return bool(a) and bool(b) and a != b


def _pyramid_uid(pyramid: Pyramid) -> str:
    return pyramid.base.place.pyramid_uid


def _box(pyramid: Pyramid) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """From and to, along x and along y of the slide, µm; None where the file doesn't say."""
    origin, directions = pyramid.base.place.origin_um, pyramid.base.place.directions
    if origin is None or directions is None or pyramid.base.spacing_um is None:
        return None
    width, height = pyramid.extent
    ends = [o + width * directions[k] + height * directions[3 + k] for k, o in enumerate(origin)]
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(origin, ends, strict=True))
    return (left, right), (top, bottom)
