"""Pictures: each is a whole PNG or SVG, the same numbers give the same bytes, and others other ones."""

import io
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from inference.analyzers.nuclear import NUCLEAR
from inference.calibration.fit import Settings, fit
from inference.calibration.plotted import counted
from inference.calibration.sample import graded_sample
from inference.calibration.value_grid import value_grid
from inference.cells.histograms import histograms_of
from inference.grade import DensityThresholds, HueValueThresholds, Thresholds
from server.domain.control import ChartKey
from server.domain.westgard import chart_of
from server.report.plots import (
    Change,
    Format,
    before_and_after,
    control_chart,
    threshold_surface,
    value_histogram,
)
from tests.inference.made_samples import annotated, graded, made_nuclei
from tests.server.test_westgard import points

KEY = ChartKey(marker="ER", kind="positive", measure="HSCORE", clone="SP1", stainer="S-1")
HIDDEN = HueValueThresholds(hue=110, left=72, right=118)
RANDOM = np.random.default_rng(0)
CELLS = made_nuclei(2000, RANDOM, brown=0.6, dark=90)
SAMPLE = graded_sample("s", "r", CELLS, annotated(CELLS, graded(CELLS, HIDDEN, RANDOM, noise=0.0)), mpp=0.5)
TABLES = histograms_of(CELLS, NUCLEAR.histograms)


def surface(format_: Format, left: int) -> bytes:
    grid = value_grid([SAMPLE], 110)
    assert grid is not None
    return threshold_surface(grid, (left, 118), "error", format_)


def histogram(table: str, criteria: Thresholds, format_: Format) -> bytes:
    return value_histogram(counted(TABLES[table], criteria), criteria, "t", format_)


PICTURES: dict[str, Callable[[Format, int], bytes]] = {
    "chart": lambda f, k: control_chart(chart_of(points(*range(10, 22 + k)), 15, 2), KEY, f),
    "empty chart": lambda f, k: control_chart(
        chart_of(points(1, 2)[:k]), ChartKey(marker="E" * k, kind="p", measure="m"), f
    ),
    "values": lambda f, k: histogram("hue_value", HueValueThresholds(hue=110, left=50 + k, right=118), f),
    "densities": lambda f, k: histogram("density", DensityThresholds(weak=20 + k, moderate=40, strong=60), f),
    "surface": lambda f, k: surface(f, 60 + k),
    "changes": lambda f, k: before_and_after(
        [Change(before=1, after=2 + k), Change(before=None, after=3)], "H-score", "", f
    ),
    "no changes": lambda f, k: before_and_after([], "H-score" + "!" * k, "", f),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("format_", Format)
def test_a_picture_is_whole_and_follows_from_its_numbers(name: str, format_: Format) -> None:
    drawn, again, other = (PICTURES[name](format_, k) for k in (1, 1, 2))
    assert drawn == again
    assert drawn != other
    if format_ is Format.PNG:
        with Image.open(io.BytesIO(drawn)) as picture:
            picture.load()
            assert min(picture.size) > 400
    else:
        assert ElementTree.fromstring(drawn).tag.endswith("svg")


def test_the_surface_is_lowest_where_the_fit_is() -> None:
    found, grid = fit([SAMPLE], Settings(draws=0)), value_grid([SAMPLE], 110)
    assert grid is not None
    lowest = float(np.nanmin(grid.error))
    assert found.loss <= lowest + 1e-9
    assert lowest < 1.0
    assert np.isnan(grid.error[0, -1])  # thresholds that cross
