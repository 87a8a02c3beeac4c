"""What a control of a kind must show, as an assay's analyzer names it and a laboratory narrows it."""

from dataclasses import dataclass

from inference.errors import Reason, Refused
from inference.measures import ALL, Measure, Score

PREFIX = "control "
"""Before the name of a kind of control, in classes of annotations."""

BoxMm = tuple[float, float, float, float]
"""x, y of the top-left corner from the slide's, width, height, in mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlKind:
    """Of an assay, such as `positive` or `3+`: of `measure` in `region` a value within `low` and `high` (inclusive,
    None open), in its unit, or one `category`; of at least `least_cells` cells.

    `found` of a core is the name of the kind whose range holds its value, so the kinds of an assay don't overlap.
    """

    name: str
    measure: Measure
    region: str = ALL
    low: float | None = None
    high: float | None = None
    category: str | None = None
    least_cells: int = 20

    def __post_init__(self) -> None:
        """Raises Refused CONTROL_INVALID."""
        if self.measure.categorical is (self.category is None):
            raise _invalid(f"control {self.name}: a category is expected of a measure with categories, else a range")
        if self.category is not None and self.category not in self.measure.categories:
            raise _invalid(f"control {self.name}: {self.category} is none of {', '.join(self.measure.categories)}")
        if self.low is None and self.high is None and self.category is None:
            raise _invalid(f"control {self.name} expects nothing: give the least, the most, or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise _invalid(f"control {self.name}: the least expected, {self.low:g}, is above the most, {self.high:g}")

    @property
    def class_name(self) -> str:
        """In annotations."""
        return PREFIX + self.name

    def accepts(self, row: Score | None) -> bool:
        if row is None or row.absent or row.n < self.least_cells:
            return False
        if self.category is not None:
            return row.category == self.category
        return row.value is not None and (
            (self.low is None or row.value >= self.low) and (self.high is None or row.value <= self.high)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a laboratory puts control tissue: in a box, or apart from the section by at least `apart_mm`.

    `kinds` are names of kinds: of a box one; of pieces apart one for all, or one each, in the direction in which they
    lie: from left to right, or from top to bottom.
    """

    kinds: tuple[str, ...]
    box_mm: BoxMm | None = None
    apart_mm: float | None = None


def _invalid(message: str) -> Refused:
    return Refused(Reason.CONTROL_INVALID, message)
