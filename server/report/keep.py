"""Keeps artifacts as files, each whole or not at all."""

import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.order import Order
from server.domain.result import Result
from server.report.identity import write

SIGNED_FOLDER = "signed"
"""In an order's folder: what pathologists signed."""
DIGEST_LENGTH = 12


def signed_folder(folder: Path, order: Order) -> Path:
    """Of an order, in the folder of results' files."""
    return folder / order.id / SIGNED_FOLDER


def digest_of(content: bytes) -> str:
    """For a name: the same content has the same, another another."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]


def keep(path: Path, content: bytes) -> None:
    """Write a file; it appears under its name when whole, and two may write it at once.

    Raises Failed DELIVERY_FAILED.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{uuid.uuid4()}.part")
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        raise Failed(
            ServiceReason.DELIVERY_FAILED, "the report can't be written: is the disk full?", retryable=True
        ) from None


def beside_cells(result: Result, kind: ArtifactKind, part: int = 1) -> Path:
    """Where a DICOM report of a result lies, or a part of it, from 1."""
    return result.cells_file.with_name(file_name(kind, part))


def parts_of(result: Result, kind: ArtifactKind) -> range:
    """Numbers of the files of a kind that lie beside a result's cells."""
    there = len(list(result.cells_file.parent.glob(file_name(kind).replace(".", "-*."))))
    return range(1, there + 2) if beside_cells(result, kind).is_file() else range(0)


def file_name(kind: ArtifactKind, part: int = 1) -> str:
    return f"{kind.value.lower()}.dcm" if part == 1 else f"{kind.value.lower()}-{part}.dcm"


def keep_parts(kind: ArtifactKind, place: Callable[[int], Path], reports: Iterable[Dataset]) -> Artifact | None:
    """Each where its number, from 1, says, as it comes: one at a time is held. None where there is none.

    Raises Failed OUTPUT_NOT_WRITABLE.
    """
    files = [_kept(kind, place(part), report) for part, report in enumerate(reports, start=1)]
    return replace(files[0], more=tuple(files[1:])) if files else None


def keep_beside_cells(kind: ArtifactKind, result: Result, report: Dataset | None) -> Artifact | None:
    """A DICOM report of what a worker found, where the cells' file lies; None where there is no report.

    Raises Failed OUTPUT_NOT_WRITABLE.
    """
    return None if report is None else _kept(kind, beside_cells(result, kind), report)


def _kept(kind: ArtifactKind, path: Path, report: Dataset) -> Artifact:
    write(report, path)
    return Artifact(kind=kind, path=path, identifier=str(report.SOPInstanceUID))
