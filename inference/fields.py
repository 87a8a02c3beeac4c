"""Fields: squares of the slide, the unit over which a score varies.

Read from the nuclei's file, in memory flat in their number.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.grade import Thresholds, grades
from inference.nuclei import IntArray, read_nuclei

FIELD_UM = 500.0
LEAST_NUCLEI = 50
"""Fields with fewer are not compared with others: their score is noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """k fields with nuclei, row by row: `place` (k, 2) column and row, `counts` (k, 2, 4) by compartment and grade."""

    place: IntArray
    counts: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A field: its top-left corner in µm from the slide's, its side in µm, nuclei and H-score."""

    x_um: float
    y_um: float
    side_um: float
    n: int
    h_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """How the H-score of all nuclei varies between fields of at least LEAST_NUCLEI nuclei.

    None where fewer than two.
    """

    fields: int
    standard_deviation: float | None
    hot_spot: Spot | None
    cold_spot: Spot | None


def fields_of(nuclei_file: Path, thresholds: Thresholds, *, mpp: float) -> Fields:
    """Grade every nucleus of a file and count by field; `mpp` of the largest level, whose pixels the file is in."""
    table: dict[tuple[int, int], IntArray] = {}
    for nuclei in read_nuclei(nuclei_file):
        column, row = (((v + 0.5) * mpp // FIELD_UM).astype(np.int64) for v in (nuclei.x, nuclei.y))
        key = (row << 32 | column) * 8 + nuclei.compartment.astype(np.int64) * 4 + grades(nuclei, thresholds)
        for k, n in zip(*(a.tolist() for a in np.unique(key, return_counts=True)), strict=True):
            place = (k >> 3 & 0xFFFFFFFF, k >> 35)
            table.setdefault(place, np.zeros((2, 4), np.int64))[k >> 2 & 1, k & 3] += n
    places = sorted(table, key=lambda p: (p[1], p[0]))
    return Fields(
        place=np.array(places, np.int64).reshape(-1, 2),
        counts=np.array([table[p] for p in places], np.int64).reshape(-1, 2, 4),
    )


def heterogeneity(fields: Fields) -> Heterogeneity:
    """Spread of the H-score between fields, and where it is highest and lowest."""
    counts = fields.counts.sum(axis=1)
    n = counts.sum(axis=1)
    enough = np.flatnonzero(n >= LEAST_NUCLEI)
    if len(enough) < 2:
        return Heterogeneity(fields=len(enough), standard_deviation=None, hot_spot=None, cold_spot=None)
    h = (counts[enough] @ np.array([0, 100, 200, 300])) / n[enough]

    def spot(i: int) -> Spot:
        x, y = fields.place[enough[i]] * FIELD_UM
        return Spot(x_um=float(x), y_um=float(y), side_um=FIELD_UM, n=int(n[enough[i]]), h_score=float(h[i]))

    return Heterogeneity(
        fields=len(enough),
        standard_deviation=float(h.std(ddof=1)),
        hot_spot=spot(int(h.argmax())),
        cold_spot=spot(int(h.argmin())),
    )
