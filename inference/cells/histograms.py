"""Joint histograms over the quantised columns of cells, by name: scores under any criteria follow from them exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.cells.by_hand import BY_HAND
from inference.cells.values import Cells, IntArray

AT = "@"


def at_region(name: str, region: str) -> str:
    """The name of a table that counts the cells of a drawn region alone; empty: of all."""
    return f"{name}{AT}{region}" if region else name


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramSpec:
    """Which whole-numbered columns a histogram counts over, and how many values each has (from 0).

    A column with `edges` is counted by how many of them it reaches.
    """

    name: str
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    edges: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def places(self, column: str, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Where each cell is counted along the axis of a column, of the column's numbers (n,)."""
        if column in self.edges:
            return np.asarray(np.digitize(found, self.edges[column]))
        return np.asarray(found, np.intp) if found.dtype.kind == "b" else found


@dataclass(slots=True, eq=False)
class Histograms:
    """Counts of cells by histogram's name, each int64 of its spec's shape.

    Beside them, where a person changed the result: `by_hand` (G,), cells by the group that they were put in and that no
    other table counts; and of each drawn region the same tables, as NAME@REGION.
    """

    tables: Mapping[str, IntArray]

    @staticmethod
    def empty(specs: Sequence[HistogramSpec]) -> "Histograms":
        return Histograms({spec.name: np.zeros(spec.shape, np.int64) for spec in specs})

    def __getitem__(self, name: str) -> IntArray:
        return self.tables[name]

    def add(self, cells: Cells, specs: Sequence[HistogramSpec], *, region: str = "") -> None:
        """Count these cells too (in place)."""
        for spec in specs:
            self.count(spec, cells.__getitem__, region=region)

    def count(self, spec: HistogramSpec, column: Callable[[str], npt.NDArray[Any]], *, region: str = "") -> None:
        """Count cells by the spec's columns, each (n,), too (in place)."""
        places = tuple(spec.places(name, column(name)) for name in spec.columns)
        np.add.at(self._table(at_region(spec.name, region), spec.shape), places, 1)

    def add_by_hand(self, groups: IntArray, *, region: str = "") -> None:
        """Count cells by the group that a person put them in, (G,), too (in place)."""
        self._table(at_region(BY_HAND, region), groups.shape)[:] += groups

    def by_hand(self, groups: int) -> IntArray:
        """(G,) of the whole; zero where no person set a group."""
        return self.tables.get(BY_HAND, np.zeros(groups, np.int64))

    @property
    def drawn(self) -> tuple[str, ...]:
        """The regions that have tables of their own, by name."""
        return tuple(sorted({name.partition(AT)[2] for name in self.tables} - {""}))

    def of_region(self, region: str) -> "Histograms":
        """The tables of a drawn region, under their plain names; of all cells for an empty one."""
        parts = {name.partition(AT)[::2]: table for name, table in self.tables.items()}
        return Histograms({name: table for (name, at), table in parts.items() if at == region})

    @property
    def n(self) -> int:
        """Cells counted; every histogram counts each cell once, but for those that a person put in a group."""
        plain = self.of_region("").tables
        counted = next(int(table.sum()) for name, table in plain.items() if name != BY_HAND)
        return counted + int(plain[BY_HAND].sum()) if BY_HAND in plain else counted

    def _table(self, name: str, shape: tuple[int, ...]) -> IntArray:
        if name not in self.tables:
            self.tables = {**self.tables, name: np.zeros(shape, np.int64)}
        return self.tables[name]


def histograms_of(cells: Cells, specs: Sequence[HistogramSpec]) -> Histograms:
    made = Histograms.empty(specs)
    made.add(cells, specs)
    return made
