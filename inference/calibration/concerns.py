"""What makes a fit doubtful: each concern a word for programs, with a line that says what to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from inference.analyzers.nuclear import COMPARTMENTS
from inference.calibration.fit import Fit, Objective
from inference.calibration.sample import Sample, slides_of
from inference.calibration.units import pool_of, units_of
from inference.grade import GRADE_NAMES, GRADES, HueValueThresholds


class Concern(StrEnum):
    """Words of warnings."""

    ONE_SLIDE = "ONE_SLIDE"
    FEW_SLIDES = "FEW_SLIDES"
    FEW_REGIONS = "FEW_REGIONS"
    FEW_NUCLEI = "FEW_NUCLEI"
    ONE_SIDED = "ONE_SIDED"
    GRADE_RARE = "GRADE_RARE"
    NO_STAINED_NUCLEI = "NO_STAINED_NUCLEI"
    ONE_COMPARTMENT = "ONE_COMPARTMENT"
    NOTHING_FOUND = "NOTHING_FOUND"
    FEW_MATCHED = "FEW_MATCHED"
    FLAT_OPTIMUM = "FLAT_OPTIMUM"
    HUE_UNDECIDED = "HUE_UNDECIDED"
    DUPLICATE_ANNOTATIONS = "DUPLICATE_ANNOTATIONS"
    CONTRADICTORY_ANNOTATIONS = "CONTRADICTORY_ANNOTATIONS"
    OFF_TISSUE = "OFF_TISSUE"
    SCANNERS_DIFFER = "SCANNERS_DIFFER"
    PIXEL_SIZES_DIFFER = "PIXEL_SIZES_DIFFER"
    PIXEL_SIZE_DOUBTFUL = "PIXEL_SIZE_DOUBTFUL"
    REGIONS_OVERLAP = "REGIONS_OVERLAP"
    POOR_FIT = "POOR_FIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One concern, and what to do."""

    concern: Concern
    text: str


ENOUGH_SLIDES, ENOUGH_REGIONS, ENOUGH_NUCLEI, ENOUGH_OF_A_GRADE = 4, 6, 500, 20
"""Slides: the paper's four. The others are ours."""
ONE_SIDED_SPAN = 60.0
"""H-score points that the units should span at least, to say anything of thresholds between."""
LEAST_MATCHED = 0.5
FLAT_WIDTH = {"left": 50.0, "right": 50.0, "weak": 0.3, "moderate": 0.3, "strong": 0.3}
"""Levels, or density: a threshold that may lie anywhere in more isn't decided. Few nuclei lie between brown and blue,
so that of hue is flat by nature."""
POOR = {Objective.H_SCORE: 10.0, Objective.GRADES: 0.4}
"""Loss above which thresholds don't explain the annotations: H-score points, or 1 - kappa."""
MISSED = {Objective.H_SCORE: "{:.1f} points of the H-score on average", Objective.GRADES: "1 - kappa {:.2f}"}
HUES_APART = 40
"""Degrees by which the two ways to the hue threshold may differ."""


def concerns(samples: Sequence[Sample], fitted: Fit) -> Iterator[Advice]:
    """All of the samples and the fit, in the order of Concern."""
    yield from _amount(samples)
    yield from _sides(samples)
    yield from _compartments(samples)
    yield from _matching(samples)
    yield from _flatness(fitted)
    if fitted.loss > POOR[fitted.by]:
        text = (
            f"even the best criteria miss what was annotated ({MISSED[fitted.by].format(fitted.loss)}):"
            " check that each annotation is of its image, the pixel sizes, and the grades"
        )
        yield Advice(concern=Concern.POOR_FIT, text=text)


def _amount(samples: Sequence[Sample]) -> Iterator[Advice]:
    slides, nuclei = len(slides_of(samples)), sum(nuclei_of(s) for s in samples)
    if slides == 1:
        text = "all regions are of one slide, so no error on a slide left out can be given: add others"
        yield Advice(concern=Concern.ONE_SLIDE, text=text)
    elif slides < ENOUGH_SLIDES:
        text = f"{slides} slides are few: {ENOUGH_SLIDES} or more show how a new one will fare"
        yield Advice(concern=Concern.FEW_SLIDES, text=text)
    if len(samples) < ENOUGH_REGIONS:
        text = f"{len(samples)} regions are few: annotate {ENOUGH_REGIONS} or more"
        yield Advice(concern=Concern.FEW_REGIONS, text=text)
    if nuclei < ENOUGH_NUCLEI:
        yield Advice(concern=Concern.FEW_NUCLEI, text=f"{nuclei} nuclei are few: annotate {ENOUGH_NUCLEI} or more")


