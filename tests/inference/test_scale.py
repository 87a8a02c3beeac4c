"""Large nuclei are found in coarser pixels, chosen by the slide alone; small ones as ever."""

import threading
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from inference.analysis import Analysis
from inference.analyze import Options, analyze, find_cells
from inference.analyzers.nuclear import NUCLEAR
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.draw import Drawing, draw_difficult, draw_slide
from inference.draw.difficult import KINDS
from inference.engines.local import LocalEngine
from inference.evaluation.metric import Points, matches
from inference.geometry import Region, Size
from inference.infer import TileAnswer
from inference.picture import PictureSlide
from inference.scale import FIELD, FIELDS, CoarserEngine, fields, look
from inference.slide import Rgb
from inference.stain import hue_value_density, mean_rgb
from inference.tile import TileShape
from inference.tissue import find_tissue
from tests.models import HALF_A_MICROMETRE, IHC_TILE

SIDE = 1200
SIZE = Size(width=SIDE, height=SIDE)
WHOLE = Region(x=0, y=0, width=SIDE, height=SIDE)
RADIUS = 3.0 / 0.5
ENLARGED = 2
"""The network knows nuclei of 4 to 16 µm; those that are large for it are such ones enlarged."""


class Counting(LocalEngine):
    """That notes the sides of the tiles it sees."""

    def __init__(self) -> None:
        super().__init__(IHC_TILE, threads=1)
        self.sides: list[int] = []

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        self.sides.append(tiles.shape[1])
        return super().detect(tiles, faintest)


@cache
def engine() -> LocalEngine:
    return LocalEngine(IHC_TILE, threads=1)


@cache
def drawing(name: str) -> Drawing:
    if name == "usual":
        return draw_slide(size=SIZE, seed=3, h_score=140)
    small = Size(width=SIDE // ENLARGED, height=SIDE // ENLARGED)
    return draw_difficult(KINDS[name], size=small, seed=3, h_score=140)


@cache
def picture(name: str) -> Rgb:
    """(SIDE, SIDE, 3)."""
    if name == "usual":
        return drawing(name).read(WHOLE)
    side = SIDE // ENLARGED
    small = drawing(name).read(Region(x=0, y=0, width=side, height=side))
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def slide(name: str) -> PictureSlide:
    return PictureSlide(picture(name), HALF_A_MICROMETRE)


def f1(name: str, cells: Cells) -> float:
    truth = drawing(name).truth
    times = 1 if name == "usual" else ENLARGED
    true = Points(
        xy=(np.stack([truth.x, truth.y], axis=1) + 0.5) * times - 0.5,
        label=np.zeros(len(truth.x), int),
        confidence=np.ones(len(truth.x)),
    )
    found = Points(
        xy=np.stack([cells.x, cells.y], axis=1), label=np.zeros(len(cells), int), confidence=cells["confidence"]
    )
    return float(2 * (matches(found, true, RADIUS) >= 0).sum() / (len(cells) + len(truth.x)))


def analysed(name: str, folder: Path, **options: object) -> tuple[Analysis, Cells]:
    file = folder / "cells.parquet"
    analysis = analyze(slide(name), engine(), NUCLEAR, file, Options(**options))  # type: ignore[arg-type]
    return analysis, joined(list(read_cells(file, NUCLEAR.schema)))


def test_large_nuclei_are_found_and_the_result_says_how(tmp_path: Path) -> None:
    analysis, cells = analysed("large", tmp_path)
    assert f1("large", cells) >= 0.95
    assert "LARGE_NUCLEI" in analysis.warnings


def test_a_slide_of_small_nuclei_costs_a_few_fields_more_and_changes_nothing() -> None:
    counting, one = Counting(), slide("usual")
    tissue = find_tissue(one, WHOLE)
    assert look(one, counting, tissue).fitted(counting) is counting
    assert counting.sides == [FIELD.core] * len(fields(one, tissue))
    assert 1 < len(counting.sides) <= FIELDS


def test_all_workers_of_an_engine_look_at_fields_at_once() -> None:
    class Meeting(LocalEngine):
        """Whose calls return only once two of them wait."""

        met = threading.Barrier(2, timeout=60)

        def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
            self.met.wait()
            return super().detect(tiles, faintest)

    one = slide("usual")
    tissue = find_tissue(one, WHOLE)
    assert len(fields(one, tissue)) % 2 == 0
    assert look(one, Meeting(IHC_TILE, threads=2), tissue).by == 1


@pytest.mark.parametrize("shape", [TileShape(core=128, halo=32, stride=32), TileShape(core=512, halo=32, stride=32)])
def test_the_tiles_size_and_the_batch_change_hardly_a_nucleus(shape: TileShape, tmp_path: Path) -> None:
    _, whole = analysed("large", tmp_path)
    _, tiled = analysed("large", tmp_path, shape=shape, batch=3)
    assert len(tiled) == pytest.approx(len(whole), rel=0.006)


def test_the_choice_is_of_the_slide_whatever_the_mask_leaves_out() -> None:
    one = slide("large")
    assert look(one, engine(), find_tissue(one, WHOLE)).by == look(one, engine(), None).by == 2


@pytest.mark.parametrize(("name", "by"), [("large", 2), ("usual", 1)])
def test_an_engine_that_takes_small_tiles_is_asked_in_such_and_chooses_the_same(name: str, by: float) -> None:
    counting, small = Counting(), TileShape(core=192, halo=32, stride=32)
    assert look(slide(name), counting, None, small).by == by
    assert max(counting.sides) == small.side


def test_colours_are_those_of_the_tile_as_it_comes() -> None:
    coarser, tile = CoarserEngine(engine(), 2), picture("large")[:1152, :1152]
    (answer,) = coarser.detect(np.ascontiguousarray(tile)[None], 0.5)
    columns = answer.columns
    assert len(columns["x"]) > 50
    expected = hue_value_density(mean_rgb(tile, columns["x"], columns["y"]))
    for name, values in zip(("hue", "value", "dab_od_centi"), expected, strict=True):
        assert np.array_equal(columns[name], values)


def test_a_picture_of_large_nuclei_is_looked_at_so_too_unless_its_caller_says_otherwise() -> None:
    threshold = IHC_TILE.counting_threshold
    assert f1("large", find_cells(slide("large"), engine(), NUCLEAR, threshold)) >= 0.95
    assert f1("large", find_cells(slide("large"), engine(), NUCLEAR, threshold, fit=False)) < 0.5


def test_an_empty_picture_is_seen_as_it_comes() -> None:
    white = PictureSlide(np.full((300, 300, 3), 255, np.uint8), HALF_A_MICROMETRE)
    assert look(white, engine(), None).by == 1
