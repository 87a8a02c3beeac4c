"""A laboratory's validation of a profile's revision for one marker and model: agreement with a reference, signed."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from inference.calibration.agreement import CategoryAgreement, NumberAgreement
from inference.measures import Measure

ValidationId = NewType("ValidationId", str)
"""UUID, canonical text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of one measure in one region."""

    measure: str
    display: str
    region: str
    unit: str
    found: NumberAgreement | CategoryAgreement


def agreement_of(measure: Measure, region: str, found: NumberAgreement | CategoryAgreement) -> Agreement:
    return Agreement(measure=measure.code, display=measure.display, region=region, unit=measure.unit, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who (a token's subject), when (UTC)."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What a validation found over `slides` slides, `same` of which were signed under the same criteria."""

    name: str
    revision: int
    marker: str
    model_sha256: str
    slides: int
    same: int
    agreements: tuple[Agreement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation(Computed):
    """Kept: computed by `by` at `made_at`, and signed by so many."""

    id: ValidationId
    lab: str
    by: str
    made_at: datetime
    signatures: tuple[Signature, ...]
