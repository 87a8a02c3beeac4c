"""A picture of a result: nuclei coloured by grade over the slide, with a legend."""

from pathlib import Path

import cv2
import numpy as np

from inference.grade import Thresholds, grades
from inference.nuclei import read_nuclei
from inference.slide import Rgb, Slide

LONGEST_PX = 2400
GRADE_NAMES = ("0 unstained", "1 weak", "2 moderate", "3 strong")
GRADE_COLOURS = ((40, 90, 220), (250, 215, 60), (245, 130, 30), (200, 20, 20))  # RGB
LEGEND_PX = 44


def draw_overlay(slide: Slide, nuclei_file: Path, thresholds: Thresholds, *, title: str) -> Rgb:
    """The whole slide at most LONGEST_PX a side, its nuclei on it, legend below; (h, w, 3) RGB."""
    size = slide.facts.size
    mpp = max(slide.facts.mpp * max(size.width, size.height) / LONGEST_PX, slide.working.mpp)
    picture, _ = slide.overview(mpp)
    side = min(LONGEST_PX / max(picture.shape[:2]), 1.0)
    if side < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=side, fy=side, interpolation=cv2.INTER_AREA), np.uint8)
    per_px = picture.shape[1] / size.width
    canvas = (picture.astype(np.uint16) + 255 * 2) // 3  # faded, so that the marks stand out
    canvas = np.ascontiguousarray(canvas.astype(np.uint8))
    radius = max(round(2.4 * per_px / slide.facts.mpp), 1)
    for nuclei in read_nuclei(nuclei_file):
        columns, rows = ((v + 0.5) * per_px - 0.5 for v in (nuclei.x, nuclei.y))
        for x, y, grade, compartment in zip(
            np.rint(columns).astype(int).tolist(),
            np.rint(rows).astype(int).tolist(),
            grades(nuclei, thresholds).tolist(),
            nuclei.compartment.tolist(),
            strict=True,
        ):
            filled = -1 if compartment or radius < 2 else 1
            cv2.circle(canvas, (x, y), radius, GRADE_COLOURS[grade], filled, cv2.LINE_AA if radius > 1 else cv2.LINE_8)
    return np.concatenate([canvas, _legend(canvas.shape[1], title)])


def _legend(width: int, title: str) -> Rgb:
    strip = np.full((LEGEND_PX, width, 3), 255, np.uint8)
    scale = min(width / 1300, 0.6)
    step, y = int(190 * scale / 0.6), LEGEND_PX // 2
    for i, (name, colour) in enumerate(zip(GRADE_NAMES, GRADE_COLOURS, strict=True)):
        cv2.circle(strip, (14 + i * step, y), 7, colour, -1, cv2.LINE_AA)
        cv2.putText(strip, name, (26 + i * step, y + 6), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    text = f"disc epithelium, ring stroma | {title} | research use only"
    cv2.putText(
        strip, text, (26 + 4 * step, y + 6), cv2.FONT_HERSHEY_SIMPLEX, scale * 0.85, (90, 90, 90), 1, cv2.LINE_AA
    )
    return strip


def write_png(path: Path, picture: Rgb) -> None:
    """Write an RGB picture; whole or not at all."""
    done, data = cv2.imencode(".png", picture[..., ::-1])
    assert done
    part = path.with_name(path.name + ".part")
    part.write_bytes(data.tobytes())
    part.replace(path)