def _sides(samples: Sequence[Sample]) -> Iterator[Advice]:
    values = [u.value for u in units_of(pool_of(samples))]
    if values and max(values) - min(values) < ONE_SIDED_SPAN:
        text = f"the H-scores lie between {min(values):.0f} and {max(values):.0f}: add slides that stain more, and less"
        yield Advice(concern=Concern.ONE_SIDED, text=text)
    grades = by_grade(samples)
    rare = [GRADE_NAMES[g] for g in range(GRADES) if grades[g] < ENOUGH_OF_A_GRADE]
    if grades.any() and rare:
        text = f"fewer than {ENOUGH_OF_A_GRADE} nuclei are {', '.join(rare)}: add regions that hold such"
        yield Advice(concern=Concern.GRADE_RARE, text=text)


def _compartments(samples: Sequence[Sample]) -> Iterator[Advice]:
    annotated = [s.annotated for s in samples if s.annotated is not None]
    known = []
    for i, name in enumerate(COMPARTMENTS):
        grade = np.concatenate([a.grade[a.compartment == i] for a in annotated]) if annotated else np.zeros(0)
        known += [name] if len(grade) else []
        if len(grade) and not grade.any():
            text = f"no annotated nucleus of {name} is stained: its thresholds rest on the other nuclei alone"
            yield Advice(concern=Concern.NO_STAINED_NUCLEI, text=text)
    if len(known) == 1:
        text = f"only nuclei of {known[0]} are annotated: how others fare isn't known; annotate every class"
        yield Advice(concern=Concern.ONE_COMPARTMENT, text=text)


def _matching(samples: Sequence[Sample]) -> Iterator[Advice]:
    bare = [s.name for s in samples if len(s.cells) == 0]
    if bare:
        text = f"no nucleus was found in {', '.join(bare)}: check image, pixel size and region"
        yield Advice(concern=Concern.NOTHING_FOUND, text=text)
    poor = [s.name for s in samples if (share := matched_share(s)) is not None and share < LEAST_MATCHED]
    if poor:
        text = f"fewer than half of the annotated nuclei were found in {', '.join(poor)}: check mpp and coordinates"
        yield Advice(concern=Concern.FEW_MATCHED, text=text)


def _flatness(fitted: Fit) -> Iterator[Advice]:
    wide = [
        f"{name} {low:g} to {high:g}"
        for name, (low, high) in fitted.flat.ranges.items()
        if high - low > FLAT_WIDTH.get(name, np.inf)
    ]
    if wide:
        text = f"criteria within one point of the best range widely ({', '.join(wide)}): add regions, or fit by grades"
        yield Advice(concern=Concern.FLAT_OPTIMUM, text=text)


def hue_concern(one: Fit, other: Fit) -> Iterator[Advice]:
    """Two ways to the hue threshold that lead far apart: one of them cuts through a peak of hues."""
    hues = [f.criteria.hue for f in (one, other) if isinstance(f.criteria, HueValueThresholds)]
    if len(hues) == 2 and abs(hues[0] - hues[1]) > HUES_APART:
        text = (
            f"the hue threshold is {hues[0]} one way and {hues[1]} the other (search, peaks), at errors of"
            f" {one.loss:.2f} and {other.loss:.2f}: prefer --hue-by peaks, or fit by grades"
        )
        yield Advice(concern=Concern.HUE_UNDECIDED, text=text)


def matched_share(sample: Sample) -> float | None:
    """Of the annotated nuclei, those that were found; None where none are annotated."""
    if sample.annotated is None or len(sample.annotated) == 0:
        return None
    return len(sample.grade) / len(sample.annotated)


def nuclei_of(sample: Sample) -> int:
    """Annotated nuclei, or found ones where only a score was given."""
    return len(sample.cells) if sample.annotated is None else len(sample.annotated)


def by_grade(samples: Sequence[Sample]) -> "np.typing.NDArray[np.int64]":
    """(4,) annotated nuclei."""
    graded = [s.annotated.grade for s in samples if s.annotated is not None]
    return np.bincount(np.concatenate(graded) if graded else np.zeros(0, np.uint8), minlength=GRADES).astype(np.int64)
