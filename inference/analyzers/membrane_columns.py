"""What is kept of a cell of a membrane stain: its columns, and histograms of them. Quantised once, as it is stored."""

import numpy as np
import numpy.typing as npt

from inference.analyzers.membrane_cells import STEPS, Measured
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.cells.histograms import Histograms, HistogramSpec
from inference.cells.values import Cells, CellSchema, Column, made_cells

MAP_ZERO, MAP_UNIT = 20, 1 / 150
"""The graph's maps are densities in bytes: (byte - MAP_ZERO) x MAP_UNIT."""
DENSITY_UNIT, DENSITIES = 0.005, 256
COMPLETE, NONE_BELOW = 85, 10
"""Completeness in percent: complete from, none below."""

WIDE_UM, NARROWEST_UM, ROUND = 2.8, 2.0, 0.75
"""A tumour cell's nucleus is wide, or round and not small: narrow half axis by mean one. Others are spindles of the
stroma and small lymphocytes."""
RINGED, RINGED_NARROWEST_UM, RINGED_STEP = 0.5, 2.0, STEPS // 2
"""One with a membrane round it is a tumour cell's also where it is smaller."""
BLUSH, BLUSH_SHARE = 0.12, 0.42
"""Density of a cytoplasm, and its share of the membrane's, from which the two can't be told apart."""
COARSE_GAIN = 1.07
"""What is measured of a crest at 0.25 µm/px by what is measured at 0.5."""


def step_name(what: str, step: int) -> str:
    return f"{what}_{step:02d}"


COMPLETENESS = tuple(step_name("completeness", k) for k in range(STEPS))
DENSITY = tuple(step_name("density", k) for k in range(STEPS))
SCHEMA = CellSchema(
    name="membrane",
    version=1,
    columns=(
        Column(name="confidence", dtype="float32", meaning="how clearly a nucleus was found", low=0, high=1),
        Column(name="tumour", dtype="bool", meaning="whether it is a tumour cell"),
        Column(name="scorable", dtype="bool", meaning="whether its membrane can be judged"),
        Column(name="blush", dtype="bool", meaning="whether its cytoplasm is stained"),
        *(
            Column(name=name, dtype="uint8", meaning="stained share of the contour", unit="%", low=0, high=100)
            for name in COMPLETENESS
        ),
        *(
            Column(name=name, dtype="uint8", meaning="mean crest of the stained part, 1/200 density", low=0, high=255)
            for name in DENSITY
        ),
    ),
)
HISTOGRAMS = tuple(
    HistogramSpec(
        name=step_name("stain", k),
        columns=("tumour", "scorable", "blush", COMPLETENESS[k], DENSITY[k]),
        shape=(2, 2, 2, 3, DENSITIES),
        edges={COMPLETENESS[k]: (NONE_BELOW, COMPLETE)},
    )
    for k in range(STEPS)
)


def gain(mpp: float) -> float:
    """By how much coarser pixels show less of a crest than those of 0.25 µm."""
    return float(np.interp(mpp, (0.25, 0.5), (1.0, COARSE_GAIN)))


def densities(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return (plane.astype(np.float32) - np.float32(MAP_ZERO)) * np.float32(MAP_UNIT)


def cells_of_measured(m: Measured) -> Cells:
    """Quantised once, as it is stored."""
    percent = np.rint(m.completeness * 100).astype(np.uint8)
    density = np.clip(np.rint(m.density / DENSITY_UNIT), 0, DENSITIES - 1).astype(np.uint8)
    ringed = (m.completeness[:, RINGED_STEP] >= RINGED) & (m.narrow_um >= RINGED_NARROWEST_UM)
    round_ = (m.narrow_um >= NARROWEST_UM) & (m.narrow_um >= ROUND * m.nucleus_um)
    blush = (m.plasma >= BLUSH) & (m.plasma >= BLUSH_SHARE * (m.plasma + np.maximum(m.crest, 0)))
    columns = {name: percent[:, k] for k, name in enumerate(COMPLETENESS)}
    columns |= {name: density[:, k] for k, name in enumerate(DENSITY)}
    return made_cells(
        SCHEMA,
        m.x,
        m.y,
        confidence=np.clip(m.response / 0.2, 0, 1),
        tumour=(m.narrow_um >= WIDE_UM) | round_ | ringed,
        scorable=~blush,
        blush=blush,
        **columns,
    )


def stained_crests(histograms: Histograms, criteria: MembraneCriteria) -> npt.NDArray[np.float64]:
    """Tumour cells that can be judged and are stained, by mean crest in DENSITY_UNIT, (DENSITIES,)."""
    judged = histograms[step_name("stain", criteria.step)][1, 1].sum(axis=0)
    found = judged[1:].sum(axis=0).astype(np.float64)
    found[0] = 0
    return np.asarray(found, np.float64)
