"""Outlines: how well they fit drawn nuclei, and what must hold of them whatever the picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.analyzers.nuclear import COMPARTMENTS, HISTOGRAMS, NUCLEAR, NUCLEUS_DENSITIES, SCHEMA
from inference.analyzers.outlined import OUTLINED, WITH_OUTLINES, as_in_file, outlined
from inference.cells.file import CellWriter, read_cells
from inference.cells.histograms import histograms_of
from inference.cells.values import Cells, made_cells
from inference.draw import Drawing, draw_slide
from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.grade import DENSITIES, NucleusDensityThresholds
from inference.outline import OUTLINE, RAYS, REACH_UM, UNIT_UM, Seeds, area_um2, outlines, polygons
from inference.slide import Rgb
from inference.stain import DAB
from tests.made import both_colours

MPP, SIDE, HALO = 0.5, 512, 32
CUTS = NucleusDensityThresholds(weak=20, moderate=50, strong=90)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_slide(size=Size(width=SIDE, height=SIDE), seed=5, h_score=150)


@pytest.fixture(scope="module")
def picture(drawing: Drawing) -> Rgb:
    return drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))


def seeds_at(x: np.ndarray, y: np.ndarray) -> Seeds:
    return Seeds(x=x, y=y, counted=np.ones(len(x), bool))


def brown_disc(radius: float, density: float, *, side: int = 64) -> Rgb:
    """A disc of so many px radius in the middle of a white picture, of so much DAB."""
    inside = np.hypot(*(np.indices((side, side)) - (side - 1) / 2)) <= radius
    od = inside[..., None] * density * np.array(DAB) / np.linalg.norm(DAB)
    return np.clip(np.rint(256 * 10**-od - 1), 0, 255).astype(np.uint8)


def test_outlines_fit_drawn_nuclei(drawing: Drawing, picture: Rgb) -> None:
    found = outlines(picture, seeds_at(drawing.truth.x, drawing.truth.y), mpp=MPP, halo=HALO)
    ours, true = (found.radii * (UNIT_UM / MPP)) ** 2, drawing.outlines(RAYS) ** 2
    overlap = np.minimum(ours, true).sum(axis=1) / np.maximum(ours, true).sum(axis=1)
    assert len(overlap) > 200
    assert np.median(overlap) > 0.85
    assert np.percentile(overlap, 10) > 0.7
    assert np.median(found.area_um2 / area_um2(np.rint(drawing.outlines(RAYS) * MPP / UNIT_UM))) > 0.85


@pytest.mark.parametrize("mpp", [0.4, 0.5, 0.625])
@pytest.mark.parametrize("radius_um", [2.0, 3.5, 5.0])
def test_a_disc_has_its_area_and_density(radius_um: float, mpp: float) -> None:
    disc = brown_disc(radius_um / mpp, 0.8)
    found = outlines(disc, seeds_at(np.array([31.5]), np.array([31.5])), mpp=mpp, halo=HALO)
    assert found.area_um2[0] == pytest.approx(np.pi * radius_um**2, rel=0.2)
    assert found.od_centi[0] == pytest.approx(80, abs=10)  # a pixel of its edge is half white


def test_a_nucleus_has_the_same_outline_in_every_tile_that_shows_its_halo(drawing: Drawing, picture: Rgb) -> None:
    whole = outlines(picture, seeds_at(drawing.truth.x, drawing.truth.y), mpp=MPP, halo=HALO)
    for left, top, side in ((64, 96, 128), (200, 33, 256), (255, 255, 200)):
        x, y = drawing.truth.x - (left - HALO), drawing.truth.y - (top - HALO)
        shown = (x >= 0) & (y >= 0) & (x < side + 2 * HALO) & (y < side + 2 * HALO)
        core = (x >= HALO) & (y >= HALO) & (x < side + HALO) & (y < side + HALO)
        tile = picture[top - HALO : top + side + HALO, left - HALO : left + side + HALO]
        part = outlines(tile, seeds_at(x[shown], y[shown]), mpp=MPP, halo=HALO)
        assert core.any()
        assert np.abs(part.radii[core[shown]].astype(int) - whole.radii[core]).max() <= 1  # float32 positions
        assert np.mean(part.radii[core[shown]] == whole.radii[core]) > 0.999


def test_no_outline_reaches_into_what_is_nearer_to_another_counted_seed(drawing: Drawing, picture: Rgb) -> None:
    x, y = drawing.truth.x, drawing.truth.y
    found = outlines(picture, seeds_at(x, y), mpp=MPP, halo=HALO)
    corners = polygons(found.radii, x, y, mpp=MPP)
    apart = np.hypot(corners[..., 0, None] - x, corners[..., 1, None] - y)  # (n, RAYS, n)
    own = np.take_along_axis(apart, np.arange(len(x))[:, None, None], axis=2)[..., 0]
    assert (own <= apart.min(axis=2) + 0.15).mean() > 0.999  # but for the smallest radius, and the unit
    assert (found.radii * UNIT_UM).max() <= REACH_UM


def test_a_seed_that_is_not_counted_bounds_nobody() -> None:
    disc, x, y = brown_disc(8, 0.8), np.array([31.5, 36.0]), np.array([31.5, 31.5])
    alone = outlines(disc, seeds_at(x[:1], y[:1]), mpp=MPP, halo=HALO)
    both = outlines(disc, Seeds(x=x, y=y, counted=np.array([True, False])), mpp=MPP, halo=HALO)
    assert (both.radii[0] == alone.radii[0]).all()


def test_where_nothing_is_to_be_seen_the_outline_is_of_the_usual_size() -> None:
    found = outlines(np.full((64, 64, 3), 240, np.uint8), seeds_at(np.array([0.0]), np.array([63.0])), mpp=MPP, halo=32)
    assert found.area_um2[0] == pytest.approx(np.pi * 2.98**2, rel=0.1)


def test_no_seeds_no_outlines() -> None:
    found = outlines(np.zeros((32, 32, 3), np.uint8), seeds_at(np.zeros(0), np.zeros(0)), mpp=MPP, halo=HALO)
    assert found.radii.shape == (0, RAYS)
    assert polygons(found.radii, [], [], mpp=MPP).shape == (0, RAYS, 2)


def test_the_area_is_that_of_the_polygon() -> None:
    radii = np.random.default_rng(1).integers(20, 140, (50, RAYS)).astype(np.uint8)
    corners = polygons(radii, np.zeros(50), np.zeros(50), mpp=MPP).astype(np.float32)
    areas = [cv2.contourArea(ring) * MPP**2 for ring in corners]
    assert area_um2(radii) == pytest.approx(np.array(areas), rel=1e-4)


def made(n: int) -> Cells:
    random = np.random.default_rng(2)
    return made_cells(
        WITH_OUTLINES,
        random.uniform(0, 900, n),
        random.uniform(0, 900, n),
        compartment=random.integers(0, len(COMPARTMENTS), n),
        confidence=random.uniform(0, 1, n),
        **both_colours(
            random.integers(0, 360, n),
            random.integers(0, 256, n),
            random.integers(0, DENSITIES, n),
        ),
        nucleus_od_centi=random.integers(0, DENSITIES, n),
        white_nucleus_od_centi=random.integers(0, DENSITIES, n),
        nucleus=random.uniform(0, 1, n),
        area_um2=random.uniform(5, 90, n),
        outline=random.integers(1, 140, (n, RAYS)),
    )


def test_grading_by_outlines_counts_the_same_from_cells_and_histograms() -> None:
    cells = made(3000)
    counts = NUCLEAR.counts(histograms_of(cells, OUTLINED.histograms), CUTS)
    assert (counts == np.bincount(NUCLEAR.group_of(cells, CUTS), minlength=len(NUCLEAR.groups))).all()
    by_square = NUCLEAR.group_of(cells, NUCLEAR.criteria[1].read(CUTS.values()))
    assert (by_square != NUCLEAR.group_of(cells, CUTS)).any()


def test_grading_by_outlines_that_were_not_made_is_refused() -> None:
    cells = made(10)
    bare = Cells(NUCLEAR.schema, cells.x, cells.y, {name: cells[name] for name in NUCLEAR.schema.names})
    for attempt in (
        lambda: NUCLEAR.group_of(bare, CUTS),
        lambda: NUCLEAR.counts(histograms_of(bare, HISTOGRAMS), CUTS),
    ):
        with pytest.raises(Refused, match="analyse again with outlines") as error:
            attempt()
        assert error.value.reason is Reason.OUTLINES_MISSING


def test_other_kinds_of_assay_have_no_outlines() -> None:
    other = type("Other", (), {"kind": "made-up"})()
    with pytest.raises(Refused, match="not of made-up") as error:
        outlined(other, object(), mpp=MPP)  # type: ignore[arg-type]  # never asked
    assert error.value.reason is Reason.OUTLINES_UNSUPPORTED
    assert OUTLINE in OUTLINED.schema.names


def test_a_file_from_before_a_column_was_added_is_read_with_those_that_it_has(tmp_path: Path) -> None:
    """Such a result can still be changed: what is counted over the missing column alone isn't there."""
    cells, older = made(5), SCHEMA.having([OUTLINE, "nucleus", "area_um2", "nucleus_od_centi"])
    file = tmp_path / "nuclei.parquet"
    with CellWriter(file, older, mpp=0.5) as writer:
        writer.add(Cells(older, cells.x, cells.y, {name: cells[name] for name in older.names}))
    assert as_in_file(NUCLEAR, file).schema.names == older.names
    (read,) = read_cells(file, as_in_file(NUCLEAR, file).schema)
    counted = histograms_of(read, as_in_file(NUCLEAR, file).histograms)
    nucleus, white = (spec.name for spec in NUCLEUS_DENSITIES)
    assert nucleus in counted.tables
    assert white not in counted.tables
