"""What a person changed of a result: a new result keeps it, beside the predecessor that it names. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from inference.errors import Reason, Refused

MOST_REGIONS, MOST_POINTS, MOST_NUCLEI = 200, 5_000, 20_000
Point = tuple[float, float]
"""x, y in pixels of the largest level; pixel 0 covers 0 to 1."""


class RegionClass(StrEnum):
    """TUMOUR is scored as a region of its own; what lies in EXCLUDE isn't scored at all."""

    TUMOUR = "tumour"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRegion:
    """A polygon, closed from its last point to its first; a cell is inside by the even-odd rule."""

    kind: RegionClass
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChange:
    """Of one cell, by its row in the file of the result that no person changed: `group` the place of its new group in
    the analyzer's, None: it isn't counted.
    """

    row: int
    group: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """All that persons changed since the analysis; `by` (a token's subject) and `why` are of the last who did."""

    by: str
    why: str
    regions: tuple[DrawnRegion, ...] = ()
    cells: tuple[CellChange, ...] = ()

    @property
    def of_cells(self) -> bool:
        """Does it touch which cells are counted, and how, or the criteria alone?"""
        return bool(self.regions or self.cells)


def check_limits(regions: Sequence[DrawnRegion], cells: Sequence[CellChange]) -> None:
    """Raises Refused REGION_INVALID."""
    if len(regions) > MOST_REGIONS or sum(len(r.points) for r in regions) > MOST_POINTS:
        raise Refused(Reason.REGION_INVALID, f"more than {MOST_REGIONS} regions, or {MOST_POINTS} points of them")
    if len(cells) > MOST_NUCLEI:
        raise Refused(Reason.REGION_INVALID, f"more than {MOST_NUCLEI} cells are changed: draw a region round them")
    if len({c.row for c in cells}) < len(cells):
        raise Refused(Reason.REGION_INVALID, "a cell is changed twice")
    for region in regions:
        _check_polygon(region.points)


def _check_polygon(points: Sequence[Point]) -> None:
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, [*points[1:], *points[:1]], strict=True)) / 2
    if len(points) < 3 or abs(area) < 1:
        raise Refused(Reason.REGION_INVALID, "a region needs three points or more, and an area")
