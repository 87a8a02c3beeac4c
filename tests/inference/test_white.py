"""The white point: what it is taken from, that a cast of the scanner is gone by it, and that raw criteria stay raw."""

import functools
from pathlib import Path

import numpy as np
import pytest

from inference.analysis import Analysis
from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR, by_grade
from inference.assay import assay_of, criteria_of, criteria_values
from inference.draw import draw_slide
from inference.engines.local import LocalEngine
from inference.errors import Refused
from inference.geometry import Region, Size
from inference.grade import DensityThresholds
from inference.picture import PictureSlide
from inference.score import h_score, percent_positive
from inference.slide import Rgb
from inference.stain import hue_value_density
from inference.white import NO_CAST, white_of, white_point, whitened
from tests.models import HALF_A_MICROMETRE, IHC_TILE

WARM, COLD, DARKER = (1.03, 1.0, 0.92), (0.92, 1.0, 1.03), (0.9, 0.9, 0.9)
BUILT_IN = assay_of("ER").built_in.criteria
RAW_DENSITY = DensityThresholds(weak=20, moderate=40, strong=60)


@functools.cache
def drawn() -> Rgb:
    drawing = draw_slide(size=Size(width=768, height=768), seed=4, h_score=60)
    return drawing.read(Region(x=0, y=0, width=768, height=768))


def cast(picture: Rgb, gains: tuple[float, float, float]) -> Rgb:
    return np.asarray(np.clip(np.rint(picture * np.array(gains)), 0, 255), np.uint8)


def slide_of(picture: Rgb) -> PictureSlide:
    return PictureSlide(picture, HALF_A_MICROMETRE)


@functools.cache
def engine() -> LocalEngine:
    return LocalEngine(IHC_TILE, threads=1)


def analysed(picture: Rgb, folder: Path, region: Region | None = None) -> Analysis:
    return analyze(slide_of(picture), engine(), NUCLEAR, folder / "n.parquet", Options(region=region))


def test_a_cast_is_in_the_white_point_and_colours_by_it_have_none() -> None:
    usual, warm = (white_of(slide_of(cast(drawn(), gains))).rgb for gains in ((1.0, 1.0, 1.0), WARM))
    assert np.array(warm) == pytest.approx(np.minimum(np.array(usual) * WARM, 255), abs=1)
    rgb = np.random.default_rng(1).uniform(10, 200, (500, 3))
    plain = hue_value_density(whitened(rgb, (240.0, 240.0, 240.0)))
    other = hue_value_density(whitened(rgb * WARM, (240.0 * 1.03, 240.0, 240.0 * 0.92)))
    for a, b in zip(plain, other, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1


def test_what_was_never_scanned_is_no_white() -> None:
    usual = white_point(drawn()).rgb
    for filled in (0, 255):
        beside = np.full_like(drawn(), filled)
        assert white_point(np.hstack([drawn(), beside, beside])).rgb == pytest.approx(usual, abs=1)


def test_tissue_whose_glass_was_taken_out_is_no_white() -> None:
    taken_out = drawn().copy()
    taken_out[(taken_out >= 0.94 * np.array(white_point(drawn()).rgb)).all(axis=2)] = 255
    for found in (white_point(taken_out), white_of(slide_of(taken_out))):
        assert found.rgb == NO_CAST
        assert found.cast


@pytest.mark.parametrize("colour", [(150, 100, 60), (60, 70, 150), (90, 90, 90)])
def test_stain_that_fills_a_picture_is_no_white_point(colour: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(2).normal(0, 4, (64, 64, 3))
    found = white_point(np.clip(colour + noise, 0, 255).astype(np.uint8))
    assert found.rgb == NO_CAST
    assert found.cast


@pytest.mark.parametrize("gains", [WARM, COLD, DARKER])
def test_built_in_scores_hold_under_a_cast_that_moves_raw_ones(
    gains: tuple[float, float, float], tmp_path: Path
) -> None:
    plain, changed = (analysed(p, tmp_path) for p in (drawn(), cast(drawn(), gains)))

    def moved(criteria: object) -> tuple[float, float]:
        both = []
        for analysis in (plain, changed):
            counts = tuple(by_grade(NUCLEAR.counts(analysis.histograms, criteria), "all").tolist())  # type: ignore[arg-type]
            both.append((percent_positive(counts) or 0, h_score(counts) or 0))
        return abs(both[0][0] - both[1][0]), abs(both[0][1] - both[1][1])

    percent, points = moved(BUILT_IN)
    assert percent <= 1
    assert points <= 3
    if gains == WARM:
        assert moved(RAW_DENSITY)[0] > 5  # or nothing was shown
    assert ("COLOUR_CAST" in changed.warnings) is (gains != DARKER)
    assert "COLOUR_CAST" not in plain.warnings


def test_the_white_point_is_the_slide_s_whatever_is_analysed(tmp_path: Path) -> None:
    part = Region(x=256, y=256, width=300, height=300)
    picture = cast(drawn(), WARM)
    whole = white_of(slide_of(picture)).rgb
    assert analysed(picture, tmp_path, part).slide.white_point == whole


def test_criteria_that_name_no_colour_are_raw_and_stay_so() -> None:
    values = {"hue": 130, "left": 60, "right": 105}
    for given in (values, values | {"colour": "raw"}):
        assert criteria_values(criteria_of("hue_value", given)) == {"method": "hue_value", **values}
    by_white = values | {"colour": "white_point"}
    assert criteria_values(criteria_of("hue_value", by_white)) == {"method": "hue_value", **by_white}
    for method, wrong in (("hue_value", values | {"colour": "lab"}), ("membrane", {"colour": "white_point"})):
        with pytest.raises(Refused, match="PROFILE_INVALID"):
            criteria_of(method, wrong)
