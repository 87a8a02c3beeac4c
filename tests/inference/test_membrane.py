"""Membranes measured on rendered cells of known truth; the figures of the model card are made by the same code."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.analyze import Options, analyze
from inference.analyzers.her2 import CLASSES
from inference.analyzers.membrane import (
    GROUPS,
    MEMBRANE,
    NOT_VALIDATED,
    RESOLUTION_LOW,
)
from inference.analyzers.membrane_cells import measured_cells
from inference.analyzers.membrane_columns import SCHEMA, cells_of_measured
from inference.analyzers.membrane_contour import RAYS, Polar, contours, middles, sampled, smoothed
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.area import Area
from inference.cells.file import add_columns, read_cells
from inference.cells.histograms import histograms_of
from inference.cells.values import Cells, joined
from inference.draw import draw_slide
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.engines.local import LocalEngine
from inference.errors import Reason, Refused
from inference.evaluation.membranes import appraised
from inference.geometry import Region, Size
from inference.model import read_model, shipped_models
from inference.pattern import Pattern, most, pattern_of
from inference.picture import PictureSlide
from inference.tile import TileShape

MIX = {"none": 0.35, "faint_incomplete": 0.15, "moderate_complete": 0.2, "intense_complete": 0.3}
CRITERIA = MembraneCriteria()


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine(read_model(shipped_models(), "membrane"), threads=1)


@pytest.fixture(scope="module")
def drawings() -> dict[float, Her2Drawing]:
    plan = Plan(side_um=300, mix=MIX, cell_um=13)
    return {mpp: Her2Drawing(plan, Scanner(mpp=mpp, noise=1.5), seed=11) for mpp in (0.25, 0.5)}


def found(
    drawing: Her2Drawing, engine: LocalEngine, folder: Path, shape: TileShape | None = None, **options: object
) -> Cells:
    slide = PictureSlide(drawing.pixels(), engine.model.resolution, mpp=drawing.scanner.mpp)
    file = folder / "cells.parquet"
    analyze(slide, engine, MEMBRANE, file, Options(shape=shape, **options))  # type: ignore[arg-type]
    return joined(list(read_cells(file, SCHEMA)))


@pytest.mark.parametrize(("mpp", "error", "right"), [(0.25, 0.06, 0.86), (0.5, 0.09, 0.80)])
def test_cells_and_their_membranes_are_found_as_they_were_drawn(
    drawings: dict[float, Her2Drawing], engine: LocalEngine, tmp_path: Path, mpp: float, error: float, right: float
) -> None:
    seen = appraised(found(drawings[mpp], engine, tmp_path), drawings[mpp].truth, CRITERIA, mpp)
    assert seen.recall > 0.89
    assert seen.recall_intense > 0.93
    assert seen.precision > 0.75  # without a drawn tumour region
    assert seen.completeness_error < error
    assert seen.extent_right > right
    assert seen.intensity_right > 0.85


def test_counts_of_the_file_and_of_the_histograms_are_the_same(
    drawings: dict[float, Her2Drawing], engine: LocalEngine, tmp_path: Path
) -> None:
    cells = found(drawings[0.25], engine, tmp_path)
    table = histograms_of(cells, MEMBRANE.histograms)
    for criteria in (CRITERIA, MembraneCriteria(od_scale=2.2), MembraneCriteria(moderate_from=0.4)):
        by_cell = np.bincount(MEMBRANE.group_of(cells, criteria), minlength=len(GROUPS))
        assert (MEMBRANE.counts(table, criteria) == by_cell).all()


def test_the_score_hardly_depends_on_the_tiles_size(
    drawings: dict[float, Her2Drawing], engine: LocalEngine, tmp_path: Path
) -> None:
    counts = [
        np.bincount(MEMBRANE.group_of(cells, CRITERIA), minlength=len(GROUPS))
        for core in (256, 640, 1216)
        for cells in [found(drawings[0.25], engine, tmp_path, TileShape(core=core, halo=96, stride=32))]
    ]
    for other in counts[1:]:
        assert np.abs(other - counts[0]).sum() <= 0.01 * counts[0].sum()
        assert abs(int(other.sum()) - int(counts[0].sum())) <= 0.005 * counts[0].sum()


def test_cells_outside_of_the_drawn_tumour_are_left_out(
    drawings: dict[float, Her2Drawing], engine: LocalEngine, tmp_path: Path
) -> None:
    left = Area(name="tumour", rings=(((0, 0), (599, 0), (599, 1199), (0, 1199)),))
    hole = Area(name="exclude", rings=(((0, 0), (599, 0), (599, 300), (0, 300)),))
    cells = found(drawings[0.25], engine, tmp_path, among=(left,), without=(hole,))
    assert len(cells) > 50
    assert cells.x.max() <= 599
    assert cells.y.min() >= 300


def test_the_scored_file_says_completeness_density_and_class_of_each_cell(
    drawings: dict[float, Her2Drawing], engine: LocalEngine, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    cells = found(drawings[0.25], engine, tmp_path)
    file = tmp_path / "cells.parquet"
    add_columns(file, SCHEMA, lambda c: MEMBRANE.scored_columns(c, CRITERIA))
    table = pq.read_table(file).to_pydict()
    assert set(table["class"]) <= set(CLASSES)
    assert set(table["tumour"]) == {True, False}
    assert all(0 <= c <= 1 for c in table["completeness"])
    intense = [od for od, kind in zip(table["membrane_od"], table["class"], strict=True) if kind == "intense_complete"]
    assert min(intense) > 0.6
    assert len(joined(list(read_cells(file, SCHEMA)))) == len(cells)  # what was there can be read as before


def test_criteria_are_read_as_they_are_written() -> None:
    made = MembraneCriteria(od_scale=1.9, moderate_from=0.3)
    assert MembraneCriteria.read(made.values()) == made
    assert MembraneCriteria.read({"od_scale": 1.9}) == MembraneCriteria(od_scale=1.9)
    for wrong in ({"od_scale": 9}, {"od_scale": 1, "moderate_from": 0.7}, {"od_scale": 1, "colour_of": 2}, {}):
        with pytest.raises(Refused) as refused:
            MembraneCriteria.read(wrong)
        assert refused.value.reason == Reason.PROFILE_INVALID


def test_what_a_picture_shows_less_of_is_scaled_back() -> None:
    criteria = MembraneCriteria(od_scale=2.0)
    shown = np.array([criteria.shown(true) for true in (0.1, 0.27, 0.65, 1.0, 1.4)])
    assert criteria.true(shown[:4]) == pytest.approx([0.1, 0.27, 0.65, 1.0])
    assert criteria.step < CRITERIA.step


def test_too_few_cells_and_stained_cytoplasm_are_no_score(
    drawings: dict[float, Her2Drawing], engine: LocalEngine, tmp_path: Path
) -> None:
    cells = found(drawings[0.5], engine, tmp_path)
    few = histograms_of(cells.taken(slice(0, 60)), MEMBRANE.histograms)
    said = MEMBRANE.unscorable(few, MEMBRANE.counts(few, CRITERIA))
    assert said is not None
    assert said.reason == Reason.TOO_FEW_CELLS
    drawing = Her2Drawing(Plan(side_um=300, mix={"moderate_complete": 1}, blush=0.3), Scanner(mpp=0.5), seed=3)
    blushed = histograms_of(found(drawing, engine, tmp_path), MEMBRANE.histograms)
    said = MEMBRANE.unscorable(blushed, MEMBRANE.counts(blushed, CRITERIA))
    assert said is not None
    assert said.reason == Reason.CYTOPLASMIC_BLUSH


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_brown_nuclei_are_told_from_brown_membranes(drawings: dict[float, Her2Drawing], mpp: float) -> None:
    assert pattern_of(drawings[mpp].pixels(), mpp) is Pattern.MEMBRANE
    nuclear = Her2Drawing(Plan(side_um=200, mix={"none": 1}, nuclear=0.6), Scanner(mpp=mpp), seed=5).pixels()
    assert pattern_of(nuclear, mpp) is Pattern.NUCLEAR
    pale = Her2Drawing(Plan(side_um=200, mix={"none": 1}), Scanner(mpp=mpp), seed=5).pixels()
    assert pattern_of(pale, mpp) is Pattern.UNKNOWN


def test_nuclei_stained_brown_are_refused_as_membranes(engine: LocalEngine, tmp_path: Path) -> None:
    drawing = Her2Drawing(Plan(side_um=300, mix={"none": 1}, nuclear=0.6), Scanner(mpp=0.5), seed=5)
    with pytest.raises(Refused) as refused:
        found(drawing, engine, tmp_path, refuse_mismatch=True)
    assert refused.value.reason == Reason.NOT_MEMBRANE
    assert not list(tmp_path.iterdir())


def test_half_a_micrometre_is_said_to_be_coarse() -> None:
    counts = np.array([100] + [0] * 8)
    assert RESOLUTION_LOW in MEMBRANE.remarks(counts, None, 0.5)
    assert MEMBRANE.remarks(counts, None, 0.25) == (NOT_VALIDATED,)


def test_a_ring_of_known_radius_is_followed_and_its_gap_kept() -> None:
    """No renderer: a nucleus, a ring of 7 µm with a quarter missing, at 0.25 µm/px."""
    y, x = np.mgrid[:256, :256].astype(np.float32) - 127.5
    radius, angle = np.hypot(x, y) * 0.25, np.arctan2(y, x)
    dab = 0.6 * np.exp(-(((radius - 7) / 0.5) ** 2)) * (np.abs(angle) < 0.75 * np.pi)
    centre = np.array([127.5], np.float32)
    around = smoothed(sampled(dab.astype(np.float32), centre, centre, 0.25), 1.2)
    at = contours(Polar(around, middles(dab.shape, centre, centre, 0.25)))
    assert at.shape == (1, RAYS)
    found_um = 2.1 + 0.3 * at[0]
    on = np.abs((np.arange(RAYS) / RAYS * 2 * np.pi + np.pi) % (2 * np.pi) - np.pi) < 0.7 * np.pi
    assert np.abs(found_um[on] - 7).max() < 0.5


def test_no_row_of_a_membrane_stain_is_a_percentage_of_nuclei() -> None:
    rows = MEMBRANE.scores(MEMBRANE.measures, np.array([100] * 9), None)
    assert not any("PERCENT_POSITIVE" in row.code or "nuclei" in row.display.lower() for row in rows)


def test_eosin_is_refused_and_a_pinkish_immunostain_is_not(drawings: dict[float, Her2Drawing]) -> None:
    pink = np.full((200, 200, 3), (215, 150, 190), np.uint8)
    said = MEMBRANE.mismatch(pink)
    assert said is not None
    assert said.reason == Reason.NOT_IHC
    stained = drawings[0.5].pixels()[::4, ::4]
    assert MEMBRANE.mismatch(np.ascontiguousarray(stained)) is None


@pytest.mark.parametrize("h_score", [0, 5, 20])
@pytest.mark.parametrize("seed", [6, 7, 8])
def test_a_negative_nuclear_stain_is_never_taken_for_membranes(h_score: float, seed: int) -> None:
    """Its order would be refused, and the patient's negative result with it."""
    drawing = draw_slide(size=Size(width=1536, height=1024), seed=seed, h_score=h_score)
    whole = drawing.read(Region(x=0, y=0, width=1536, height=1024))
    corners = [(x, y) for y in (0, 512) for x in (0, 512, 1024)]
    said = [pattern_of(np.ascontiguousarray(whole[y : y + 512, x : x + 512]), 0.5) for x, y in corners]
    assert most(said) is not Pattern.MEMBRANE


