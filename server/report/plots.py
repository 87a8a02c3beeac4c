"""Pictures of numbers that are kept: control charts, histograms with thresholds, what scoring anew changes.

By matplotlib, as PNG or SVG; the same numbers give the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from inference.calibration.agreement import NumberAgreement
from inference.calibration.plotted import Counted
from inference.calibration.value_grid import ValueGrid
from inference.cells.values import IntArray
from inference.criteria import Criteria
from inference.grade import DensityThresholds, HueValueThresholds
from server.domain.control import ChartKey
from server.domain.westgard import Chart

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.5, 120
BLUE, BROWN, RED, GREY = "#2850c8", "#8a4b08", "#c00000", "#808080"
_METADATA = {"png": {"Software": "chromogen"}, "svg": {"Date": None, "Creator": "chromogen"}}


class Format(StrEnum):
    """What a picture is written as."""

    PNG = "png"
    SVG = "svg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Of one result, a measure before and after; None: no score."""

    before: float | None
    after: float | None


def control_chart(chart: Chart, key: ChartKey, format_: Format) -> bytes:
    """A Levey-Jennings chart: controls over time, the target, lines at 1, 2 and 3 SD, alarms ringed."""

    def draw(axes: Axes) -> None:
        of = ", ".join(filter(None, (key.marker, f"control {key.kind}", key.clone, key.stainer)))
        axes.set(title=f"{of}: {key.measure}", xlabel="control, oldest first", ylabel=key.measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        limits = chart.limits
        if limits is None:
            axes.text(0.5, 0.5, "too few controls", ha="center", transform=axes.transAxes)
            return
        for sd, style in ((0, "-"), (1, ":"), (2, "--"), (3, "-.")):
            for side in {sd, -sd}:
                axes.axhline(limits.target + side * limits.deviation, color=GREY, ls=style, lw=0.8)
        x = np.arange(1, len(chart.charted) + 1)
        axes.plot(x, [c.point.value for c in chart.charted], "o-", color=BLUE, ms=4, lw=0.8)
        alarms = [i for i, c in enumerate(chart.charted) if c.alarms]
        values = [chart.charted[i].point.value for i in alarms]
        axes.plot(x[alarms], values, "o", mfc="none", mec=RED, ms=9)
        for i in alarms:
            text = ", ".join(chart.charted[i].alarms)
            axes.annotate(text, (x[i], chart.charted[i].point.value), (4, 6), textcoords="offset points", fontsize=7)

    return picture(draw, format_)


def value_histogram(nuclei: Counted, criteria: Criteria, title: str, format_: Format) -> bytes:
    """Nuclei by value, those brown and those blue under the thresholds; of densities by density."""

    def draw(axes: Axes) -> None:
        axes.set(title=title, ylabel="nuclei")
        if isinstance(criteria, HueValueThresholds):
            _by_value(axes, nuclei, criteria)
        elif isinstance(criteria, DensityThresholds):
            _by_density(axes, nuclei.brown, criteria)
        else:
            axes.text(0.5, 0.5, "no thresholds of these are drawn", ha="center", transform=axes.transAxes)

    return picture(draw, format_)


def threshold_surface(grid: ValueGrid, best: tuple[int, int], title: str, format_: Format) -> bytes:
    """The mean error of every pair of value thresholds, and which `best` pair was fitted."""
    left, right, error = grid.left, grid.right, grid.error

    def draw(axes: Axes) -> None:
        axes.set(title=title, xlabel="left (strong below), value", ylabel="right (moderate below), value")
        shown = axes.pcolormesh(left, right, error, cmap="viridis_r", shading="nearest", rasterized=True)
        axes.figure.colorbar(shown, ax=axes, label="mean error, H-score points")
        lowest = float(np.nanmin(error))
        axes.contour(left, right, error, levels=[lowest + 1.0], colors="white", linewidths=1)
        axes.plot(*best, "x", color=RED, ms=9, mew=2, label=f"fitted {best[0]}, {best[1]}; white: within a point")
        axes.legend(loc="lower right", fontsize=8)

    return picture(draw, format_)


def before_and_after(changes: Sequence[Change], display: str, unit: str, format_: Format) -> bytes:
    """Each result as a point: before along x, after along y; on the line nothing changes."""

    def draw(axes: Axes) -> None:
        axes.set(title=f"{display}: before and after", xlabel=f"before, {unit}", ylabel=f"after, {unit}")
        both = [(c.before, c.after) for c in changes if c.before is not None and c.after is not None]
        xy = np.array(both, np.float64).reshape(-1, 2)
        low, high = (float(xy.min()), float(xy.max())) if len(xy) else (0.0, 1.0)
        axes.plot([low, high], [low, high], "-", color=GREY, lw=0.8)
        axes.plot(xy[:, 0], xy[:, 1], "o", color=BLUE, ms=4, alpha=0.6)

    return picture(draw, format_)


def agreement_plot(pairs: Sequence[tuple[float, float]], limits: NumberAgreement, title: str, format_: Format) -> bytes:
    """Score less estimate by the mean of both (Bland and Altman 1986): bias, and limits that 95 % lie within."""

    def draw(axes: Axes) -> None:
        axes.set(title=title, xlabel="mean of score and estimate", ylabel="score less estimate")
        xy = np.array(pairs, np.float64).reshape(-1, 2)
        axes.plot(xy.mean(axis=1), xy[:, 0] - xy[:, 1], "o", color=BLUE, ms=4, alpha=0.6)
        axes.axhline(0, color=GREY, lw=0.8)
        axes.axhline(limits.bias, color=RED, lw=1, label=f"bias {limits.bias:+.1f}, {limits.n} estimates")
        for end in limits.limits or ():
            axes.axhline(end, color=RED, ls="--", lw=1, label=f"95 % limit {end:+.1f}")
        axes.legend(fontsize=8)

    return picture(draw, format_)


def picture(draw: Callable[[Axes], None], format_: Format) -> bytes:
    """A figure of one pair of axes. Safe in any thread: no state of pyplot's is touched."""
    with mpl.rc_context({"svg.hashsalt": "chromogen", "font.size": 9, "savefig.dpi": DPI}):
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        out = BytesIO()
        figure.savefig(out, format=format_.value, metadata=_METADATA[format_.value])
    return out.getvalue()


def _by_value(axes: Axes, nuclei: Counted, t: HueValueThresholds) -> None:
    values = np.arange(len(nuclei.brown))
    axes.fill_between(values, nuclei.blue, step="mid", color=BLUE, alpha=0.4, label=f"hue {t.hue} and above")
    axes.fill_between(values, nuclei.brown, step="mid", color=BROWN, alpha=0.6, label=f"hue below {t.hue}")
    for name in ("left", "right"):
        axes.axvline(getattr(t, name) - 0.5, color=RED, lw=1, label=f"{name} {getattr(t, name)}")
    axes.set_xlabel("value, 0 dark to 255 bright")
    axes.legend(fontsize=8)


def _by_density(axes: Axes, table: IntArray, t: DensityThresholds) -> None:
    axes.fill_between(np.arange(len(table)) / 100, table, step="mid", color=BROWN, alpha=0.6)
    for name in ("weak", "moderate", "strong"):
        cut = getattr(t, name) / 100
        axes.axvline(cut, color=RED, lw=1, label=f"{name} from {cut:g}")
    axes.set_xlabel("optical density of DAB")
    axes.legend(fontsize=8)
