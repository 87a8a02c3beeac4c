"""What an analysis found on a slide, whatever the profile (values only; `inference.analyze` makes them)."""

from dataclasses import dataclass

from inference.nuclei import Histograms
from inference.slide import SlideFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What found the nuclei: name, version, SHA-256 of the graphs, the engine that ran them."""

    name: str
    version: str
    sha256: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TileCounts:
    """Tiles of the grid that hold tissue: planned, analysed, unreadable; `overflowed` had more peaks than places."""

    planned: int
    analysed: int
    unreadable: int
    overflowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSummary:
    """An analysis but for its histograms."""

    slide: SlideFacts
    model: ModelFacts
    tissue_mm2: float
    tiles: TileCounts
    seconds: dict[str, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis(AnalysisSummary):
    """What a model found on a slide, whatever the profile."""

    histograms: Histograms

    @property
    def n(self) -> int:
        return int(self.histograms.density.sum())
