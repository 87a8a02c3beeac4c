"""What is scored, and where: a score is a row. Database, HL7, DICOM, JSON and the API read the same rows.

A `Measure` says what a number or category is, a `Region` of which cells; an analyzer yields a `Score` for each pair.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

PRIVATE_SCHEME = "99CHROMOGEN"
"""The coding scheme of measures that no public scheme has; docs/dicom-conformance.md defines its codes."""
PERCENT, SCORE_UNIT, ONE, PER_MM2 = "%", "{score}", "1", "/mm2"
"""UCUM."""
NONE = "none"
"""What texts for people say where there is no score."""
ALL = "all"
"""The region that holds every cell scored."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A quantity, `unit` in UCUM, or a category, `categories` all its answers; `code` in PRIVATE_SCHEME.

    `title` is its column in tables, empty: in none. `whole`: its values are whole numbers, however a store returns
    them. `interval`: its rows have a 95 % interval where one could be made. `regions`: those that it is of, by name;
    none: every one. `by_area`: the code of the count that it is by the area in mm²: of tissue, in a drawn region of all
    that was drawn.
    """

    code: str
    display: str
    unit: str = ""
    title: str = ""
    whole: bool = False
    interval: bool = False
    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    by_area: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if bool(self.unit) is self.categorical:
            raise ValueError(f"{self.code} needs a unit, or categories and none")

    @property
    def categorical(self) -> bool:
        return bool(self.categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where a score is of: `name` in rows and files, `code` and `display` in coded reports (PRIVATE_SCHEME)."""

    name: str
    code: str
    display: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row. `value` and `category` are None where there is no score (of no cells: never 0); `n` cells it is of.

    `measure` is the code of its Measure; `code`, `scheme` and `display` say the same, by a public scheme where there is
    one for the marker and tissue. `interval` is the 95 % interval of `value`, in its unit. Of a guideline's category
    `comment` says what it means, and `rule` the guideline's version and source.
    """

    measure: str
    code: str
    display: str
    region: str
    unit: str
    n: int
    value: float | None = None
    category: str | None = None
    interval: Interval | None = None
    scheme: str = PRIVATE_SCHEME
    comment: str = ""
    rule: str = ""

    @property
    def absent(self) -> bool:
        """Is there no score?"""
        return self.value is None and self.category is None


def scored(
    measure: Measure,
    region: str,
    n: int,
    value: float | None = None,
    *,
    category: str | None = None,
    interval: Interval | None = None,
) -> Score:
    """A row of a measure. Raises ValueError where it can't be such a value or category."""
    if category is not None and category not in measure.categories:
        raise ValueError(f"{measure.code} can't be {category}: it is none of its categories")
    if value is not None and measure.categorical:
        raise ValueError(f"{measure.code} can't be a number: it is a category")
    return Score(
        measure=measure.code,
        code=measure.code,
        display=measure.display,
        unit=measure.unit,
        region=region,
        n=n,
        value=value,
        category=category,
        interval=interval,
    )


def with_densities(
    scores: Iterable[Score], measures: Iterable[Measure], areas_mm2: Mapping[str, float]
) -> tuple[Score, ...]:
    """The rows, those of measures that are counts by area with their values; without one where `areas_mm2` has no area
    of their region, or none above 0.
    """
    rows, by_area = tuple(scores), {m.code: m.by_area for m in measures if m.by_area}
    counts = {(row.measure, row.region): row.value for row in rows}

    def dense(row: Score) -> Score:
        count, area = counts.get((by_area[row.measure], row.region)), areas_mm2.get(row.region)
        return replace(row, value=count / area if count is not None and area else None)

    return tuple(dense(row) if row.measure in by_area else row for row in rows)


def find(scores: Iterable[Score], measure: Measure, region: str = ALL) -> Score | None:
    """The row of a measure in a region; None where there is no such row."""
    return next((s for s in scores if s.region == region and s.measure == measure.code), None)


def value_text(score: Score | None, *, decimals: int = 1) -> str:
    """The value to so many decimals, without a point where none is needed; or the category; or NONE."""
    if score is None or score.absent:
        return NONE
    return score.category or f"{score.value:.{decimals}f}".removesuffix("." + "0" * decimals)


def recoded(score: Score, *, code: str, scheme: str, display: str) -> Score:
    """The same score under another code."""
    return replace(score, code=code, scheme=scheme, display=display)
