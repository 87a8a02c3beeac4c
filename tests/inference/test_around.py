"""Stain that lies around nuclei is no nuclear stain: refused where that is asked for, else said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.around import LEAST_NUCLEI, beside_nuclei, densities
from inference.draw import draw_difficult
from inference.draw.difficult import KINDS, Kind
from inference.draw.ground import Veil
from inference.engines.local import LocalEngine
from inference.errors import Refused
from inference.geometry import Region, Size
from inference.picture import PictureSlide
from inference.white import NO_CAST
from tests.models import HALF_A_MICROMETRE, IHC_TILE

SIDE = 640
PLASMA = replace(KINDS["cytoplasm"], veil=Veil(cytoplasm=0.6))


def slide_of(kind: Kind, h_score: float) -> PictureSlide:
    drawing = draw_difficult(kind, size=Size(width=SIDE, height=SIDE), seed=5, h_score=h_score)
    return PictureSlide(drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE)), HALF_A_MICROMETRE)


def warnings(slide: PictureSlide, folder: Path, *, refuse: bool = False) -> tuple[str, ...]:
    engine = LocalEngine(IHC_TILE, threads=1)
    options = Options(refuse_mismatch=refuse)
    return analyze(slide, engine, NUCLEAR, folder / "nuclei.parquet", options).warnings


def test_stain_of_the_cytoplasm_alone_is_refused_or_said(tmp_path: Path) -> None:
    slide = slide_of(PLASMA, 3)
    assert "NOT_NUCLEAR" in warnings(slide, tmp_path)
    with pytest.raises(Refused, match=r"NOT_NUCLEAR.*around nuclei"):
        warnings(slide, tmp_path, refuse=True)


@pytest.mark.parametrize(
    ("kind", "h_score"),
    [
        (PLASMA, 140),
        (KINDS["crowded"], 3),
        (KINDS["large"], 3),
        (KINDS["uneven"], 3),
        (KINDS["crowded"], 290),
        (replace(KINDS["pale"], veil=Veil(tint=0.15)), 3),
        (replace(KINDS["pale"], veil=Veil(tint=0.15)), 60),
    ],
)
def test_nuclear_stain_is_not_doubted(kind: Kind, h_score: float, tmp_path: Path) -> None:
    assert "NOT_NUCLEAR" not in warnings(slide_of(kind, h_score), tmp_path, refuse=True)


def test_densities_are_of_the_square_within_and_of_what_is_around_it() -> None:
    picture = np.full((80, 80, 3), 255, np.uint8)
    picture[36:45, 36:45] = (150, 90, 60)  # 9 px: a nucleus, and nothing around it
    within, around = densities(picture, NO_CAST, np.array([40.0]), np.array([40.0]))
    assert within[0] > 0.4
    assert around[0] == pytest.approx(0, abs=1e-3)
    inverse = np.asarray(np.where(picture == 255, (150, 90, 60), 255), np.uint8)
    within, around = densities(inverse, NO_CAST, np.array([40.0]), np.array([40.0]))
    assert within[0] == pytest.approx(0, abs=1e-3)
    assert around[0] > 0.4


def test_few_nuclei_and_a_pale_ground_say_nothing() -> None:
    def field(n: int, within: float, around: float) -> tuple[np.ndarray, np.ndarray]:
        return np.full(n, within), np.full(n, around)

    assert not beside_nuclei([])
    assert not beside_nuclei([field(LEAST_NUCLEI - 1, 0.1, 0.3)])
    assert beside_nuclei([field(LEAST_NUCLEI - 1, 0.1, 0.3), field(1, 0.1, 0.3)])
    assert not beside_nuclei([field(LEAST_NUCLEI, 0.05, 0.11)])
    assert not beside_nuclei([field(LEAST_NUCLEI, 0.3, 0.32)])
