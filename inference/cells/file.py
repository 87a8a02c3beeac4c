"""The file that cells stream to: Parquet, its schema named in the metadata.

Columns: `x_um`, `y_um` from the left and top edge of the slide, `x_px`, `y_px` in pixels of the largest level (the
centre of the first pixel is 0), then those of the schema. Metadata: `chromogen.cells` is NAME/VERSION of the schema.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from inference.cells.by_hand import BY_HAND, with_by_hand
from inference.cells.values import BYTES, Cells, CellSchema, Column, made_cells, shaped
from inference.errors import Reason, Refused

SCHEMA_KEY = b"chromogen.cells"
PLACE = ("x_um", "y_um", "x_px", "y_px")
ROWS = 65_536
"""Of a row group, at least, but of the last."""
MOST_ROWS = 2 * ROWS


def arrow_schema(schema: CellSchema) -> pa.Schema:
    """float32 places, then the schema's columns, nothing nullable."""
    fields = [pa.field(name, pa.float32(), nullable=False) for name in PLACE]
    fields += [pa.field(c.name, _arrow_type(c), nullable=False) for c in schema.columns]
    return pa.schema(fields, metadata={SCHEMA_KEY: f"{schema.name}/{schema.version}".encode()})


def _arrow_type(column: Column) -> pa.DataType:
    if column.dtype == BYTES:
        return pa.binary()
    one = pa.from_numpy_dtype(np.dtype(column.dtype))
    return one if column.width == 1 else pa.list_(pa.field("element", one, nullable=False), column.width)


def _arrow_array(values: npt.NDArray[Any], of: pa.DataType) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values, type=of, safe=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1), type=of.value_type), type=of)


class CellWriter:
    """Streams cells to a file in row groups; it appears under its name only when closed without error."""

    def __init__(self, path: Path, schema: CellSchema, *, mpp: float) -> None:
        """`mpp` of the largest level."""
        self._path, self._mpp = path, mpp
        self._part = path.with_name(path.name + ".part")
        self._schema = arrow_schema(schema)
        self._writer = pq.ParquetWriter(self._part, self._schema, compression="zstd")
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, cells: Cells) -> None:
        """Append; written once ROWS are waiting."""
        if len(cells) == 0:
            return
        places = [(cells.x + 0.5) * self._mpp, (cells.y + 0.5) * self._mpp, cells.x, cells.y]
        columns = [*places, *(cells[name] for name in cells.schema.names)]
        arrays = [_arrow_array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
        self._pending.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += len(cells)
        if self._rows >= ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, schema=self._schema)
            self._writer.write_table(table.combine_chunks(), row_group_size=MOST_ROWS)
        self._pending, self._rows = [], 0

    def __enter__(self) -> "CellWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)  # gone already where all went well


def add_columns(path: Path, schema: CellSchema, of: Callable[[Cells], Mapping[str, npt.NDArray[Any]]]) -> None:
    """Write a file of cells anew with what `of` says of them, numbers or texts, beside its own columns; nothing changes
    where it says nothing.
    """
    with _opened(path) as file:
        kept = file.schema_arrow
        extra = _table(of(made_cells(schema, [], [], **{name: [] for name in schema.names})))
        if extra.num_columns == 0:
            return
        part = path.with_name(path.name + ".part")
        wide = pa.schema([*kept, *extra.schema], metadata=kept.metadata)
        with pq.ParquetWriter(part, wide, compression="zstd") as writer:
            for batch in file.iter_batches(batch_size=ROWS):
                added = _table(of(_cells(batch, schema)))
                writer.write_table(pa.Table.from_arrays([*batch.columns, *added.columns], schema=wide))
    part.replace(path)


def _table(columns: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    arrays = {n: pa.array(v.tolist(), pa.string()) if v.dtype.kind == "U" else pa.array(v) for n, v in columns.items()}
    return pa.table(arrays)


def _cells(batch: pa.RecordBatch, schema: CellSchema) -> Cells:
    x, y = (batch.column(name).to_numpy().astype(np.float64) for name in ("x_px", "y_px"))
    return Cells(schema, x, y, {c.name: _numbers(batch.column(c.name), c) for c in schema.columns})


def read_cells(
    path: Path, schema: CellSchema, *, rows: int = 262_144, groups: Sequence[int] | None = None
) -> Iterator[Cells]:
    """The cells of a file in batches of at most `rows`, in the order written; memory flat in their number.

    `groups` are the row groups wanted (`row_groups`), None: all. The cells have the schema's columns, and the optional
    ones that the file has, by_hand among them.

    Raises Refused CELLS_INVALID where the file can't be read, or is of another schema or version.
    """
    with _opened(path) as file:
        _check(path, file.schema_arrow, schema)
        found = schema.having(file.schema_arrow.names)
        found = with_by_hand(found) if BY_HAND in file.schema_arrow.names else found
        for batch in file.iter_batches(batch_size=rows, row_groups=groups):
            yield _cells(batch, found)


def _numbers(values: pa.Array, column: Column) -> npt.NDArray[Any]:
    if column.dtype == BYTES:
        return np.asarray(values.to_numpy(zero_copy_only=False), object)
    one = values if column.width == 1 else values.flatten()
    return shaped(one.to_numpy(zero_copy_only=column.width == 1 and column.dtype != "bool"), column)


def row_groups(path: Path) -> list[int]:
    """How many cells each row group of a file has. Raises Refused CELLS_INVALID."""
    with _opened(path) as file:
        return [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]


def columns_of(path: Path) -> frozenset[str]:
    """Which columns a file of cells has. Raises Refused CELLS_INVALID."""
    with _opened(path) as file:
        return frozenset(file.schema_arrow.names)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException):
        raise Refused(Reason.CELLS_INVALID, f"{path.name} can't be read as a file of cells; analyse again") from None


def _check(path: Path, found: pa.Schema, schema: CellSchema) -> None:
    named = (found.metadata or {}).get(SCHEMA_KEY, b"").decode()
    if named != f"{schema.name}/{schema.version}":
        message = f"{path.name} holds cells of {named or 'no schema'}, not of {schema.name}/{schema.version}"
        raise Refused(Reason.CELLS_INVALID, message)
