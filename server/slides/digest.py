"""SHA-256 of files, streamed."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Hexadecimal, memory flat in the size of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
