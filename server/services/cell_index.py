"""The cells of a result by squares of the slide, for a page that shows some of them: a file made once, beside others.

A square's cells lie together and in random order, so that the first share of each square is a fair sample of the slide.
The sample lies beside them, packed. Memory is flat in their number, making the files and reading them.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.analyzers.analyzer import Analyzer
from inference.cells.file import read_cells
from inference.cells.values import CONFIDENCE, Cells, CellSchema
from inference.criteria import Criteria
from inference.outline import OUTLINE

SIDE_PX = 1024
"""Of a square, in pixels of the largest level."""
LARGEST_SAMPLE = 250_000
VERSION = 2
SEED = 20231
SAMPLE = ".sample"
Records = npt.NDArray[Any]
"""(n,) of a structured dtype: x, y (px of the largest level), row (of the file), group, the schema's columns, and the
outline (RAYS radii) where the file has them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Column and row of SIDE_PX, and where its records lie."""

    column: int
    row: int
    begin: int
    count: int


class CellIndex:
    """An index that lies in a file; opened by name, read by square."""

    def __init__(self, path: Path) -> None:
        said = json.loads(path.with_suffix(".json").read_text())
        self.dtype = np.dtype([(name, kind, (width,) if width > 1 else ()) for name, kind, width in said["columns"]])
        self.squares = tuple(Square(column=c, row=r, begin=b, count=n) for c, r, b, n in said["squares"])
        self._at = {(s.column, s.row): s for s in self.squares}
        self.n = sum(s.count for s in self.squares)
        self._path = path

    def square(self, column: int, row: int) -> Records:
        """Empty where there is none."""
        found = self._at.get((column, row))
        return self._slice(found.begin, found.count) if found else np.empty(0, self.dtype)

    def sample(self) -> bytes:
        """About LARGEST_SAMPLE of all, or all, `packed`: of each square the same share."""
        return self._path.with_suffix(SAMPLE).read_bytes()

    def parts(self) -> Iterator[Records]:
        """All, a square at a time."""
        return (self._slice(s.begin, s.count) for s in self.squares)

    def _slice(self, begin: int, count: int) -> Records:
        return np.fromfile(self._path, self.dtype, count, offset=begin * self.dtype.itemsize)


def index_of(cells_file: Path, analyzer: Analyzer, criteria: Criteria, folder: Path) -> CellIndex:
    """Made where it isn't there yet; two who make it at once write the same. Raises Refused CELLS_INVALID."""
    status, by = cells_file.stat(), named(criteria)
    path = folder / f"{cells_file.parent.name}-{status.st_mtime_ns:x}-{status.st_size:x}-{by}-{VERSION}.cells"
    if not path.with_suffix(".json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _make(path, cells_file, analyzer, criteria)
    return CellIndex(path)


def named(criteria: Criteria) -> str:
    """A short name of criteria, by which cells have their groups: others have another."""
    text = repr((criteria.method, sorted(criteria.values().items())))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def packed(records: Records) -> bytes:
    """Column after column, as `columns_packed` names them: each begins where its numbers may."""
    return b"".join(np.ascontiguousarray(records[name]).tobytes() for name in _widest_first(records.dtype))


def columns_packed(dtype: np.dtype[Any]) -> list[tuple[str, str, int]]:
    """Name, NumPy's type and how many of it a cell has, of each column in the order of `packed`."""
    bases = [(name, dtype[name].base.str, dtype[name].shape) for name in _widest_first(dtype)]
    return [(name, base, shape[0] if shape else 1) for name, base, shape in bases]


def of_a_sample(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Without outlines: what is drawn of a whole slide is smaller than they are."""
    return np.dtype([(name, dtype[name]) for name in dtype.names or () if name != OUTLINE])


def _widest_first(dtype: np.dtype[Any]) -> list[str]:
    return sorted(dtype.names or (), key=lambda name: -dtype[name].base.itemsize)


def _make(path: Path, cells_file: Path, analyzer: Analyzer, criteria: Criteria) -> None:
    counts: dict[tuple[int, int], int] = {}
    schema = analyzer.schema
    for cells in read_cells(cells_file, schema):
        schema = cells.schema
        keys, numbers = np.unique(_keys(cells), return_counts=True)
        for key, n in zip(keys.tolist(), numbers.tolist(), strict=True):
            counts[key >> 32, key & 0xFFFFFFFF] = counts.get((key >> 32, key & 0xFFFFFFFF), 0) + n
    columns = _columns(analyzer.schema, schema)
    squares, begin = [], 0
    for row, column in sorted(counts):
        squares.append((column, row, begin, counts[row, column]))
        begin += counts[row, column]
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    dtype = np.dtype([(name, kind, (width,) if width > 1 else ()) for name, kind, width in columns])
    _fill(part, dtype, squares, begin, _rows(cells_file, analyzer, criteria))
    part.replace(path)
    said = part.with_suffix(".said")
    said.write_bytes(_sample(path, dtype, squares, begin))
    said.replace(path.with_suffix(SAMPLE))
    said.write_text(json.dumps({"columns": columns, "squares": squares}))
    said.replace(path.with_suffix(".json"))


def _columns(schema: CellSchema, found: CellSchema) -> list[tuple[str, str, int]]:
    """Of a schema, and the outline where the file has it."""
    kept = [c for c in schema.columns if c.scalar and c.name != CONFIDENCE]
    kept += [c for c in found.columns if c.name == OUTLINE and c.width > 1]
    own = [("x", "<f4", 1), ("y", "<f4", 1), ("row", "<u4", 1), ("group", "|u1", 1)]
    return own + [(c.name, np.dtype(c.dtype).newbyteorder("<").str, c.width) for c in kept]


def _rows(cells_file: Path, analyzer: Analyzer, criteria: Criteria) -> Iterator[tuple[Cells, npt.NDArray[np.uint8]]]:
    for cells in read_cells(cells_file, analyzer.schema):
        yield cells, analyzer.group_of(cells, criteria)


def _fill(
    part: Path,
    dtype: np.dtype[Any],
    squares: list[tuple[int, int, int, int]],
    n: int,
    batches: Iterator[tuple[Cells, npt.NDArray[np.uint8]]],
) -> None:
    """Each batch to its squares' places, then each square in random order; records are moved as bytes, which takes a
    third of the time.
    """
    if n == 0:
        part.write_bytes(b"")
        return
    file = np.memmap(part, np.uint8, "w+", shape=(n, dtype.itemsize))
    out = file.view(np.ndarray)
    following = {(row << 32) | column: begin for column, row, begin, _ in squares}
    first = 0
    for cells, groups in batches:
        keys = _keys(cells)
        order = np.argsort(keys, kind="stable")
        records = _records(cells, groups, dtype, first).view(np.uint8).reshape(len(cells), dtype.itemsize)[order]
        first += len(cells)
        found, begins, numbers = np.unique(keys[order], return_index=True, return_counts=True)
        for key, begin, number in zip(found.tolist(), begins.tolist(), numbers.tolist(), strict=True):
            at = following[key]
            out[at : at + number] = records[begin : begin + number]
            following[key] = at + number
    random = np.random.default_rng(SEED)
    for _, _, begin, count in squares:
        out[begin : begin + count] = out[begin : begin + count][random.permutation(count)]
    file.flush()


def _sample(path: Path, dtype: np.dtype[Any], squares: list[tuple[int, int, int, int]], n: int) -> bytes:
    if n == 0:
        return b""
    share = min(1.0, LARGEST_SAMPLE / n)
    all_of_it = np.memmap(path, np.uint8, "r", shape=(n, dtype.itemsize)).view(np.ndarray)
    parts = [all_of_it[begin : begin + int(np.ceil(count * share))] for _, _, begin, count in squares]
    records = np.concatenate(parts).view(dtype)[:, 0]
    return packed(records[list(of_a_sample(dtype).names or ())])


def _records(cells: Cells, groups: npt.NDArray[np.uint8], dtype: np.dtype[Any], first: int) -> Records:
    records = np.empty(len(cells), dtype)
    records["x"], records["y"], records["group"] = cells.x, cells.y, groups
    records["row"] = np.arange(first, first + len(cells))
    for name in cells.schema.names:
        if name in (dtype.names or ()):
            records[name] = cells[name]
    return records


def _keys(cells: Cells) -> npt.NDArray[np.int64]:
    column, row = (np.maximum(np.floor((v + 0.5) / SIDE_PX), 0).astype(np.int64) for v in (cells.x, cells.y))
    return (row << 32) | column
