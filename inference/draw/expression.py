"""Which membranes hold how much HER2, and what is true of each cell then.

Truth is told by the definitions of docs/models/membrane.md, from what was drawn: completeness is the share of a cell's
contour whose crest has a DAB density of at least STAINED; both sides of a shared membrane count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.draw.tessellation import Floats, Ints, Tessellation

STAINED, COMPLETE, NONE_BELOW = 0.10, 0.85, 0.10
MODERATE_FROM, INTENSE_FROM = 0.27, 0.65
CLASSES = (
    "none",
    "faint_incomplete",
    "moderate_incomplete",
    "intense_incomplete",
    "faint_complete",
    "moderate_complete",
    "intense_complete",
)
DENSITIES = {"faint": (0.14, 0.25), "moderate": (0.31, 0.58), "intense": (0.72, 1.25)}
WIDTHS_UM = (0.6, 1.0, 2.1)
"""Of faint, moderate and intense membranes (Scheel et al. 2018)."""
UNEVEN = 0.10
"""Relative spread of the density along one cell's membrane."""

Mix = Mapping[str, float]
"""Share of cells that are given each class of CLASSES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """`density` (m,) is the DAB density of each segment's crest, `width` its width in µm; the rest is of each cell
    (n,): truth by the definitions, `kind` a place in CLASSES.
    """

    density: Floats
    width: Floats
    completeness: Floats
    intensity: Floats
    kind: npt.NDArray[np.int64]


def expressed(
    cells: Tessellation,
    holds: npt.NDArray[np.bool_],
    wanted: Ints,
    random: np.random.Generator,
    widths_um: tuple[float, float, float] = WIDTHS_UM,
) -> Expression:
    """Stain the membranes of cells that have one (`holds`, (n,)) by the class that is `wanted` of each, (n,).

    A shared membrane shows the stronger of its two sides, so that truth differs from what was wanted.
    """
    sides = [_density(cells, side, wanted, holds, random) for side in range(2)]
    density = np.maximum(*sides)
    completeness, intensity = truth_of(cells, density)
    band = np.digitize(density, (MODERATE_FROM, INTENSE_FROM))
    width = np.array(widths_um)[band] * random.normal(1, 0.07, len(band)).clip(0.8, 1.2)
    return Expression(
        density=density,
        width=width,
        completeness=completeness,
        intensity=intensity,
        kind=kinds(completeness, intensity),
    )


def dealt(mix: Mix, likeness: Floats) -> Ints:
    """A class for each of n cells by `mix`: cells of like `likeness` (n,) are of like class, as clones are."""
    shares = np.array([mix.get(name, 0.0) for name in CLASSES])
    edges = np.cumsum(shares / shares.sum())
    rank = (np.argsort(np.argsort(likeness)) + 0.5) / max(len(likeness), 1)
    return np.minimum(np.searchsorted(edges, rank), len(CLASSES) - 1)


def _density(
    cells: Tessellation, side: int, wanted: Ints, holds: npt.NDArray[np.bool_], random: np.random.Generator
) -> Floats:
    """What the cell on one side puts into each segment."""
    n, of = len(wanted), cells.sides[:, side]
    level = np.zeros(n)
    for name, (low, high) in DENSITIES.items():
        mine = np.array([name in c for c in CLASSES])[wanted]
        level[mine] = _by_cell(random, n, low, high)[mine]
    complete = np.array(["_complete" in c for c in CLASSES])[wanted]
    reach = np.where(complete, 1.0, _by_cell(random, n, 0.18, 0.72))
    begin = random.uniform(0, 2 * np.pi, n)
    away = cells.middle - cells.centre[of]
    turn = ((np.arctan2(away[:, 1], away[:, 0]) - begin[of]) / (2 * np.pi)) % 1
    on = (turn < reach[of]) & holds[of] & (wanted[of] > 0)
    return np.where(on, level[of] * random.normal(1, UNEVEN, len(of)).clip(0.75, 1.25), 0.0)


def _by_cell(random: np.random.Generator, n: int, low: float, high: float) -> Floats:
    return random.uniform(low, high, n)


def truth_of(cells: Tessellation, density: Floats) -> tuple[Floats, Floats]:
    """Completeness and mean crest density of the stained part of each cell, (n,) each."""
    n, length, stained = len(cells.centre), cells.length, density >= STAINED
    whole, on, weighted = np.zeros(n), np.zeros(n), np.zeros(n)
    for side in range(2):
        np.add.at(whole, cells.sides[:, side], length)
        np.add.at(on, cells.sides[:, side], length * stained)
        np.add.at(weighted, cells.sides[:, side], length * stained * density)
    return on / np.maximum(whole, 1e-9), weighted / np.maximum(on, 1e-9)


def kinds(completeness: Floats, intensity: Floats) -> npt.NDArray[np.int64]:
    """The place in CLASSES of each cell."""
    band = np.digitize(intensity, (MODERATE_FROM, INTENSE_FROM))
    complete = completeness >= COMPLETE
    return np.where(completeness < NONE_BELOW, 0, 1 + band + 3 * complete)
