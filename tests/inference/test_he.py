"""H&E: nuclei of tiles put together, what is measured and scored of them, and what isn't H&E."""

from pathlib import Path

import numpy as np
import pytest

from inference.analyze import Options, analyze, find_cells
from inference.analyzers.he import (
    COUNTS,
    DENSITIES,
    DENSITY,
    HE,
    INFILTRATING,
    MEASURES,
    NAMES,
    SHARES,
    TOTAL,
)
from inference.analyzers.he_criteria import HeCriteria
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.checkpoint import Checkpoint
from inference.contour import CONTOUR, rings_of
from inference.draw.he import HeDrawing
from inference.draw.he import Plan as HePlan
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.errors import Reason, Refused
from inference.instances import KINDS
from inference.measures import ALL, find, with_densities
from inference.slide import Rgb
from inference.tile import TileShape
from tests.inference.he_engine import PictureSlide, ThresholdEngine

SHAPES = (TileShape(core=256, halo=64, stride=64), TileShape(core=448, halo=64, stride=64), None)


@pytest.fixture(scope="module")
def pixels() -> Rgb:
    return HeDrawing(HePlan(side_um=240, tissue=1.0), Scanner(jpeg=None), seed=5).pixels()


def analysed(pixels: Rgb, folder: Path, shape: TileShape | None, checkpoint: Checkpoint | None = None) -> Cells:
    slide = PictureSlide(pixels=pixels)
    analyze(slide, ThresholdEngine(), HE, folder / "cells.parquet", Options(shape=shape), checkpoint=checkpoint)
    return joined(list(read_cells(folder / "cells.parquet", HE.schema)))


def in_place(cells: Cells) -> list[tuple[float, float, float, bytes]]:
    return sorted(zip(cells.y.tolist(), cells.x.tolist(), cells["area_um2"].tolist(), cells[CONTOUR], strict=True))


def test_nuclei_across_seams_are_whole_and_counted_once(pixels: Rgb, tmp_path: Path) -> None:
    """Exactly: what a threshold finds doesn't depend on the tile, so the tiling alone could make a difference."""
    first, *others = [in_place(analysed(pixels, tmp_path, shape)) for shape in SHAPES]
    assert len(first) > 150
    assert all(other == first for other in others)


def test_a_nucleus_over_three_tiles_is_one(tmp_path: Path) -> None:
    pixels = np.full((768, 768, 3), (230, 190, 215), np.uint8)
    pixels[230:290, 200:300] = (70, 40, 120)  # over the corner of four cores of 256 px, most of it in three
    cells = analysed(pixels, tmp_path, TileShape(core=256, halo=64, stride=64))
    assert len(cells) == 1
    ring = rings_of(cells[CONTOUR], cells.x + 0.5, cells.y + 0.5, mpp=0.25).corners
    assert (ring.min(axis=0) - (200, 230)).round().tolist() == [0, 0]
    assert (ring.max(axis=0) - (300, 290)).round().tolist() == [0, 0]


def test_a_nucleus_cut_by_the_edge_ends_there(tmp_path: Path) -> None:
    """Tiles mirror the slide beyond its edge: none of what lies there is a nucleus of the slide."""
    pixels = np.full((512, 512, 3), (230, 190, 215), np.uint8)
    pixels[0:20, 100:130] = pixels[300:330, 490:512] = (70, 40, 120)
    cells = find_cells(PictureSlide(pixels=pixels), ThresholdEngine(), HE, 0.0)
    assert len(cells) == 2
    rings = rings_of(cells[CONTOUR], cells.x + 0.5, cells.y + 0.5, mpp=0.25)
    assert rings.corners.min() == 0
    assert rings.corners.max() == 512


def test_an_attempt_that_was_cut_off_goes_on_with_the_same_outlines(pixels: Rgb, tmp_path: Path) -> None:
    class Cut(Exception):
        """The process ends."""

    def cut(share: float) -> None:
        if share > 0.4:
            raise Cut

    slide, shape = PictureSlide(pixels=pixels), SHAPES[0]
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    whole = in_place(analysed(pixels, tmp_path, shape))
    cells, noted = tmp_path / "1" / "cells.parquet", Checkpoint.in_case(tmp_path / "1")
    with pytest.raises(Cut):
        analyze(slide, ThresholdEngine(), HE, cells, Options(shape=shape), cut, noted)
    noted = Checkpoint.in_case(tmp_path / "2")
    assert noted.earlier
    assert in_place(analysed(pixels, tmp_path / "2", shape, noted)) == whole


