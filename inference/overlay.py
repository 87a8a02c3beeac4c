"""A picture of a result: cells coloured by group over the slide, with a legend."""

from pathlib import Path

import cv2
import numpy as np

from inference.analyzers.analyzer import Analyzer, Legend
from inference.cells.file import read_cells
from inference.criteria import Criteria
from inference.slide import Rgb, Slide

LONGEST_PX = 2400
LEGEND_PX = 44


def draw_overlay(
    slide: Slide, cells_file: Path, analyzer: Analyzer, criteria: Criteria, *, title: str, use: str
) -> Rgb:
    """The whole slide at most LONGEST_PX a side, its cells on it, legend below; (h, w, 3) RGB. `use` says what for."""
    size = slide.facts.size
    mpp = max(slide.facts.mpp * max(size.width, size.height) / LONGEST_PX, slide.working.mpp)
    picture, _ = slide.overview(mpp)
    side = min(LONGEST_PX / max(picture.shape[:2]), 1.0)
    if side < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=side, fy=side, interpolation=cv2.INTER_AREA), np.uint8)
    per_px = picture.shape[1] / size.width
    faded = (picture.astype(np.uint16) + 255 * 2) // 3  # so that the marks stand out
    canvas = np.ascontiguousarray(faded.astype(np.uint8))
    _mark(canvas, cells_file, analyzer, criteria, per_px, radius=max(round(2.4 * per_px / slide.facts.mpp), 1))
    return np.concatenate([canvas, _legend(canvas.shape[1], analyzer.legend, f"{title} | {use}")])


def _mark(canvas: Rgb, cells_file: Path, analyzer: Analyzer, criteria: Criteria, per_px: float, *, radius: int) -> None:
    """A disc or ring for each cell (in place); `per_px` pixels of the canvas for one of the largest level."""
    line = cv2.LINE_AA if radius > 1 else cv2.LINE_8
    for cells in read_cells(cells_file, analyzer.schema):
        columns, rows = (np.rint((v + 0.5) * per_px - 0.5).astype(int).tolist() for v in (cells.x, cells.y))
        for x, y, group in zip(columns, rows, analyzer.group_of(cells, criteria).tolist(), strict=True):
            shown = analyzer.groups[group]
            cv2.circle(canvas, (x, y), radius, shown.colour, -1 if shown.filled or radius < 2 else 1, line)


def _legend(width: int, legend: Legend, title: str) -> Rgb:
    strip = np.full((LEGEND_PX, width, 3), 255, np.uint8)
    scale = min(width / 1300, 0.6)
    step, y = int(190 * scale / 0.6), LEGEND_PX // 2
    for i, (name, colour) in enumerate(legend.marks):
        cv2.circle(strip, (14 + i * step, y), 7, colour, -1, cv2.LINE_AA)
        cv2.putText(strip, name, (26 + i * step, y + 6), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    text = f"{legend.note} | {title}"
    at = (26 + len(legend.marks) * step, y + 6)
    cv2.putText(strip, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale * 0.85, (90, 90, 90), 1, cv2.LINE_AA)
    return strip


def write_png(path: Path, picture: Rgb) -> None:
    """Write an RGB picture; whole or not at all."""
    done, data = cv2.imencode(".png", picture[..., ::-1])
    assert done
    part = path.with_name(path.name + ".part")
    part.write_bytes(data.tobytes())
    part.replace(path)
