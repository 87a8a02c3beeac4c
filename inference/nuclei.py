"""Nuclei as columns: what is kept of each, the file they stream to, and the histograms that any profile scores from.

Every number that grading looks at is quantised once, here: hue in whole degrees 0-359, value 0-255, DAB optical density
in hundredths, clipped to 0-300. The quantised numbers are stored and graded, so counts from the file and from the
histograms agree exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

IntArray = npt.NDArray[np.int64]

COMPARTMENTS = ("stroma", "epithelium")
HUES, VALUES, DENSITIES = 360, 256, 301

SCHEMA = pa.schema(
    [
        pa.field("x_um", pa.float32(), nullable=False),  # from the left edge of the total pixel matrix
        pa.field("y_um", pa.float32(), nullable=False),  # from its top edge
        pa.field("x_px", pa.float32(), nullable=False),  # pixels of the largest level, centre of the first pixel is 0
        pa.field("y_px", pa.float32(), nullable=False),
        pa.field("compartment", pa.uint8(), nullable=False),  # 0 stroma, 1 epithelium
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("hue", pa.uint16(), nullable=False),  # degrees, 0-359
        pa.field("value", pa.uint8(), nullable=False),  # 0-255
        pa.field("dab_od_centi", pa.uint16(), nullable=False),  # optical density x 100, 0-300
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nuclei:
    """n nuclei as arrays of length n. `x`, `y` in pixels of the largest level."""

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    compartment: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.float32]
    hue: npt.NDArray[np.uint16]
    value: npt.NDArray[np.uint8]
    dab_od_centi: npt.NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histograms:
    """Counts of nuclei: `hue_value` (2, 360, 256) and `density` (2, 301), int64, first axis the compartment."""

    hue_value: IntArray
    density: IntArray

    @staticmethod
    def empty() -> "Histograms":
        return Histograms(hue_value=np.zeros((2, HUES, VALUES), np.int64), density=np.zeros((2, DENSITIES), np.int64))

    def add(self, nuclei: Nuclei) -> None:
        """Count these nuclei too (in place)."""
        np.add.at(self.hue_value, (nuclei.compartment, nuclei.hue, nuclei.value), 1)
        np.add.at(self.density, (nuclei.compartment, nuclei.dab_od_centi), 1)


class NucleiWriter:
    """Streams nuclei to a Parquet file in row groups.

    The file appears under its name only when closed without error.
    """

    ROWS = 65_536

    def __init__(self, path: Path, *, mpp: float) -> None:
        self._path, self._mpp = path, mpp
        self._part = path.with_name(path.name + ".part")
        self._writer = pq.ParquetWriter(self._part, SCHEMA, compression="zstd")
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, nuclei: Nuclei) -> None:
        """Append; written once ROWS are waiting."""
        if len(nuclei) == 0:
            return
        columns = [
            (nuclei.x + 0.5) * self._mpp,
            (nuclei.y + 0.5) * self._mpp,
            nuclei.x,
            nuclei.y,
            nuclei.compartment,
            nuclei.confidence,
            nuclei.hue,
            nuclei.value,
            nuclei.dab_od_centi,
        ]
        arrays = [pa.array(c, type=f.type, safe=False) for c, f in zip(columns, SCHEMA, strict=True)]
        self._pending.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
        self._rows += len(nuclei)
        if self._rows >= self.ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending, schema=SCHEMA).combine_chunks())
        self._pending, self._rows = [], 0

    def __enter__(self) -> "NucleiWriter":
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


def read_nuclei(path: Path, *, rows: int = 262_144) -> Iterator[Nuclei]:
    """The nuclei of a file in batches of at most `rows`, in the order written; memory flat in their number."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows):
            c = {name: batch.column(name).to_numpy() for name in batch.schema.names}
            yield Nuclei(
                x=c["x_px"].astype(np.float64),
                y=c["y_px"].astype(np.float64),
                compartment=c["compartment"],
                confidence=c["confidence"],
                hue=c["hue"],
                value=c["value"],
                dab_od_centi=c["dab_od_centi"],
            )


def joined(parts: Sequence[Nuclei]) -> Nuclei:
    """Several batches as one; at least one is needed."""
    columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Nuclei)}
    return Nuclei(**columns)
