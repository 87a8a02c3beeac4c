"""Joint histograms over the quantised columns of cells, by name: scores under any criteria follow from them exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.cells.values import Cells, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramSpec:
    """Which whole-numbered columns a histogram counts over, and how many values each has (from 0).

    A column with `edges` is counted by how many of them it reaches.
    """

    name: str
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    edges: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def values(self, cells: Cells, column: str) -> npt.NDArray[Any]:
        """What each cell is counted as, along the axis of a column."""
        found = cells[column]
        if column in self.edges:
            return np.asarray(np.digitize(found, self.edges[column]))
        return np.asarray(found, np.intp) if found.dtype.kind == "b" else found


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """Counts of cells by histogram's name, each int64 of its spec's shape."""

    tables: Mapping[str, IntArray]

    @staticmethod
    def empty(specs: Sequence[HistogramSpec]) -> "Histograms":
        return Histograms({spec.name: np.zeros(spec.shape, np.int64) for spec in specs})

    def __getitem__(self, name: str) -> IntArray:
        return self.tables[name]

    def add(self, cells: Cells, specs: Sequence[HistogramSpec]) -> None:
        """Count these cells too (in place)."""
        for spec in specs:
            np.add.at(self.tables[spec.name], tuple(spec.values(cells, name) for name in spec.columns), 1)

    @property
    def n(self) -> int:
        """Cells counted; every histogram counts each cell once."""
        return int(next(iter(self.tables.values())).sum())


def histograms_of(cells: Cells, specs: Sequence[HistogramSpec]) -> Histograms:
    made = Histograms.empty(specs)
    made.add(cells, specs)
    return made