@pytest.mark.parametrize("seed", range(4))
def test_strong_membranes_are_known_whatever_the_scanner(seed: int) -> None:
    """Else they would be scored as nuclei where the order names the wrong stain."""
    scanner = Scanner.any(np.random.default_rng(50 + seed), 0.5)
    plan = Plan(side_um=600, mix={"none": 0.2, "intense_complete": 0.8}, cell_um=12 + 2 * seed)
    whole = Her2Drawing(plan, scanner, seed=seed).pixels()
    last = whole.shape[0] - 512
    corners = [(x, y) for y in (0, last) for x in (0, last)]
    said = [pattern_of(np.ascontiguousarray(whole[y : y + 512, x : x + 512]), 0.5) for x, y in corners]
    assert most(said) is Pattern.MEMBRANE


@pytest.mark.parametrize("stained", [0.0, 0.3])
@pytest.mark.parametrize("side", [64, 192, 256])
def test_a_tile_without_nuclei_holds_no_cells(side: int, stained: float) -> None:
    """Glass, fat, a field of pale stroma: with brown in it or without."""
    blank, brown = np.zeros((side, side), np.float32), np.full((side, side), stained, np.float32)
    brown[: side // 2] = 0
    assert len(cells_of_measured(measured_cells(blank, brown, 0.5))) == 0


@pytest.mark.parametrize("n", [1, 2])
def test_a_tile_of_a_nucleus_or_two_is_measured(n: int) -> None:
    """Fewer than the neighbours that bound a cell elsewhere."""
    blue, brown = np.zeros((512, 512), np.float32), np.zeros((512, 512), np.float32)
    for i in range(n):
        cv2.circle(blue, (200 + 60 * i, 256), 8, 0.5, -1)
        cv2.circle(brown, (200 + 60 * i, 256), 16, 0.5, 2)
    blue, brown = (np.asarray(cv2.GaussianBlur(plane, (0, 0), 1), np.float32) for plane in (blue, brown))
    found = cells_of_measured(measured_cells(blue, brown, 0.5))
    assert len(found) == n
    assert found["tumour"].all()
    assert (found["completeness_05"] > 85).all()


@pytest.mark.parametrize(("mpp", "seed"), [(0.25, 6), (0.5, 6), (0.5, 8)])
def test_stroma_alone_is_no_negative_tumour(mpp: float, seed: int, engine: LocalEngine, tmp_path: Path) -> None:
    """Up to a fifth of its nuclei are taken for a tumour's: a score of 0 would be nobody's."""
    stroma = Her2Drawing(Plan(side_um=360, mix={"none": 1.0}, tumour_share=0.0), Scanner(mpp=mpp), seed=seed)
    histograms = histograms_of(found(stroma, engine, tmp_path), MEMBRANE.histograms)
    assert histograms.n > 500
    said = MEMBRANE.unscorable(histograms, MEMBRANE.counts(histograms, CRITERIA))
    assert said is not None
    assert said.reason == Reason.TOO_FEW_CELLS
    assert "stroma" in said.message