def test_what_is_measured_of_a_nucleus_is_in_um(tmp_path: Path) -> None:
    pixels = np.full((512, 512, 3), (230, 190, 215), np.uint8)
    pixels[100:120, 200:240] = (70, 40, 120)
    cells = analysed(pixels, tmp_path, None)
    assert (cells["area_um2"][0], cells["major_um"][0], cells["minor_um"][0]) == pytest.approx(
        (50, 11.5, 5.8), rel=0.02
    )
    assert min(cells["angle"][0], 180 - cells["angle"][0]) == pytest.approx(0, abs=0.1)
    assert cells["haematoxylin_od"][0] > 0.3
    assert -0.1 < cells["eosin_od"][0] < cells["haematoxylin_od"][0]


def test_two_thousand_nuclei_in_a_tile_are_all_kept(tmp_path: Path) -> None:
    pixels = np.full((1024, 1024, 3), (230, 190, 215), np.uint8)
    for y in range(10, 1010, 22):
        for x in range(10, 1010, 22):
            pixels[y : y + 12, x : x + 12] = (70, 40, 120)
    assert len(find_cells(PictureSlide(pixels=pixels), ThresholdEngine(1024), HE, 0.0)) == 46**2


def test_scores_follow_from_counts_and_area() -> None:
    counts = np.array([10, 60, 40, 80, 10])
    rows = with_densities(HE.scores(MEASURES, counts, None), MEASURES, {ALL: 2.0})
    value = {row.measure: row.value for row in rows}
    assert [value[m.code] for m in COUNTS] == counts.tolist()
    assert [value[m.code] for m in DENSITIES] == [5, 30, 20, 40]
    assert (value[TOTAL.code], value[DENSITY.code], value[INFILTRATING.code]) == (200, 100, 60)
    assert [value[m.code] for m in SHARES] == [5, 30, 20, 40]
    infiltrating = find(rows, INFILTRATING, ALL)
    assert infiltrating is not None
    assert infiltrating.n == 100


def test_no_nuclei_have_no_share_and_no_area_no_density() -> None:
    rows = with_densities(HE.scores(MEASURES, np.zeros(len(NAMES), np.int64), None), MEASURES, {})
    value = {row.measure: row.value for row in rows}
    assert value[INFILTRATING.code] is value[SHARES[0].code] is value[DENSITY.code] is None
    assert value[TOTAL.code] == 0


def test_counts_of_the_histogram_are_those_of_the_cells(pixels: Rgb, tmp_path: Path) -> None:
    slide, criteria = PictureSlide(pixels=pixels), HeCriteria(least_probability=0.5)
    analysis = analyze(slide, ThresholdEngine(), HE, tmp_path / "cells.parquet", Options())
    cells = joined(list(read_cells(tmp_path / "cells.parquet", HE.schema)))
    groups = HE.group_of(cells, criteria)
    counted = np.bincount(groups, minlength=len(HE.groups))
    np.testing.assert_array_equal(HE.counts(analysis.histograms, criteria), counted)
    assert (HE.scored_columns(cells, criteria)["class"] == np.array(NAMES)[groups]).all()


def test_an_unsure_nucleus_is_of_no_class() -> None:
    assert HeCriteria.read({"least_probability": 0.7}).least_percent == 70
    assert HeCriteria.read({}) == HeCriteria()
    for wrong in ({"least_probability": 1.2}, {"least": 0.5}):
        with pytest.raises(Refused) as refused:
            HeCriteria.read(wrong)
        assert refused.value.reason is Reason.PROFILE_INVALID


def test_a_lymph_node_with_hardly_any_eosin_is_he() -> None:
    """As densely as nuclei lie in a follicle."""
    node = np.full((200, 200, 3), 240, np.uint8)
    node[:150] = np.round(256 * 10 ** (-0.6 * np.array((0.77, 1.0, 0.4)))).astype(np.uint8)
    assert HE.mismatch(node) is None


def test_an_immunostain_isnt_he_with_brown_or_without(pixels: Rgb) -> None:
    assert HE.mismatch(PictureSlide(pixels=pixels).overview(2.0)[0]) is None
    for mix in ({"intense_complete": 1.0}, {"none": 1.0}):
        stained = Her2Drawing(Plan(side_um=200, mix=mix), Scanner(mpp=0.5), seed=3).pixels()
        found = HE.mismatch(PictureSlide(pixels=stained, mpp=0.5).overview(2.0)[0])
        assert found is not None
        assert found.reason is Reason.NOT_HE


@pytest.mark.parametrize("place", [KINDS.index("inflammatory"), KINDS.index("epithelial")])
def test_a_class_that_no_field_has_may_still_be_there(place: int) -> None:
    """Of 98 nuclei in seven fields none, or all: an interval of no width would say that this is sure."""
    fields = np.zeros((7, len(NAMES)), np.int64)
    fields[:, place] = 14
    rows = {row.measure: row for row in HE.scores(MEASURES, fields.sum(axis=0), fields)}
    low, high = rows["HE_SHARE_INFLAMMATORY"].interval or (0.0, 0.0)
    assert 2.5 < high - low < 6
    assert high == 100 if KINDS[place] == "inflammatory" else low == 0
