"""Every reporter of DICOM artifacts, for whoever wires them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydicom import Dataset

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind
from server.domain.result import Result
from server.report.ann import ann_parts
from server.report.keep import keep_parts_beside_cells
from server.report.score_map import build_map
from server.report.seg import build_seg
from server.report.source import kept_source
from server.report.sr import SrReporter

__all__ = ["ANN_REPORTER", "MAP_REPORTER", "SEG_REPORTER", "CellsReporter", "SrReporter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsReporter:
    """Of the cells, once, when they are found: `make` builds its objects of a result and its slide's header."""

    kind: ArtifactKind
    make: Callable[[Result, list[Dataset]], Iterable[Dataset]]
    events: frozenset[EventKind] = frozenset({EventKind.PRELIMINARY})

    def build(self, event: Event) -> Artifact | None:
        """None where there is no cell, or the slide's header wasn't kept. Raises as SrReporter."""
        result = event.result
        header = kept_source(result) if result is not None and event.kind in self.events else []
        if result is None or not header:
            return None
        return keep_parts_beside_cells(self.kind, result, self.make(result, header))


def one(report: Dataset | None) -> Iterable[Dataset]:
    """Of what is never split."""
    return () if report is None else (report,)


ANN_REPORTER = CellsReporter(kind=ArtifactKind.ANN, make=ann_parts)
"""Every cell as an annotation."""
SEG_REPORTER = CellsReporter(kind=ArtifactKind.SEG, make=lambda result, source: one(build_seg(result, source)))
"""The map at low power."""
MAP_REPORTER = CellsReporter(kind=ArtifactKind.MAP, make=lambda result, source: one(build_map(result, source)))
"""The score over the slide, at low power."""
