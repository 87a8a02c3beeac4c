"""What an analysis has found so far, tile by tile, so that the next attempt goes on where a crash cut this one off.

A journal is a file of records in the order of the tiles, each with its own check sum. It begins with the analysis's
key: slide, model, tiles, tissue. One of another key, and all after a record that doesn't check, is as if it were not
there. Each attempt writes a file of its own and reads those before it: a process that was taken for dead may still be
writing to its.

    file    key (32 bytes)  record ...
    record  length of meta, length of columns (uint32)  meta (JSON)  columns  CRC-32 of both (uint32), all little-endian
"""

import hashlib
import json
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from inference.analysis import ModelFacts
from inference.nuclei import Nuclei
from inference.slide import SlideFacts
from inference.tile import Tile, TileShape
from inference.tissue import Tissue

PATTERN = "tiles-*.journal"
_LENGTHS, _CHECK = struct.Struct("<II"), struct.Struct("<I")
_TYPES = {
    "x": "<f8",
    "y": "<f8",
    "compartment": "u1",
    "confidence": "<f4",
    "hue": "<u2",
    "value": "u1",
    "dab_od_centi": "<u2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFound:
    """One tile's nuclei and what is warned of later: peaks without a place, `sharpness`, or why it is `unreadable`."""

    nuclei: Nuclei
    overflowed: int
    sharpness: float | None
    unreadable: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`file` is written, and must be nobody else's; `earlier` are read."""

    file: Path
    earlier: tuple[Path, ...] = ()

    @staticmethod
    def in_case(folder: Path) -> "Checkpoint":
        """A new journal in an attempt's folder, after those of all attempts beside it."""
        name = PATTERN.replace("*", uuid.uuid4().hex)
        return Checkpoint(file=folder / name, earlier=tuple(sorted(folder.parent.glob(f"*/{PATTERN}"))))


def forget(case: Path) -> None:
    """Delete all journals of a case that has ended."""
    for file in case.glob(f"*/{PATTERN}"):
        file.unlink(missing_ok=True)


def key_of(
    facts: SlideFacts, model: ModelFacts, threshold: float, shape: TileShape, tiles: Sequence[Tile], tissue: Tissue
) -> bytes:
    """Of all that a tile's answer depends on: another slide, model, plan or mask gives another key."""
    parts = (facts, model, threshold, shape, tuple(tiles), tissue.mask.shape, tissue.cells_per_px)
    return hashlib.sha256(repr(parts).encode() + np.packbits(tissue.mask).tobytes()).digest()


class CheckpointFile:
    """Written tile by tile. `before` is how many tiles the longest of the earlier journals holds, from the first on."""

    def __init__(self, checkpoint: Checkpoint, key: bytes) -> None:
        lengths = {path: sum(1 for _ in read(path, key)) for path in checkpoint.earlier}
        self._longest = max(lengths, key=lambda path: lengths[path], default=None)
        self.before, self._key = lengths.get(self._longest, 0) if self._longest else 0, key
        self._file: BinaryIO = checkpoint.file.open("xb", buffering=0)  # what is written outlives the process
        self._file.write(key)

    def found(self) -> Iterator[TileFound]:
        """The `before` tiles of the earlier journal, noted here too as they go by."""
        if self._longest is not None:
            for one in islice(read(self._longest, self._key), self.before):
                self.add(one)
                yield one

    def add(self, found: TileFound) -> None:
        """One system call: a record is there, or isn't, or doesn't check."""
        self._file.write(packed(found))

    def __enter__(self) -> "CheckpointFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def packed(found: TileFound) -> bytes:
    n = found.nuclei
    meta = json.dumps([len(n), found.overflowed, found.sharpness, found.unreadable]).encode()
    columns = b"".join(np.ascontiguousarray(getattr(n, name), kind).tobytes() for name, kind in _TYPES.items())
    body = meta + columns
    return _LENGTHS.pack(len(meta), len(columns)) + body + _CHECK.pack(zlib.crc32(body))


def read(path: Path, key: bytes) -> Iterator[TileFound]:
    """Whole records of a journal of this key; nothing of one that is of another, is not there, or can't be read."""
    try:
        with path.open("rb") as file:
            if file.read(len(key)) == key:
                yield from _records(file)
    except (OSError, ValueError, TypeError, KeyError):  # what can't be read is computed again
        return


def _records(file: BinaryIO) -> Iterator[TileFound]:
    while len(head := file.read(_LENGTHS.size)) == _LENGTHS.size:
        meta, columns = _LENGTHS.unpack(head)
        if meta == 0:  # zeros, as a power cut may leave them, would pass for an empty record
            return
        body, check = file.read(meta + columns), file.read(_CHECK.size)
        if len(body) != meta + columns or len(check) != _CHECK.size or _CHECK.unpack(check)[0] != zlib.crc32(body):
            return
        yield _unpacked(json.loads(body[:meta]), body[meta:])


def _unpacked(meta: list[float | str | None], columns: bytes) -> TileFound:
    n, overflowed, sharpness, unreadable = meta
    assert isinstance(n, int)
    assert isinstance(overflowed, int)
    parts, at = {}, 0
    for field in fields(Nuclei):
        kind = np.dtype(_TYPES[field.name])
        parts[field.name] = np.frombuffer(columns, kind, n, at)
        at += n * kind.itemsize
    return TileFound(
        nuclei=Nuclei(**parts),
        overflowed=overflowed,
        sharpness=None if sharpness is None else float(sharpness),
        unreadable=None if unreadable is None else str(unreadable),
    )
