"""What an analysis found on a slide, whatever the profile (values only; `inference.analyze` makes them)."""

from dataclasses import dataclass

from inference.cells.histograms import Histograms
from inference.slide import SlideFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What found the cells: name, version, every graph's SHA-256 by name, the digest of all, the engine that ran them.

    `sha256` is of all that the answers depend on, graphs and counting threshold: what a result's identity follows from.
    """

    name: str
    version: str
    sha256: str
    graphs: tuple[tuple[str, str], ...]
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
        return self.histograms.n
