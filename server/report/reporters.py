"""Every reporter of DICOM artifacts, for whoever wires them."""

from collections.abc import Callable
from dataclasses import dataclass

from pydicom import Dataset

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind
from server.domain.result import Result
from server.report.ann import build_ann
from server.report.keep import keep_beside_cells
from server.report.score_map import build_map
from server.report.seg import build_seg
from server.report.source import kept_source
from server.report.sr import SrReporter

__all__ = ["ANN_REPORTER", "MAP_REPORTER", "SEG_REPORTER", "CellsReporter", "SrReporter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsReporter:
    """Of the cells, once, when they are found: `make` builds it of a result and its slide's header."""

    kind: ArtifactKind
    make: Callable[[Result, list[Dataset]], Dataset | None]
    events: frozenset[EventKind] = frozenset({EventKind.PRELIMINARY})

    def build(self, event: Event) -> Artifact | None:
        """None where there is no cell, or the slide's header wasn't kept. Raises as SrReporter."""
        result = event.result
        header = kept_source(result) if result is not None and event.kind in self.events else []
        if result is None or not header:
            return None
        return keep_beside_cells(self.kind, result, self.make(result, header))


ANN_REPORTER = CellsReporter(kind=ArtifactKind.ANN, make=build_ann)
"""Every cell as an annotation."""
SEG_REPORTER = CellsReporter(kind=ArtifactKind.SEG, make=build_seg)
"""The map at low power."""
MAP_REPORTER = CellsReporter(kind=ArtifactKind.MAP, make=build_map)
"""The score over the slide, at low power."""
