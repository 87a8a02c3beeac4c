"""One slide at several pixel sizes: the same nuclei and the same score, in the pixels of each."""

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.analyze import find_cells
from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.draw import draw_difficult, draw_slide
from inference.draw.difficult import KINDS
from inference.engines.local import LocalEngine
from inference.geometry import Region, Size
from inference.grade import GRADES
from inference.score import h_score
from inference.slide import Rgb
from server.slides.opening import open_slide
from tests.models import HALF_A_MICROMETRE, IHC_TILE

SIDE = 768
CRITERIA = assay_of("ER").built_in.criteria


USUAL, CROWDED, SMALL = "usual", "crowded", "small"


@functools.cache
def drawn(kind: str) -> Rgb:
    size = Size(width=SIDE, height=SIDE)
    if kind == USUAL:
        drawing = draw_slide(size=size, seed=3, h_score=150)
    else:
        drawing = draw_difficult(KINDS[kind], size=size, seed=3, h_score=150)
    return drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))


@functools.cache
def engine() -> LocalEngine:
    return LocalEngine(IHC_TILE, threads=1)


def scored(picture: Rgb, mpp: float, folder: Path) -> tuple[int, float, float]:
    """Nuclei, H-score, and the mean place along x in µm."""
    path = folder / f"{mpp}.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    slide = open_slide(path, HALF_A_MICROMETRE, mpp=mpp)
    try:
        cells = find_cells(slide, engine(), NUCLEAR, IHC_TILE.counting_threshold)
    finally:
        slide.close()
    grade = NUCLEAR.group_of(cells, CRITERIA) % GRADES
    return len(cells), h_score(tuple(np.bincount(grade, minlength=GRADES).tolist())) or 0.0, float(cells.x.mean()) * mpp


@pytest.mark.parametrize(
    ("kind", "mpp", "count"),
    [
        *((USUAL, mpp, 0.015) for mpp in (0.4, 0.45, 0.55, 0.6249)),  # of some 700: on 2,773 it was 0.6 %
        (CROWDED, 0.6249, 0.02),  # what touches can't all be told apart in coarser pixels: on 3,819 it was 1.4 %
        (SMALL, 0.6249, 0.01),
    ],
)
def test_a_copy_of_another_pixel_size_has_the_same_nuclei_and_score(
    kind: str, mpp: float, count: float, tmp_path: Path
) -> None:
    side, picture = round(SIDE * 0.5 / mpp), drawn(kind)
    way = cv2.INTER_AREA if side < SIDE else cv2.INTER_CUBIC
    copy = np.asarray(cv2.resize(picture, (side, side), interpolation=way), np.uint8)
    n, points, place = scored(picture, 0.5, tmp_path)
    other, other_points, other_place = scored(copy, mpp, tmp_path)
    assert other == pytest.approx(n, rel=count)
    assert other_points == pytest.approx(points, abs=3)
    assert other_place == pytest.approx(place, abs=1.5)
