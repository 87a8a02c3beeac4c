"""What an analysis has found so far, tile by tile, so that the next attempt goes on where a crash cut this one off.

A checkpoint is a file of records in the order of the tiles, each with its own check sum. It begins with the analysis's
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
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.cells.values import BYTES, Cells, CellSchema, Column, shaped
from inference.slide import SlideFacts
from inference.tile import Tile, TileShape
from inference.tissue import Tissue

PATTERN = "tiles-*.checkpoint"
_PLACE, _LENGTH = np.dtype("<f8"), np.dtype("<u4")
_LENGTHS, _CHECK = struct.Struct("<II"), struct.Struct("<I")


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFound:
    """One tile's cells and what is warned of later: peaks without a place, `sharpness`, or why it is `unreadable`.

    Of its nuclei, where the model says how probable each is: how many were `judged`, and how many of them only just.
    """

    cells: Cells
    overflowed: int
    sharpness: float | None
    unreadable: str | None
    judged: int = 0
    just: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`file` is written, and must be nobody else's; `earlier` are read."""

    file: Path
    earlier: tuple[Path, ...] = ()

    @staticmethod
    def in_case(folder: Path) -> "Checkpoint":
        """A new checkpoint in an attempt's folder, after those of all attempts beside it."""
        name = PATTERN.replace("*", uuid.uuid4().hex)
        return Checkpoint(file=folder / name, earlier=tuple(sorted(folder.parent.glob(f"*/{PATTERN}"))))


def forget(case: Path) -> None:
    """Delete all checkpoints of a case that has ended."""
    for file in case.glob(f"*/{PATTERN}"):
        file.unlink(missing_ok=True)


def key_of(
    facts: SlideFacts, model: ModelFacts, schema: CellSchema, shape: TileShape, tiles: Sequence[Tile], tissue: Tissue
) -> bytes:
    """Of all that a tile's answer depends on: another slide, model, plan or mask gives another key."""
    parts = (facts, model, schema, shape, tuple(tiles), tissue.mask.shape, tissue.cells_per_px)
    return hashlib.sha256(repr(parts).encode() + np.packbits(tissue.mask).tobytes()).digest()


class CheckpointFile:
    """Written tile by tile. `before` is how many tiles the longest of the earlier files holds, from the first on."""

    def __init__(self, checkpoint: Checkpoint, key: bytes, schema: CellSchema) -> None:
        self._schema = schema
        lengths = {path: sum(1 for _ in read(path, key, schema)) for path in checkpoint.earlier}
        self._longest = max(lengths, key=lambda path: lengths[path], default=None)
        self.before, self._key = lengths.get(self._longest, 0) if self._longest else 0, key
        self._file: BinaryIO = checkpoint.file.open("xb", buffering=0)  # what is written outlives the process
        self._file.write(key)

    def found(self) -> Iterator[TileFound]:
        """The `before` tiles of the earlier file, noted here too as they go by."""
        if self._longest is not None:
            for one in islice(read(self._longest, self._key, self._schema), self.before):
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
    cells = found.cells
    said = [len(cells), found.overflowed, found.sharpness, found.unreadable, found.judged, found.just]
    meta = json.dumps(said).encode()
    places = [_numbers(cells.x, _PLACE), _numbers(cells.y, _PLACE)]
    columns = b"".join([*places, *(_column(cells[c.name], c) for c in cells.schema.columns)])
    body = meta + columns
    return _LENGTHS.pack(len(meta), len(columns)) + body + _CHECK.pack(zlib.crc32(body))


def _numbers(values: npt.NDArray[Any], kind: "np.dtype[Any]") -> bytes:
    return np.ascontiguousarray(values, kind).tobytes()


def _column(values: npt.NDArray[Any], column: Column) -> bytes:
    """Of bytes: the length of each, then all of them."""
    if column.dtype != BYTES:
        return _numbers(values, _little(column.dtype))
    return np.fromiter(map(len, values), _LENGTH, len(values)).tobytes() + b"".join(values)


def _little(dtype: str) -> "np.dtype[Any]":
    return np.dtype(dtype).newbyteorder("<")


def read(path: Path, key: bytes, schema: CellSchema) -> Iterator[TileFound]:
    """Whole records of a file of this key; nothing of one that is of another, is not there, or can't be read."""
    try:
        with path.open("rb") as file:
            if file.read(len(key)) == key:
                yield from _records(file, schema)
    except (OSError, ValueError, TypeError, KeyError):  # what can't be read is computed again
        return


def _records(file: BinaryIO, schema: CellSchema) -> Iterator[TileFound]:
    while len(head := file.read(_LENGTHS.size)) == _LENGTHS.size:
        meta, columns = _LENGTHS.unpack(head)
        if meta == 0:  # zeros, as a power cut may leave them, would pass for an empty record
            return
        body, check = file.read(meta + columns), file.read(_CHECK.size)
        if len(body) != meta + columns or len(check) != _CHECK.size or _CHECK.unpack(check)[0] != zlib.crc32(body):
            return
        yield _unpacked(json.loads(body[:meta]), body[meta:], schema)


def _unpacked(meta: list[float | str | None], columns: bytes, schema: CellSchema) -> TileFound:
    n, overflowed, sharpness, unreadable, judged, just = meta
    assert isinstance(n, int)
    assert isinstance(overflowed, int)
    assert isinstance(judged, int)
    assert isinstance(just, int)
    place = Column(name="", dtype="float64", meaning="")
    parts, at = [], 0
    for column in (place, place, *schema.columns):
        values, at = _read_column(columns, at, n, column)
        parts.append(values)
    return TileFound(
        cells=Cells(schema, parts[0], parts[1], dict(zip(schema.names, parts[2:], strict=True))),
        overflowed=overflowed,
        sharpness=None if sharpness is None else float(sharpness),
        unreadable=None if unreadable is None else str(unreadable),
        judged=judged,
        just=just,
    )


def _read_column(columns: bytes, at: int, n: int, column: Column) -> tuple[npt.NDArray[Any], int]:
    """Its values, and where the next one begins."""
    if column.dtype != BYTES:
        numbers = np.frombuffer(columns, _little(column.dtype), n * column.width, at)
        return shaped(numbers, column), at + numbers.nbytes
    lengths = np.frombuffer(columns, _LENGTH, n, at)
    ends = at + lengths.nbytes + np.cumsum(lengths, dtype=np.int64)
    values = np.empty(n, object)
    values[:] = [columns[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]
    return values, int(ends[-1]) if n else at
