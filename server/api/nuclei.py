"""Nuclei of a result in parts: those of a window, as points or counted in squares.

Memory flat in their number for points.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from chromogen.v1 import result_pb2 as pb
from inference.nuclei import IntArray, Nuclei

from inference.geometry import Region
from inference.grade import Thresholds, grades
from server.api.convert_result import nuclei_messages

PART = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`window` in px of the largest level (None: all), `compartment` 0 or 1 (None: both)."""

    window: Region | None
    compartment: int | None

    def of(self, nuclei: Nuclei) -> Nuclei:
        """The nuclei whose centre lies inside."""
        kept = np.ones(len(nuclei), bool)
        if self.window is not None:
            w, x, y = self.window, nuclei.x, nuclei.y
            kept &= (x >= w.x - 0.5) & (x < w.right - 0.5) & (y >= w.y - 0.5) & (y < w.bottom - 0.5)
        if self.compartment is not None:
            kept &= nuclei.compartment == self.compartment
        return taken(nuclei, kept)


def taken(nuclei: Nuclei, which: "np.ndarray | slice") -> Nuclei:
    return Nuclei(**{f.name: getattr(nuclei, f.name)[which] for f in fields(Nuclei)})


def points(batches: Iterator[Nuclei], selection: Selection, thresholds: Thresholds) -> Iterator[list[pb.Nucleus]]:
    """Parts of at most PART, in the file's order."""
    for batch in batches:
        chosen = selection.of(batch)
        for begin in range(0, len(chosen), PART):
            yield list(nuclei_messages(taken(chosen, slice(begin, begin + PART)), thresholds))


def cells(
    batches: Iterator[Nuclei], selection: Selection, thresholds: Thresholds, *, mpp: float, cell_um: float
) -> Iterator[list[pb.NucleiCell]]:
    """Squares of `cell_um` with nuclei, row by row, in parts of at most PART."""
    table: dict[tuple[int, int], IntArray] = {}
    for batch in batches:
        chosen = selection.of(batch)
        column, row = (np.floor((v + 0.5) * mpp / cell_um).astype(np.int64) for v in (chosen.x, chosen.y))
        kind = chosen.compartment.astype(np.int64) * 4 + grades(chosen, thresholds)
        found, numbers = np.unique(np.stack([row, column, kind], axis=1), axis=0, return_counts=True)
        for (r, c, k), n in zip(found.tolist(), numbers.tolist(), strict=True):
            table.setdefault((r, c), np.zeros(8, np.int64))[k] += n
    places = sorted(table)
    for begin in range(0, len(places), PART):
        yield [
            pb.NucleiCell(x_um=c * cell_um, y_um=r * cell_um, counts=table[r, c].tolist())
            for r, c in places[begin : begin + PART]
        ]
