"""What criteria are fitted to: the model's nuclei of a region, and what a person said of the same region."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from inference.analyzers.nuclear import COMPARTMENTS, SCHEMA
from inference.cells.values import Cells, IntArray, no_cells
from inference.grade import GRADES, Colour, Grades
from inference.keypoints import FloatArray, matched
from inference.measures import ALL
from inference.score import h_score

Compartment = npt.NDArray[np.uint8]
"""(n,) 0 or 1, places in COMPARTMENTS."""


class Quantity(StrEnum):
    """What a target's value is: the H-score, 0 to 300, or the nuclei of grade 1 and above in percent, 0 to 100."""

    H_SCORE = "h_score"
    PERCENT_POSITIVE = "percent_positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a person says of a region's nuclei: `part` a compartment or `all`; `n` annotated nuclei, None: not counted.

    `n` 0 is a compartment that was annotated and has no nucleus; its value means nothing.
    """

    part: str
    value: float
    n: int | None = None
    quantity: Quantity = Quantity.H_SCORE


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Annotated:
    """n nuclei that a person marked: `xy` (n, 2) px of the largest level, `compartment` (n,) 0 or 1, `grade` (n,) 0 to
    3.
    """

    xy: FloatArray
    compartment: IntArray
    grade: Grades

    def __len__(self) -> int:
        return len(self.grade)

    def taken(self, which: "npt.NDArray[np.bool_] | IntArray") -> "Annotated":
        return Annotated(xy=self.xy[which], compartment=self.compartment[which], grade=self.grade[which])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sample:
    """One region of one slide: the model's nuclei of it, and what was said of them.

    `matched` are those of the nuclei that have an annotated partner, and `grade` (k,) the partner's grade.
    `compartment` (n,) is the partner's where there is one, else the model's: criteria are fitted by it, because no
    threshold should make up for a nucleus put into the wrong compartment. Errors are told by the model's own.
    """

    slide: str
    name: str
    cells: Cells
    targets: tuple[Target, ...]
    matched: Cells = field(default_factory=lambda: no_cells(SCHEMA))
    grade: Grades = field(default_factory=lambda: np.zeros(0, np.uint8))
    annotated: Annotated | None = None
    compartment: Compartment | None = None

    def part(self, name: str, *, by_model: bool) -> Cells:
        """The nuclei of a compartment, the model's or as `compartment` has it; or all."""
        if name == ALL:
            return self.cells
        compartment = self.cells["compartment"] if by_model or self.compartment is None else self.compartment
        return self.cells.taken(compartment == COMPARTMENTS.index(name))


def graded_sample(slide: str, name: str, cells: Cells, annotated: Annotated, *, mpp: float) -> Sample:
    """A region whose nuclei were annotated one by one; `mpp` of the largest level, whose px both are in."""
    ours, theirs = matched(np.stack([cells.x, cells.y], axis=1), annotated.xy, mpp=mpp)
    targets = tuple(_target(part, annotated.grade[annotated.compartment == i]) for i, part in enumerate(COMPARTMENTS))
    compartment = cells["compartment"].copy()
    compartment[ours] = annotated.compartment[theirs]
    return Sample(
        slide=slide,
        name=name,
        cells=cells,
        targets=(*targets, _target(ALL, annotated.grade)),
        matched=cells.taken(ours),
        grade=annotated.grade[theirs],
        annotated=annotated,
        compartment=compartment,
    )


def in_colour(sample: Sample, colour: Colour) -> Sample:
    """With the colours that are to be fitted under the names of raw ones."""
    if colour is Colour.RAW:
        return sample
    return replace(sample, cells=_in_white(sample.cells), matched=_in_white(sample.matched))


def _in_white(cells: Cells) -> Cells:
    named = {"hue": "white_hue", "value": "white_value", "dab_od_centi": "white_od_centi"}
    return replace(cells, columns={**cells.columns, **{raw: cells[white] for raw, white in named.items()}})


def _target(part: str, grade: Grades) -> Target:
    value = h_score(tuple(np.bincount(grade, minlength=GRADES).tolist()))
    return Target(part=part, value=0.0 if value is None else value, n=len(grade))


def slides_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Each slide once, in the order of the samples."""
    return tuple(dict.fromkeys(s.slide for s in samples))
