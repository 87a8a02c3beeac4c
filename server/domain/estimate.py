"""A pathologist's own estimate of a score, beside the one that was computed. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inference.analyzers.nuclear import H_SCORE
from inference.assay import Assay, assay_of
from inference.calibration.agreement import of_numbers
from inference.measures import PERCENT, Measure
from server.domain.errors import Refused, ServiceReason
from server.domain.result import Result, ResultId, ResultSummary
from server.domain.validation import Agreement, agreement_of

MOST = {H_SCORE.code: 300.0}
"""Of measures that end elsewhere than at 100 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """`score_shown`: whoever estimated had seen the score before, or may have."""

    result_id: ResultId
    by: str
    at: datetime
    measure: str
    region: str
    value: float
    score_shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An estimate, and the score of the result that it is of."""

    estimate: Estimate
    lab: str
    marker: str
    score: float


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
    """Score less estimate, of one marker of a laboratory, by one reader; `reader` empty: by all of them."""

    lab: str
    marker: str
    reader: str
    agreement: Agreement


def asked_measure(assay: Assay) -> Measure | None:
    """What is estimated: the assay's first measure; None where that is a category."""
    first = assay.measures[0]
    return None if first.categorical else first


def most_of(measure: Measure) -> float | None:
    """The largest value that there is; None where it has no end."""
    return 100.0 if measure.unit == PERCENT else MOST.get(measure.code)


def asked_regions(result: ResultSummary) -> Sequence[str]:
    """Regions with a score that can be estimated, in the order of its rows."""
    measure = asked_measure(result.assay)
    rows = () if measure is None else (row for row in result.scores if row.measure == measure.code)
    return [row.region for row in rows if row.value is not None]


def check_estimate(result: Result, values: Mapping[str, float]) -> Measure:
    """What is estimated. Raises Refused FIELD_MISSING, ARGUMENT_INVALID naming region and range."""
    measure, regions = asked_measure(result.assay), asked_regions(result)
    if measure is None or not regions:
        raise _invalid(
            f"{result.marker} has no number here to be estimated: its first score is a category, or withheld"
        )
    if not values:
        raise Refused(ServiceReason.FIELD_MISSING, f"values are missing: give one of {', '.join(regions)} at least")
    most = most_of(measure)
    for region, value in values.items():
        if region not in regions:
            raise _invalid(f"a value's region is none of {', '.join(regions)}")
        if not math.isfinite(value) or value < 0 or (most is not None and value > most):
            raise _invalid(
                f"the {measure.display} of {region} isn't 0 {'and above' if most is None else f'to {most:g}'}"
            )
    return measure


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
    numbers = of_numbers([c.score for c in of], [c.estimate.value for c in of])
    agreement = agreement_of(measure, region, numbers)
    return ReaderAgreement(lab=lab, marker=marker, reader=reader, agreement=agreement)


def _invalid(message: str) -> Refused:
    return Refused(ServiceReason.ARGUMENT_INVALID, message)
