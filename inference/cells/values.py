"""Cells as columns of one length, and the schema that says which columns there are.

Every number that scoring looks at is quantised once, by the analyzer that measures it, and stored so: counts from the
file and from the histograms agree exactly.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
CONFIDENCE = "confidence"
BYTES = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A number kept of each cell: `dtype` is NumPy's name of an integer or float type, BYTES where it is bytes of any
    length; `unit` a UCUM code, empty for none.

    `low` and `high` are what it can be (inclusive), where that is known; `width` how many of it a cell has.
    """

    name: str
    dtype: str
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    width: int = 1

    @property
    def scalar(self) -> bool:
        """Is it one number?"""
        return self.width == 1 and self.dtype != BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSchema:
    """The columns of one kind of cells beside their place; `name` and `version` stand in the file's metadata.

    `confidence` is among the columns of every schema: the probability, 0 to 1, that the cell is what it is called.
    `optional` columns are those that some files of this version have beside them.
    """

    name: str
    version: int
    columns: tuple[Column, ...]
    optional: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if CONFIDENCE not in self.names:
            raise ValueError(f"{self.name}/{self.version} needs a column {CONFIDENCE}: cells are kept or left by it")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def having(self, names: Collection[str]) -> "CellSchema":
        """With those of the optional columns that are named."""
        return replace(self, columns=(*self.columns, *(c for c in self.optional if c.name in names)), optional=())


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """n cells. `x`, `y` (n,) float64 in pixels of the largest level (of the tile, before they are placed).

    `columns` by name.
    """

    schema: CellSchema
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    columns: Mapping[str, npt.NDArray[Any]]

    def __post_init__(self) -> None:
        if set(self.columns) != set(self.schema.names):
            raise ValueError(f"cells of {self.schema.name} need the columns {', '.join(self.schema.names)}")

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    def taken(self, which: "Mask | slice | IntArray") -> "Cells":
        """Those that a mask, a slice or indices name."""
        columns = {name: values[which] for name, values in self.columns.items()}
        return Cells(self.schema, self.x[which], self.y[which], columns)

    def placed(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> "Cells":
        """The same cells at other coordinates."""
        return Cells(self.schema, x, y, self.columns)


def made_cells(schema: CellSchema, x: npt.ArrayLike, y: npt.ArrayLike, **columns: npt.ArrayLike) -> Cells:
    """Cells of arrays or lists, each column as its schema has it. Raises ValueError where one is missing or surplus."""
    typed = {c.name: shaped(np.asarray(columns.pop(c.name), c.dtype), c) for c in schema.columns if c.name in columns}
    if columns:
        raise ValueError(f"cells of {schema.name} have no {', '.join(columns)}")
    return Cells(schema, np.asarray(x, np.float64), np.asarray(y, np.float64), typed)


def shaped(values: npt.NDArray[Any], column: Column) -> npt.NDArray[Any]:
    """(n,), or (n, width)."""
    return values if column.width == 1 else values.reshape(-1, column.width)


def no_cells(schema: CellSchema) -> Cells:
    return made_cells(schema, [], [], **{name: [] for name in schema.names})


def joined(parts: Sequence[Cells]) -> Cells:
    """Several batches of one schema as one; at least one is needed."""
    schema = parts[0].schema
    columns = {name: np.concatenate([p[name] for p in parts]) for name in schema.names}
    return Cells(schema, np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]), columns)
