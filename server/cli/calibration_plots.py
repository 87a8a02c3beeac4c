"""Pictures of a calibration, `calibrate --plots DIR`: each as PNG and SVG."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from inference.analyzers.nuclear import NUCLEAR, table_of
from inference.calibrate import Calibration
from inference.calibration.sample import Sample, in_colour
from inference.calibration.value_grid import value_grid
from inference.cells.histograms import histograms_of
from inference.cells.values import joined
from inference.grade import HueValueThresholds
from server.report.plots import Format, threshold_surface, value_histogram


def write_plots(folder: Path, samples: Sequence[Sample], found: Calibration) -> None:
    """`thresholds` (the error of each pair of value thresholds) and `nuclei` (with the fitted thresholds)."""
    folder.mkdir(parents=True, exist_ok=True)
    for format_ in Format:
        for name, picture in _drawn(samples, found, format_):
            part = folder / f"{name}.{format_}.part"
            part.write_bytes(picture)
            part.replace(part.with_suffix(""))


def _drawn(samples: Sequence[Sample], found: Calibration, format_: Format) -> Iterator[tuple[str, bytes]]:
    criteria = found.chosen.fit.criteria
    tables = histograms_of(joined([s.cells for s in samples]), NUCLEAR.histograms)
    table = tables[table_of(criteria)]
    yield "nuclei", value_histogram(table, criteria, f"{found.n} nuclei, thresholds as fitted", format_)
    if not isinstance(criteria, HueValueThresholds):
        return
    grid = value_grid([in_colour(sample, criteria.colour) for sample in samples], criteria.hue)
    if grid is not None:
        best, title = (criteria.left, criteria.right), f"error by value thresholds, hue {criteria.hue}"
        yield "thresholds", threshold_surface(grid.left, grid.right, grid.error, best, title, format_)
