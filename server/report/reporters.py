"""The DICOM artifacts of an event (`server.domain.events.Reporter`): one class each. They build and never send.

What a worker found is reported beside its cells; what a pathologist signed, in the order's folder `signed`. The slide
is known by its kept header, since the slide itself may be gone.
"""

from io import BytesIO
from pathlib import Path

import structlog
from pydicom import Dataset

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind, Signing
from server.domain.result import Result
from server.report.ann import build_ann
from server.report.identity import write
from server.report.keep import digest_of, keep
from server.report.seg import build_seg
from server.report.source import read_source
from server.report.sr import Document, Signature, build_sr, signed

log = structlog.get_logger()

SIGNED_FOLDER = "signed"


class SrReporter:
    """The structured report: preliminary, and verified once a pathologist signed."""

    kind = ArtifactKind.SR
    events = frozenset({EventKind.PRELIMINARY, EventKind.FINAL, EventKind.CORRECTED})

    def __init__(self, folder: Path) -> None:
        """`folder` holds the results' files."""
        self._folder = folder

    def build(self, event: Event) -> Artifact | None:
        """None where the slide's header wasn't kept. Raises Refused as `build_sr`, Failed where it can't be written."""
        result = _reported(event, self.events)
        header = _header_of(result, self.kind)
        if result is None or not header:
            return None
        report = build_sr(result, event.order, header, _signature(event))
        if event.kind is EventKind.PRELIMINARY:
            path = result.cells_file.with_name("sr.dcm")
            write(report, path)
        else:
            content = _bytes_of(report)
            name = f"{result.id}-{event.kind}-{digest_of(content)}.dcm"  # another signer or time is another document
            path = self._folder / event.order.id / SIGNED_FOLDER / name
            keep(path, content)
        return Artifact(kind=self.kind, path=path, identifier=str(report.SOPInstanceUID))


class AnnReporter:
    """Every cell as an annotation."""

    kind = ArtifactKind.ANN
    events = frozenset({EventKind.PRELIMINARY})

    def __init__(self, folder: Path) -> None:
        """`folder` holds the results' files."""
        self._folder = folder

    def build(self, event: Event) -> Artifact | None:
        """None where there is no cell, or the slide's header wasn't kept. Raises as SrReporter."""
        result = _reported(event, self.events)
        header = _header_of(result, self.kind)
        if result is None or not header:
            return None
        return _beside_cells(self.kind, result, build_ann(result, header))


class SegReporter:
    """The map at low power."""

    kind = ArtifactKind.SEG
    events = frozenset({EventKind.PRELIMINARY})

    def __init__(self, folder: Path) -> None:
        """`folder` holds the results' files."""
        self._folder = folder

    def build(self, event: Event) -> Artifact | None:
        """None where there is no cell, or the slide's header wasn't kept. Raises as SrReporter."""
        result = _reported(event, self.events)
        header = _header_of(result, self.kind)
        if result is None or not header:
            return None
        return _beside_cells(self.kind, result, build_seg(result, header))


def _reported(event: Event, told: frozenset[EventKind]) -> Result | None:
    return event.result if event.kind in told else None


def _header_of(result: Result | None, kind: ArtifactKind) -> list[Dataset]:
    """Of the slide's largest image, to which reports are tied; none, with a line in the log, where it is gone."""
    if result is None:
        return []
    kept = [a.path for a in result.artifacts if a.kind is ArtifactKind.HEADER and a.path.is_file()]
    if not kept:
        log.warning("report_not_built", result=result.id, kind=kind.value, missing=ArtifactKind.HEADER.value)
        return []
    return read_source(kept[0])


def _signature(event: Event) -> Signature | None:
    signing = event.signing
    if event.kind is EventKind.PRELIMINARY:
        return None
    assert signing is not None, "an event of a signature says who signed"
    lab, state = event.order.request.lab, event.kind.value
    return Signature(by=signing.by, lab=lab, at=signing.at, state=state, replaces=_replaced(signing))


def _replaced(signing: Signing) -> Document:
    if signing.replaces_event is EventKind.PRELIMINARY:
        return Document(result_id=signing.replaces_result)
    return signed(signing.replaces_result, signing.replaces_event.value, signing.replaces_by)


def _beside_cells(kind: ArtifactKind, result: Result, report: Dataset | None) -> Artifact | None:
    if report is None:
        return None
    path = result.cells_file.with_name(f"{kind.value.lower()}.dcm")
    write(report, path)
    return Artifact(kind=kind, path=path, identifier=str(report.SOPInstanceUID))


def _bytes_of(report: Dataset) -> bytes:
    content = BytesIO()
    report.save_as(content, enforce_file_format=True)
    return content.getvalue()
