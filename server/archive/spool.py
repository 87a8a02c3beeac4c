"""The spool: instances that were fetched, kept for the next case that needs them, in a bounded folder.

    SPOOL/objects/DIGEST   an instance, named by the SHA-256 of its bytes
    SPOOL/index/KEY        whose digest that is: KEY names an instance with all that its archive says of it

A case uses an instance by a hard link of its own, so one that has a second link is in use and is never evicted. What
was used longest ago goes first. Any number of processes may share a spool.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from server.domain.errors import Failed, Refused, ServiceReason
from server.slides.dicom_header import PART

BLOCK = 32 << 20
"""Bytes for which room is made at a time."""
SETTING = "CHROMOGEN_ARCHIVE_SPOOL_GB"
LEFT_S = 3600
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Writer:
    """Takes an instance as it comes; room is made for it meanwhile."""

    def __init__(self, spool: "Spool", file: BinaryIO) -> None:
        self._spool, self._file = spool, file
        self._digest, self._room = hashlib.sha256(), 0
        self.size = 0

    def expect(self, size: int) -> None:
        """Raises Refused SPOOL_TOO_SMALL, Failed SPOOL_FULL before anything comes, where it can't be kept."""
        self._reserve(size - self.size)

    def write(self, chunk: bytes) -> None:
        """Raises as `expect`, and OSError."""
        if len(chunk) > self._room:
            self._reserve(max(len(chunk), min(BLOCK, self._spool.most_bytes // 16)))
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)
        self._room -= len(chunk)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def _reserve(self, size: int) -> None:
        if self.size + size > self._spool.most_bytes:
            gb = f"{self._spool.most_bytes / 1e9:.3g} GB"
            message = f"an instance of the slide is larger than the spool ({gb}): raise {SETTING}"
            raise Refused(ServiceReason.SPOOL_TOO_SMALL, message)
        self._spool.make_room(size)
        self._room = max(self._room, size)


Fill = Callable[[Writer], None]
"""Writes a whole instance, or raises."""
Check = Callable[[Path], None]
"""Raises where what came isn't what was asked for."""


@dataclass(frozen=True, slots=True)
class Spool:
    """At most `most_bytes` in `root`, but for what is in use."""

    root: Path
    most_bytes: int

    def bring(self, key: str, target: Path, fill: Fill, check: Check) -> None:
        """Have the instance at `target`, by `fill` where it isn't here yet; two who want it at once fetch it once.

        Raises as `fill` and `check`; Refused SPOOL_TOO_SMALL; Failed SPOOL_FULL (retryable).
        """
        name = hashlib.sha256(key.encode()).hexdigest()
        try:
            for folder in (self._objects, self._index, target.parent):
                folder.mkdir(parents=True, exist_ok=True)
            with self._only_one(name):
                kept = self._kept(name)
                _link(kept if kept is not None else self._filled(name, fill, check), target)
        except OSError as error:
            raise full(error) from None

    def make_room(self, size: int) -> None:
        """Evict what was used longest ago until `size` more bytes fit. Raises Failed SPOOL_FULL (retryable)."""
        held = sorted(self._held(), key=lambda entry: entry[1].st_mtime_ns)
        used = sum(status.st_size for _, status in held)
        free = shutil.disk_usage(self.root).free
        for path, status in held:
            if used + size <= self.most_bytes and size <= free:
                return
            if status.st_nlink == 1 and path.suffix != PART:
                path.unlink(missing_ok=True)
                used, free = used - status.st_size, free + status.st_size
        if used + size > self.most_bytes or size > free:
            raise _no_room()

    def clear_leftovers(self) -> None:
        """Remove what a process that died left half-written."""
        for path in self._objects.glob(f"*{PART}") if self._objects.is_dir() else ():
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def looked_at(self) -> Path:
        """Where a link lies while its header is read, without those that a process which died left: what has a link
        counts as in use, and is never evicted.
        """
        folder = self.root / "looked-at"
        for path in folder.glob("*.dcm"):
            with suppress(OSError):
                if path.stat().st_ctime < time.time() - LEFT_S:
                    path.unlink()
        return folder

    @property
    def _objects(self) -> Path:
        return self.root / "objects"

    @property
    def _index(self) -> Path:
        return self.root / "index"

    def _held(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in list(self._objects.iterdir()) if self._objects.is_dir() else []:
            with suppress(FileNotFoundError):
                yield path, path.stat()

    @contextmanager
    def _only_one(self, name: str) -> Iterator[None]:
        """Of all processes that bring this instance."""
        with (self._index / f"{name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _kept(self, name: str) -> Path | None:
        """The instance where it is here whole; marked as used now."""
        try:
            digest, size = (self._index / name).read_text().split()
            path = self._objects / digest
            if not re.fullmatch(r"[0-9a-f]{64}", digest) or path.stat().st_size != int(size):
                return None
            os.utime(path)
        except (OSError, ValueError):
            return None
        return path

    def _filled(self, name: str, fill: Fill, check: Check) -> Path:
        self.clear_leftovers()
        part = self._objects / f"{uuid.uuid4()}{PART}"
        try:
            with part.open("w+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                writer = Writer(self, file)
                fill(writer)
                file.flush()
                os.fsync(file.fileno())
            check(part)
            path = self._objects / writer.digest
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        note = self._index / f"{name}.{uuid.uuid4()}{PART}"
        note.write_text(f"{writer.digest} {writer.size}")
        note.replace(self._index / name)
        return path


def _link(source: Path, target: Path) -> None:
    """A link of its own; a copy where that isn't possible."""
    if target.exists() and target.samefile(source):
        return
    part = target.with_name(f"{target.name}.{os.getpid()}{PART}")
    part.unlink(missing_ok=True)
    try:
        try:
            os.link(source, part)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def full(error: OSError) -> Failed:
    """Of what the spool's disk said."""
    if error.errno in _FULL:
        return _no_room()
    why = os.strerror(error.errno) if error.errno else type(error).__name__
    return Failed(ServiceReason.SPOOL_FULL, f"the spool can't be written ({why}): see to its disk", retryable=True)


def _no_room() -> Failed:
    message = f"the spool or its disk is full of slides in use: make room, or raise {SETTING}"
    return Failed(ServiceReason.SPOOL_FULL, message, retryable=True)
