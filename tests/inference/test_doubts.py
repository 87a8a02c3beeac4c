"""COUNT_UNSURE and STAIN_WEAK: said of slides that the network or the grading can't cope with, of usual ones not."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.analyzers.weak import LEAST_BLUE, LEAST_BROWN, stain_weak
from inference.area import box_area
from inference.checkpoint import Checkpoint, CheckpointFile, TileFound
from inference.draw import draw_slide
from inference.engines.local import LocalEngine
from inference.geometry import Region, Size
from inference.grade import HUES, VALUES
from inference.picture import PictureSlide
from inference.slide import Rgb
from inference.tile import TileShape
from inference.white import white_of
from tests.models import HALF_A_MICROMETRE, IHC_TILE, SHAPE

SIDE = 640
BLUE, BROWN = 230, 20
DOUBTS = {"COUNT_UNSURE", "STAIN_WEAK"}


def drawn() -> Rgb:
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=2, h_score=60)
    return drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))


def paler(picture: Rgb, times: float) -> Rgb:
    """With so many times the density of both stains."""
    white = np.array(white_of(PictureSlide(picture, HALF_A_MICROMETRE)).rgb)
    return np.asarray(np.clip(np.rint(white * (np.maximum(picture, 1) / white) ** times), 0, 255), np.uint8)


def larger(picture: Rgb, times: float) -> Rgb:
    return np.asarray(cv2.resize(picture, None, fx=times, fy=times), np.uint8)


def test_doubts_are_said_of_pale_stain_and_of_nuclei_too_large_and_not_of_a_usual_slide(tmp_path: Path) -> None:
    engine = LocalEngine(IHC_TILE, threads=1)
    as_it_comes = replace(IHC_TILE, resolution=replace(HALF_A_MICROMETRE, coarser=()))
    of_one_size = LocalEngine(as_it_comes, threads=1)

    def said(picture: Rgb, name: str, engine: LocalEngine = engine) -> set[str]:
        slide = PictureSlide(picture, HALF_A_MICROMETRE)
        return DOUBTS & set(analyze(slide, engine, NUCLEAR, tmp_path / name, Options()).warnings)

    assert said(drawn(), "usual") == set()
    assert said(paler(drawn(), 0.3), "pale") == {"STAIN_WEAK"}
    assert said(larger(drawn(), 3.5), "large", of_one_size) == {"COUNT_UNSURE"}
    assert said(larger(drawn(), 3.5), "coarser") == set()


@pytest.mark.parametrize("shape", [SHAPE, TileShape(core=128, halo=SHAPE.halo, stride=SHAPE.stride)])
def test_only_nuclei_that_are_scored_are_judged(
    shape: TileShape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[TileFound] = []
    monkeypatch.setattr(CheckpointFile, "add", lambda _, one: found.append(one))
    kept, out = (box_area("kept", Region(x=x, y=0, width=200, height=SIDE)) for x in (100, 200))
    options = Options(shape=shape, region=Region(x=0, y=0, width=SIDE, height=300), within=kept, without=(out,))
    slide, checkpoint = PictureSlide(drawn(), HALF_A_MICROMETRE), Checkpoint(file=tmp_path / "one")
    engine = LocalEngine(IHC_TILE, threads=1)
    analysis = analyze(slide, engine, NUCLEAR, tmp_path / "n.parquet", options, checkpoint=checkpoint)
    assert sum(one.judged for one in found) == analysis.histograms.n > 10
    assert [one.judged for one in found] == [len(one.cells) for one in found]


@pytest.mark.parametrize(
    ("blue", "brown", "weak"),
    [
        ((160, 1000), (50, 1000), False),
        ((215, 1000), (50, 1000), True),
        ((160, 1000), (160, 1000), True),
        ((160, 1000), (160, 90), False),  # a few pale ones in a negative slide
        ((160, 5000), (160, 400), False),
        ((215, LEAST_BLUE - 1), (50, 1000), False),
        ((215, LEAST_BLUE), (50, 1000), True),
        ((160, 10), (160, LEAST_BROWN - 1), False),
        ((0, 0), (0, 0), False),
    ],
)
def test_either_stain_is_weak_where_enough_of_its_nuclei_are_pale(
    blue: tuple[int, int], brown: tuple[int, int], weak: bool
) -> None:
    table = np.zeros((HUES, VALUES), np.int64)
    for hue, (value, n) in ((BLUE, blue), (BROWN, brown)):
        table[hue, value] = n
    assert stain_weak(table) is weak
