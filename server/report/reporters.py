"""Every reporter of DICOM artifacts, for whoever wires them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom import Dataset

from server.domain.artifact import Artifact, ArtifactKind, Coordinates
from server.domain.events import Event, EventKind
from server.domain.result import Result
from server.report.ann import ann_parts
from server.report.capture import captures
from server.report.keep import beside_cells, file_name, keep_parts, signed_folder
from server.report.score_map import build_map
from server.report.seg import build_seg
from server.report.source import kept_source
from server.report.sr import SrReporter

__all__ = ["CellsReporter", "SrReporter", "ann_reporter", "capture_reporter", "map_reporter", "seg_reporter"]

CELLS_EVENTS = frozenset({EventKind.PRELIMINARY, EventKind.FINAL, EventKind.CORRECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsReporter:
    """Of the cells, once: when they are found, or when a result that was scored anew is signed.

    `make` builds its objects of a result and its slide's header; `folder` holds the results' files.
    """

    kind: ArtifactKind
    make: Callable[[Result, list[Dataset]], Iterable[Dataset]]
    folder: Path
    events: frozenset[EventKind] = CELLS_EVENTS

    def build(self, event: Event) -> Artifact | None:
        """None where there is no cell, they were sent before, or the slide's header wasn't kept. Raises as
        SrReporter.
        """
        result = event.result
        if result is None or event.kind not in self.events:
            return None
        anew = result.predecessor is not None
        header = kept_source(result) if anew is not (event.kind is EventKind.PRELIMINARY) else []
        return keep_parts(self.kind, self._place(event, result), self.make(result, header)) if header else None

    def _place(self, event: Event, result: Result) -> Callable[[int], Path]:
        """Of a part: beside the cells, which one that was scored anew has where its predecessor has them."""
        if result.predecessor is None:
            return lambda part: beside_cells(result, self.kind, part)
        folder = signed_folder(self.folder, event.order)
        folder.mkdir(parents=True, exist_ok=True)
        return lambda part: folder / f"{result.id}-{file_name(self.kind, part)}"


def one(report: Dataset | None) -> Iterable[Dataset]:
    """Of what is never split."""
    return () if report is None else (report,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnReporter:
    """Every cell as an annotation, in the `coordinates` that its laboratory wants."""

    folder: Path
    coordinates: Callable[[str], Coordinates]
    kind: ArtifactKind = ArtifactKind.ANN
    events: frozenset[EventKind] = CELLS_EVENTS

    def build(self, event: Event) -> Artifact | None:
        """As CellsReporter."""
        wanted = self.coordinates(event.order.request.lab)
        make = partial(ann_parts, coordinates=wanted)
        return CellsReporter(kind=self.kind, make=make, folder=self.folder).build(event)


def ann_reporter(folder: Path, coordinates: Callable[[str], Coordinates] = lambda _: Coordinates.PIXELS) -> AnnReporter:
    """`coordinates` by laboratory."""
    return AnnReporter(folder=folder, coordinates=coordinates)


def seg_reporter(folder: Path) -> CellsReporter:
    """The map at low power."""
    return CellsReporter(kind=ArtifactKind.SEG, make=lambda r, source: one(build_seg(r, source)), folder=folder)


def map_reporter(folder: Path) -> CellsReporter:
    """The score over the slide, at low power."""
    return CellsReporter(kind=ArtifactKind.MAP, make=lambda r, source: one(build_map(r, source)), folder=folder)


def capture_reporter(folder: Path) -> CellsReporter:
    """The picture of the slide, of a worker's result: nothing draws that of one that was scored anew."""
    events = frozenset({EventKind.PRELIMINARY})
    return CellsReporter(kind=ArtifactKind.SC, make=captures, folder=folder, events=events)
