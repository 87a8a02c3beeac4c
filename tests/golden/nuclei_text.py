"""nuclei.parquet in a few lines: columns, nuclei by compartment, digests of the histograms that scores come from."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from tests.golden.tolerance import DIGEST, number

COMPARTMENTS = ("stroma", "epithelium")
HUES, VALUES, DENSITIES = 360, 256, 301


def nuclei_text(path: Path) -> list[str]:
    """Histograms are counted in C order, the compartment first, as little-endian int64."""
    table = pq.read_table(path)
    columns = [f"column {f.name}: {f.type}{'' if f.nullable else ', not null'}" for f in table.schema]
    c = {name: table[name].to_numpy() for name in ("compartment", "hue", "value", "dab_od_centi")}
    hue_value = _counted((len(COMPARTMENTS), HUES, VALUES), c["compartment"], c["hue"], c["value"])
    density = _counted((len(COMPARTMENTS), DENSITIES), c["compartment"], c["dab_od_centi"])
    return [
        *columns,
        *(f"{name}: {number('nuclei', int(n))}" for name, n in zip(COMPARTMENTS, density.sum(axis=1), strict=True)),
        f"histogram of (compartment, hue, value): {number(DIGEST, _digest(hue_value))}",
        f"histogram of (compartment, dab_od_centi): {number(DIGEST, _digest(density))}",
    ]


def _counted(shape: tuple[int, ...], *indices: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, tuple(i.astype(np.int64) for i in indices), 1)
    return counts


def _digest(counts: npt.NDArray[np.int64]) -> str:
    return hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest()
