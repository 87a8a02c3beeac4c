"""Pictures of a calibration, `calibrate --plots DIR`: each as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path

from inference.calibrate import Calibration
from inference.calibration.plotted import plotted
from inference.calibration.sample import Sample
from server.report.calibration_pictures import pictures
from server.report.plots import Format


def write_plots(folder: Path, samples: Sequence[Sample], found: Calibration) -> None:
    """`thresholds` (the error of each pair of value thresholds) and `nuclei` (with the fitted thresholds)."""
    folder.mkdir(parents=True, exist_ok=True)
    criteria = found.chosen.fit.criteria
    shown = plotted(samples, criteria)
    for format_ in Format:
        for name, picture in pictures(shown, criteria, format_):
            part = folder / f"{name}.{format_}.part"
            part.write_bytes(picture)
            part.replace(part.with_suffix(""))
