"""Keeps artifacts as files, each whole or not at all."""

import hashlib
import uuid
from pathlib import Path

from pydicom import Dataset

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.result import Result
from server.report.identity import write

SIGNED_FOLDER = "signed"
"""In an order's folder: what pathologists signed."""
DIGEST_LENGTH = 12


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


def keep_beside_cells(kind: ArtifactKind, result: Result, report: Dataset | None) -> Artifact | None:
    """A DICOM report of what a worker found, where the cells' file lies; None where there is no report.

    Raises Failed OUTPUT_NOT_WRITABLE.
    """
    if report is None:
        return None
    path = result.cells_file.with_name(f"{kind.value.lower()}.dcm")
    write(report, path)
    return Artifact(kind=kind, path=path, identifier=str(report.SOPInstanceUID))
