"""Keeps an artifact's bytes under a name that tells two contents apart."""

import hashlib
import uuid
from pathlib import Path

from server.domain.errors import Failed, ServiceReason

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
