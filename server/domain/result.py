"""A result: what was found on a slide under one profile and model. Never changed; a new one names its predecessor."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NewType

from inference.analysis import Analysis, AnalysisSummary
from inference.score import CompartmentScore
from server.domain.order import OrderId
from server.domain.profile import Profile

ResultId = NewType("ResultId", str)
"""UUID, canonical text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One score a compartment, and for all nuclei."""

    stroma: CompartmentScore
    epithelium: CompartmentScore
    all: CompartmentScore


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSummary:
    """A result as lists have it, without its histograms.

    `nuclei_file` is the Parquet file of its nuclei; `software` the version of chromogen that made it, empty where that
    wasn't kept.
    """

    id: ResultId
    order_id: OrderId | None
    created_at: datetime
    profile: Profile
    scores: Scores
    analysis: AnalysisSummary
    nuclei_file: Path
    warnings: tuple[str, ...]
    predecessor: ResultId | None = None
    software: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(ResultSummary):
    """Whole: `analysis` holds all that no profile changes."""

    analysis: Analysis
