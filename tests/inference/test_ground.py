"""A ground that is brownish, evenly or not, makes no pale blue nucleus positive, and no brown one negative."""

from dataclasses import replace

import numpy as np
import pytest

from inference.analyzers.whitened import WhiteningEngine, white_columns
from inference.draw import draw_difficult
from inference.draw.difficult import KINDS, WARM, Kind
from inference.draw.ground import Veil
from inference.engines.local import LocalEngine
from inference.geometry import Region, Size
from inference.grade import HueValueThresholds, grades
from inference.ground import BROWN as BROWN_STAIN
from inference.ground import SHRUNK, brown_of_ground, less_ground
from inference.infer import TileAnswer
from inference.picture import PictureSlide
from inference.slide import Rgb
from inference.stain import hue_value_density, mean_rgb
from inference.white import NO_CAST, WhitePoint, white_of, whitened
from tests.models import HALF_A_MICROMETRE, IHC_TILE

SIDE = 640
PALE = KINDS["pale"]
CUTS = HueValueThresholds(hue=130, left=60, right=105)
GROUND, BLUE, BROWN = (0.10, 0.16, 0.24), (0.20, 0.21, 0.23), (0.24, 0.36, 0.48)
"""Optical densities in red, green, blue."""


def picture_of(ground: tuple[float, ...], nucleus: tuple[float, ...]) -> Rgb:
    """Nuclei in a grid, 40 px apart."""
    density = np.tile(np.array(ground), (400, 400, 1))
    rows, columns = np.mgrid[:400, :400] % 40 - 20
    density[rows**2 + columns**2 < 64] = nucleus
    return np.asarray(np.rint(255 * 10**-density), np.uint8)


def positive(picture: Rgb, white: tuple[float, float, float] = NO_CAST) -> np.ndarray:
    x, y = (v.ravel() for v in np.meshgrid(np.arange(60, 360, 40), np.arange(60, 360, 40)))
    found = white_columns(picture, x, y, white)
    return grades([found["white_hue"], found["white_value"]], CUTS) > 0


def test_a_nucleus_that_is_less_brown_than_its_ground_is_not_positive() -> None:
    hue, value, _ = hue_value_density(255 * 10 ** -np.array([BLUE]))
    assert grades([hue, value], CUTS) > 0, "by its own colour it is"
    assert not positive(picture_of(GROUND, BLUE)).any()


@pytest.mark.parametrize("ground", [(0.0, 0.0, 0.0), (0.05, 0.05, 0.05), (0.08, 0.07, 0.05), GROUND])
def test_a_brown_nucleus_is_positive_on_every_ground(ground: tuple[float, ...]) -> None:
    assert positive(picture_of(ground, BROWN)).all()


def test_no_density_parts_nuclei_that_lose_their_ground_from_those_that_keep_it() -> None:
    """A step would let a scanner's gamma, which scales densities, move percent positive."""
    densities = np.linspace(0.05, 1.2, 500)
    rgb = 256 * 10 ** -(densities[:, None] * BROWN_STAIN) - 1
    picture = picture_of(GROUND, GROUND)
    cleared = less_ground(rgb, picture, NO_CAST, *np.full((2, len(rgb)), 200.0))
    brown, left = (np.log10((colours[:, 0] + 1) / (colours[:, 2] + 1)) for colours in (rgb, cleared))
    lost = brown - left
    assert lost[0] == pytest.approx(GROUND[2] - GROUND[0], abs=0.02)
    assert lost[-1] == pytest.approx(0)
    assert np.abs(np.diff(lost)).max() < 0.005


def test_the_ground_changes_the_hue_by_the_white_point_alone() -> None:
    """Profiles of raw colours, stored ones among them, and every density mean what they meant."""
    picture, white = picture_of(GROUND, BLUE), (250.0, 245.0, 240.0)
    at = np.array([60.0, 100.0])
    hue, value, density = hue_value_density(mean_rgb(picture, at, at))
    columns = {"x": at, "y": at, "hue": hue, "value": value, "dab_od_centi": density}
    engine = WhiteningEngine(LocalEngine(IHC_TILE, threads=1), WhitePoint(rgb=white))
    found = engine.measured(picture, TileAnswer(columns=columns, found=2)).columns
    assert all(found[name] is column for name, column in columns.items())
    by_white = hue_value_density(whitened(mean_rgb(picture, at, at), white))
    assert np.array_equal(found["white_value"], by_white[1])
    assert np.array_equal(found["white_od_centi"], by_white[2])
    assert not np.array_equal(found["white_hue"], by_white[0])


def test_a_shade_of_the_light_changes_nothing_of_the_brown() -> None:
    plain = picture_of(GROUND, BLUE)
    shade = np.linspace(1, 0.85, 400)[:, None, None]
    shaded = np.asarray(np.rint(plain * shade), np.uint8)
    assert brown_of_ground(shaded, NO_CAST) == pytest.approx(brown_of_ground(plain, NO_CAST), abs=0.02)
    assert not positive(shaded).any()


def test_a_picture_smaller_than_a_ground_s_pixel_has_one() -> None:
    tiny = np.full((SHRUNK - 1, SHRUNK - 1, 3), 200, np.uint8)
    assert len(white_columns(tiny, [1.0], [1.0], NO_CAST)["white_hue"]) == 1
    assert len(white_columns(tiny, [], [], NO_CAST)["white_hue"]) == 0


@pytest.mark.parametrize(
    ("kind", "h_score", "off"),
    [
        (PALE, 60, 1),
        (PALE, 200, 1),
        (replace(PALE, veil=Veil(tint=0.15)), 60, 5),
        (replace(PALE, haematoxylin=0.7, veil=Veil(tint=0.15)), 60, 1),
        (replace(PALE, optics=WARM), 60, 1),
        (replace(PALE, veil=Veil(tint=0.06, uneven=0.35)), 60, 6),
        (KINDS["small"], 140, 1),
    ],
)
def test_percent_positive_of_drawn_slides_is_as_drawn(kind: Kind, h_score: float, off: float) -> None:
    drawing = draw_difficult(kind, size=Size(width=SIDE, height=SIDE), seed=6, h_score=h_score)
    picture, truth = drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE)), drawing.truth
    found = white_columns(picture, truth.x, truth.y, white_of(PictureSlide(picture, HALF_A_MICROMETRE)).rgb)
    grade = grades([found["white_hue"], found["white_value"]], CUTS)
    assert 100 * (grade > 0).mean() == pytest.approx(100 * (truth.grade > 0).mean(), abs=off)


def test_two_sections_of_different_strength_are_each_seen_on_their_own_ground() -> None:
    size = Size(width=SIDE, height=SIDE)
    pictures, truths = [], []
    for kind in (replace(PALE, veil=Veil(tint=0.15)), KINDS["large"]):
        drawing = draw_difficult(kind, size=size, seed=7, h_score=60)
        pictures.append(drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE)))
        truths.append(drawing.truth)
    both = np.hstack(pictures)
    white = white_of(PictureSlide(both, HALF_A_MICROMETRE)).rgb
    for place, truth in enumerate(truths):
        found = white_columns(both, truth.x + place * SIDE, truth.y, white)
        grade = grades([found["white_hue"], found["white_value"]], CUTS)
        assert 100 * (grade > 0).mean() == pytest.approx(100 * (truth.grade > 0).mean(), abs=4)
