"""Storing one instance by STOW-RS (PS3.18, 10.5), and what the archive says of it."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server.archive.multipart import closing, opening
from server.archive.web import CHUNK, Answer, Web, away, object_refused, wrong
from server.domain.errors import Failed, ServiceReason
from server.slides.dicom_header import InstanceHeader

FAILED, REFERENCED, REASON = "00081198", "00081199", "00081197"
INSTANCE = "00081155"

# Failure Reason (PS3.3 C.14.1.1, PS3.18 Table I.2-2): what trying again changes nothing of, and what it does.
_CLASS_REFUSED = frozenset({0x0122, 0x0124, 0x0119, 0x0117, 0xC122})
_HAS_IT = frozenset({0x0111})
_DOES_NOT_FIT = range(0xA900, 0xAA00)
_CANNOT_UNDERSTAND = range(0xC000, 0xD000)


class _File:
    """A file as the body of a request; each walk gives the same bytes."""

    def __init__(self, path: Path, boundary: bytes) -> None:
        self._path, self._boundary = path, boundary
        self.size = path.stat().st_size + len(opening(boundary)) + len(closing(boundary))

    def __iter__(self) -> Iterator[bytes]:
        yield opening(self._boundary)
        with self._path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
        yield closing(self._boundary)


def store_instance(web: Web, path: Path, header: InstanceHeader) -> None:
    """Send a file; it is taken, or was there already, as far as the archive says.

    Raises Failed OBJECT_REFUSED where the archive will not have it however often it is sent; ARCHIVE_UNREACHABLE,
    ARCHIVE_DENIED, ARCHIVE_ANSWER (all retryable), DELIVERY_FAILED where the file can't be read (retryable).
    """
    boundary = uuid.uuid4().hex.encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary.decode()}'
    try:
        body = _File(path, boundary)
    except OSError as error:
        message = f"{path.name} can't be read ({type(error).__name__})"
        raise Failed(ServiceReason.DELIVERY_FAILED, message, retryable=True) from None
    answer = web.send("an object to be kept", "/studies", body, size=body.size, content_type=kind)
    _check_taken(answer, header)


def _check_taken(answer: Answer, header: InstanceHeader) -> None:
    failed, kept = _instances(answer.body, FAILED), _instances(answer.body, REFERENCED)
    if header.sop_instance_uid in failed:
        _check_failure(failed[header.sop_instance_uid])
        return
    if answer.status in (200, 202) and (header.sop_instance_uid in kept or not (failed or kept)):
        return
    if answer.status in (413, 415):
        raise object_refused(f"status {answer.status}")
    if answer.status == 409 and not kept:
        _check_failure(next(iter(failed.values()), 0))
        return
    raise wrong("an object to be kept", f"is status {answer.status}, and doesn't say that it was kept")


def _check_failure(reason: int) -> None:
    if reason in _HAS_IT:
        return
    if reason in _CLASS_REFUSED or reason in _DOES_NOT_FIT or reason in _CANNOT_UNDERSTAND:
        raise object_refused(f"failure reason {reason:04X}H")
    raise away("an object to be kept", f"failure reason {reason:04X}H")


def _instances(body: bytes, sequence: str) -> dict[str, int]:
    """SOP instance UID -> failure reason (0: none) of a sequence in the answer; none where it says nothing."""
    try:
        answer = json.loads(body or b"{}")
        rows: list[dict[str, Any]] = answer.get(sequence, {}).get("Value") or []
        return {str(_first(row, INSTANCE)): int(_first(row, REASON) or 0) for row in rows}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _first(row: dict[str, Any], tag: str) -> Any:
    return (row.get(tag, {}).get("Value") or [None])[0]
