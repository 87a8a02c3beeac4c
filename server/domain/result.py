"""A result: what was found on a slide under one profile and model. Never changed; a new one names its predecessor."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NewType

from inference.analysis import Analysis, AnalysisSummary
from inference.assay import Assay, assay_of
from inference.measures import ALL, Measure, Score, find
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.change import Change
from server.domain.choice import ProfileChoice
from server.domain.control import NO_CONTROL, CoreCells, ResultControl
from server.domain.order import OrderId
from server.domain.profile import Profile

ResultId = NewType("ResultId", str)
"""UUID, canonical text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSummary:
    """A result as lists have it, without its histograms.

    `scores` are the rows that every report, message and answer says; `clinical_region` names the region that the
    marker's clinical score is about. `artifacts` are its files, the cells' among them. `software` is the version of
    chromogen that made it, empty where that wasn't kept. `choice` says why it is that profile; None where a person
    named it. `control` says what its controls came to: where that withholds the score, there are no rows. `run` is the
    order's.
    """

    id: ResultId
    order_id: OrderId | None
    created_at: datetime
    marker: str
    clinical_region: str
    profile: Profile
    scores: tuple[Score, ...]
    analysis: AnalysisSummary
    artifacts: tuple[Artifact, ...]
    warnings: tuple[str, ...]
    predecessor: ResultId | None = None
    change: Change | None = None
    """What persons changed since the analysis, where they did."""
    software: str = ""
    choice: ProfileChoice | None = None
    control: ResultControl = NO_CONTROL
    run: int = 1

    @property
    def assay(self) -> Assay:
        """Raises Refused ASSAY_UNSUPPORTED where the marker is no longer scored here."""
        return assay_of(self.marker)

    @property
    def research_use_only(self) -> bool:
        """Unless a validation of the laboratory's holds for profile, marker and model."""
        return self.choice is None or self.choice.validated is None

    @property
    def cells_file(self) -> Path:
        """The Parquet file of its cells. Raises KeyError where it has none."""
        return file_of(self.artifacts, ArtifactKind.CELLS)

    def score(self, measure: Measure, region: str = ALL) -> Score | None:
        """The row of a measure in a region."""
        return find(self.scores, measure, region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(ResultSummary):
    """Whole: `analysis` holds all that no profile changes, `cores` the cells of its control tissue."""

    analysis: Analysis
    cores: tuple[CoreCells, ...] = ()


def file_of(artifacts: Sequence[Artifact], kind: ArtifactKind) -> Path:
    """The path of the first artifact of a kind. Raises KeyError where there is none."""
    for artifact in artifacts:
        if artifact.kind is kind:
            return artifact.path
    raise KeyError(kind)
