"""What a folder archive's files say of themselves, kept on the disk: a start reads only the headers of others.

It is a copy of what the files say, patients' identifiers too: it lies in the data folder, for its account alone.
"""

import hashlib
import inspect
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom
import structlog
from pydantic import TypeAdapter, ValidationError

from server.slides import dicom_header, dicom_stream, place, specimens
from server.slides.dicom_header import PART, InstanceHeader

Stamp = tuple[int, int, int]
"""Inode, time of the last change (ns), size."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Known:
    """A file, and its header; None: it is no DICOM, or none that can be read."""

    stamp: Stamp
    header: InstanceHeader | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    reader: str
    root: str
    files: dict[str, Known]


class KeptIndex:
    """Of the archive below `root`, a file in `folder`. What several processes write of one archive is one of theirs."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._root = str(root)
        self._file = folder / f"{hashlib.sha256(self._root.encode()).hexdigest()[:16]}.json"

    def read(self) -> dict[str, Known]:
        """By path; empty where there is none, or it is broken, of another folder, or by another version's reader."""
        try:
            kept = _adapter().validate_json(self._file.read_bytes(), strict=False)
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            log.warning("archive_index_unreadable", error=type(error).__name__)
            return {}
        own = kept.reader == _reader() and kept.root == self._root
        return kept.files if own and all(_is_of(path, known) for path, known in kept.files.items()) else {}

    def write(self, files: Mapping[str, Known]) -> None:
        """Whole or not at all. Where it can't be written the next start reads the files."""
        kept = _Kept(reader=_reader(), root=self._root, files=dict(files))
        try:
            self._file.parent.mkdir(parents=True, mode=0o750, exist_ok=True)
            descriptor, part = tempfile.mkstemp(suffix=PART, dir=self._file.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_adapter().dump_json(kept))
                Path(part).replace(self._file)
            finally:
                with suppress(FileNotFoundError):
                    Path(part).unlink()
        except OSError as error:
            log.warning("archive_index_not_kept", error=type(error).__name__)


def _is_of(path: str, known: Known) -> bool:
    return known.header is None or str(known.header.path) == path


@cache
def _adapter() -> TypeAdapter[_Kept]:
    return TypeAdapter(_Kept)


@cache
def _reader() -> str:
    """What reads headers, by its own text: an update that reads them otherwise takes nothing from before."""
    digest = hashlib.sha256(pydicom.__version__.encode())
    for module in (dicom_header, dicom_stream, place, specimens):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()
