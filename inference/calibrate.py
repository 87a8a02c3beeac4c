"""A laboratory's own criteria for nuclear stains, from regions that a pathologist graded or scored.

The fit is exact over all criteria there are (`inference.calibration.search`, `.kappa`); beside it stand the error on
slides left out, the interval of each threshold, how flat the optimum is, and what makes the fit doubtful.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference.analyzers.nuclear import graded
from inference.calibration.concerns import Advice, by_grade, concerns, hue_concern, matched_share, nuclei_of
from inference.calibration.fit import Fit, HueBy, Objective, Settings, fit
from inference.calibration.left_out import LeftOut, intervals, left_out, mean_error
from inference.calibration.observers import Observed
from inference.calibration.sample import Sample, in_colour, slides_of
from inference.cells.values import joined
from inference.errors import Reason, Refused
from inference.grade import GRADE_NAMES, GRADES, HueValueThresholds, Thresholds
from inference.keypoints import weighted_kappa
from inference.measures import ALL, Interval

LEAST_FOUND, FOUND_OF = 0.2, 10
"""Share of a region's annotated nuclei, where there are as many; where fewer were found the pixel size or the
coordinates are wrong."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Way:
    """One way of fitting: the fit, its error on slides left out (by compartment, and of all nuclei), its intervals."""

    fit: Fit
    left_out: tuple[LeftOut, ...]
    left_out_all: tuple[LeftOut, ...]
    intervals: dict[str, Interval]

    @property
    def mean_error(self) -> float | None:
        """Mean absolute error over `left_out`, in points; None with one slide."""
        return mean_error(self.left_out)

    def mean_error_of(self, part: str) -> float | None:
        """Of a compartment, or of all nuclei."""
        return mean_error([row for row in (*self.left_out, *self.left_out_all) if row.part == part])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Calibration:
    """`chosen` is the fit asked for; `other` has the hue threshold found the other way, None where that isn't possible.

    `kappa` (quadratic weights) is of the matched nuclei under the chosen criteria, None without any. `n` nuclei.
    """

    settings: Settings
    chosen: Way
    other: Way | None
    kappa: float | None
    n: int
    slides: int
    regions: int
    advice: tuple[Advice, ...]


def calibrate(samples: Sequence[Sample], settings: Settings) -> Calibration:
    """Fit, validate, and say what is doubtful.

    Raises Refused CALIBRATION_IMPOSSIBLE where the samples decide nothing, or no nucleus is stained; ANNOTATION_INVALID
    where next to none of the annotated nuclei of a region were found.
    """
    samples = [in_colour(sample, settings.colour) for sample in samples]
    check(samples, settings)
    chosen, other = way(samples, settings), _other_way(samples, settings)
    apart = () if other is None else hue_concern(chosen.fit, other.fit)
    return Calibration(
        settings=settings,
        chosen=chosen,
        other=other,
        kappa=kappa_of(samples, chosen.fit.criteria),
        n=sum(nuclei_of(s) for s in samples),
        slides=len(slides_of(samples)),
        regions=len(samples),
        advice=(*concerns(samples, chosen.fit), *apart),
    )


def by_one(seen: Sequence[Observed], samples: Sequence[Sample], annotator: str, settings: Settings) -> Calibration:
    """Of one annotator's regions alone; `seen` and `samples` in the order of the regions.

    Raises Refused as `calibrate` does, naming the annotator.
    """
    own = [sample for each, sample in zip(seen, samples, strict=True) if each.annotator == annotator]
    try:
        return calibrate(own, settings)
    except Refused as error:
        raise Refused(error.reason, f"annotator {annotator or 'without a name'}: {error.message}") from None


def check(samples: Sequence[Sample], settings: Settings) -> None:
    """Raises Refused; see `calibrate`."""
    if not samples:
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, "no region is given: name some, with their annotations")
    for sample in samples:
        share = matched_share(sample)
        if (
            sample.annotated is not None
            and share is not None
            and len(sample.annotated) >= FOUND_OF
            and share < LEAST_FOUND
        ):
            message = (
                f"{sample.name}: {len(sample.grade)} of {len(sample.annotated)} annotated nuclei lie where one was"
                " found; check the pixel size, the coordinates and that this is the image that was annotated"
            )
            raise Refused(Reason.ANNOTATION_INVALID, message)
    values = [t.value for s in samples for t in s.targets if t.n != 0]
    if settings.by is Objective.GRADES and not any(len(s.grade) for s in samples):
        message = "no region has graded nuclei: grade some, or fit by h_score"
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, message)
    grades = by_grade(samples)
    if np.count_nonzero(grades) == 1 and not grades[0] and all(s.annotated is not None for s in samples):
        name = GRADE_NAMES[int(grades.argmax())]
        message = f"every annotated nucleus is {name}, so nothing says where thresholds lie: add regions with others"
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, message)
    if values and max(values) == 0:
        message = "no annotated nucleus is stained, so nothing says where the thresholds lie: add stained slides"
        raise Refused(Reason.CALIBRATION_IMPOSSIBLE, message)


def way(samples: Sequence[Sample], settings: Settings, *, with_intervals: bool = True) -> Way:
    rows = left_out(samples, settings)
    by_compartment = tuple(row for row in rows if row.part != ALL)
    whole = tuple(row for row in rows if row.part == ALL)
    return Way(
        fit=fit(samples, settings),
        left_out=by_compartment or whole,
        left_out_all=whole,
        intervals=intervals(samples, settings) if with_intervals else {},
    )


def _other_way(samples: Sequence[Sample], settings: Settings) -> Way | None:
    """With the hue threshold by peaks where it was searched, and the other way round."""
    if settings.method != HueValueThresholds.method:
        return None
    turned = HueBy.PEAKS if settings.hue_by is HueBy.SEARCH else HueBy.SEARCH
    try:
        return way(samples, replace(settings, hue_by=turned), with_intervals=False)
    except Refused:
        return None


def kappa_of(samples: Sequence[Sample], criteria: Thresholds) -> float | None:
    """Quadratic weighted kappa of the matched nuclei's grades; None where it isn't defined."""
    cells, annotated = joined([s.matched for s in samples]), np.concatenate([s.grade for s in samples])
    ours = graded(cells, criteria)
    table = np.bincount(annotated.astype(np.int64) * GRADES + ours, minlength=GRADES**2).reshape(GRADES, GRADES)
    kappa = weighted_kappa(table)
    return None if np.isnan(kappa) else kappa
