"""A pathologist's own estimate of a score, beside the one that was computed. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inference.analyzers.nuclear import H_SCORE
from inference.assay import Assay, assay_of
from inference.calibration.agreement import CategoryAgreement, NumberAgreement, of_categories, of_numbers
from inference.measures import PERCENT, Measure
from server.domain.errors import Refused, ServiceReason
from server.domain.result import Result, ResultId, ResultSummary
from server.domain.validation import Agreement, agreement_of

MOST = {H_SCORE.code: 300.0}
"""Of measures that end elsewhere than at 100 %."""


Said = float | str
"""A number in its measure's unit, or a category's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a caller says of a region, as a number, as a word, or as both where both are the same."""

    number: float | None = None
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """`score_shown`: whoever estimated had seen the score before, or may have."""

    result_id: ResultId
    by: str
    at: datetime
    measure: str
    region: str
    value: Said
    score_shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An estimate, and the score of the result that it is of."""

    estimate: Estimate
    lab: str
    marker: str
    score: Said


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateFilter:
    """Joined by AND; None and empty mean any. `shown`: those too that were made when the score may have been seen."""

    marker: str = ""
    reader: str = ""
    made_from: datetime | None = None
    made_until: datetime | None = None
    shown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAgreement:
    """Score less estimate, or how often categories are the same, of one marker of a laboratory, by one reader; `reader`
    empty: by all of them.
    """

    lab: str
    marker: str
    reader: str
    agreement: Agreement


def asked_measure(assay: Assay) -> Measure:
    """What is estimated: the assay's first measure, a number or a category."""
    return assay.measures[0]


def most_of(measure: Measure) -> float | None:
    """The largest value that there is; None where it has no end."""
    return 100.0 if measure.unit == PERCENT else MOST.get(measure.code)


def asked_regions(result: ResultSummary) -> Sequence[str]:
    """Regions with a score that can be estimated, in the order of its rows."""
    measure = asked_measure(result.assay)
    return [row.region for row in result.scores if row.measure == measure.code and not row.absent]


def check_estimate(result: Result, given: Mapping[str, Given]) -> tuple[Measure, Mapping[str, Said]]:
    """What is estimated, at what by region. Raises Refused FIELD_MISSING, ARGUMENT_INVALID naming region and range."""
    measure, regions = asked_measure(result.assay), asked_regions(result)
    if not regions:
        raise _invalid(f"{result.marker} has no score here to be estimated: it is withheld, or of no cells")
    if not given:
        raise Refused(ServiceReason.FIELD_MISSING, f"values are missing: give one of {', '.join(regions)} at least")
    if not given.keys() <= set(regions):
        raise _invalid(f"a value's region is none of {', '.join(regions)}")
    return measure, {region: _said(measure, region, one) for region, one in given.items()}


def _said(measure: Measure, region: str, given: Given) -> Said:
    if measure.categorical:
        if given.word not in measure.categories:
            raise _invalid(f"the {measure.display} of {region} is none of {', '.join(measure.categories)}")
        return given.word
    most, value = most_of(measure), given.number
    known = value is not None and math.isfinite(value) and given.word in ("", f"{value:g}")
    if value is None or not known or value < 0 or (most is not None and value > most):
        raise _invalid(f"the {measure.display} of {region} isn't 0 {'and above' if most is None else f'to {most:g}'}")
    return value


def counted(found: Iterable[Compared]) -> list[Compared]:
    """Of what a reader said of a result's region again and again, the last; `found` oldest first."""
    last = {(c.estimate.result_id, c.estimate.by, c.estimate.region): c for c in found}
    return sorted(last.values(), key=lambda c: c.estimate.at)


def agreements(found: Sequence[Compared]) -> list[ReaderAgreement]:
    """By laboratory, marker and region: of all readers, then of each."""
    groups: dict[tuple[str, str, str, str, str], list[Compared]] = {}
    for one in found:
        key = (one.lab, one.marker, one.estimate.measure, one.estimate.region)
        for reader in ("", one.estimate.by):
            groups.setdefault((*key, reader), []).append(one)
    return [_agreement(key, groups[key]) for key in sorted(groups)]


def _agreement(key: tuple[str, str, str, str, str], of: Sequence[Compared]) -> ReaderAgreement:
    lab, marker, code, region, reader = key
    measure = next(m for m in assay_of(marker).measures if m.code == code)
    scores, said = [c.score for c in of], [c.estimate.value for c in of]
    if measure.categorical:
        found: NumberAgreement | CategoryAgreement = of_categories(
            list(map(str, scores)), list(map(str, said)), measure.categories
        )
    else:
        found = of_numbers(list(map(float, scores)), list(map(float, said)))
    agreement = agreement_of(measure, region, found)
    return ReaderAgreement(lab=lab, marker=marker, reader=reader, agreement=agreement)


def _invalid(message: str) -> Refused:
    return Refused(ServiceReason.ARGUMENT_INVALID, message)
