"""A calibration's pictures, and the numbers that they show as JSON and back."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from inference.calibration.plotted import Counted, Plotted
from inference.calibration.value_grid import ValueGrid
from inference.grade import HueValueThresholds, Thresholds
from server.report.plots import Format, threshold_surface, value_histogram

THRESHOLDS, NUCLEI = "thresholds", "nuclei"


def pictures(shown: Plotted, criteria: Thresholds, format_: Format) -> Iterator[tuple[str, bytes]]:
    """`nuclei` (with the fitted thresholds), and of hue and value `thresholds` (the error of each pair)."""
    n = int(shown.nuclei.brown.sum() + shown.nuclei.blue.sum())
    yield NUCLEI, value_histogram(shown.nuclei, criteria, f"{n} nuclei, thresholds as fitted", format_)
    if shown.grid is not None and isinstance(criteria, HueValueThresholds):
        best, title = (criteria.left, criteria.right), f"error by value thresholds, hue {criteria.hue}"
        yield THRESHOLDS, threshold_surface(shown.grid, best, title, format_)


def plotted_json(shown: Plotted) -> dict[str, Any]:
    """`error` in rows of `right`; null where thresholds would cross."""
    grid = shown.grid
    nuclei = {"brown": shown.nuclei.brown.tolist(), "blue": shown.nuclei.blue.tolist()}
    if grid is None:
        return {"nuclei": nuclei, "grid": None}
    error = [[None if math.isnan(v) else round(v, 2) for v in row] for row in grid.error.tolist()]
    return {"nuclei": nuclei, "grid": {"left": grid.left.tolist(), "right": grid.right.tolist(), "error": error}}


def plotted_in(given: Mapping[str, Any]) -> Plotted:
    nuclei, grid = given["nuclei"], given["grid"]
    return Plotted(
        nuclei=Counted(brown=np.array(nuclei["brown"]), blue=np.array(nuclei["blue"])),
        grid=None
        if grid is None
        else ValueGrid(np.array(grid["left"]), np.array(grid["right"]), np.array(grid["error"], np.float64)),
    )
