"""The density scale of a laboratory, from slides whose HER2 score is known."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from inference.analyze import Options, analyze
from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.calibration.cores import scale_of_cores
from inference.calibration.membrane import Known, fit_scale, score_of
from inference.cells.histograms import Histograms
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.engines.local import LocalEngine
from inference.errors import Reason, Refused
from inference.grade import HueValueThresholds
from inference.model import read_model, shipped_models
from inference.picture import PictureSlide

MIXES = {
    "0": {"none": 1.0},
    "1+": {"none": 0.4, "faint_incomplete": 0.6},
    "2+": {"none": 0.3, "faint_incomplete": 0.2, "moderate_complete": 0.5},
    "3+": {"none": 0.2, "moderate_complete": 0.2, "intense_complete": 0.6},
}
SHOWN = 0.5


def counted(mix: dict[str, float], seed: int, engine: LocalEngine) -> Histograms:
    plan = Plan(side_um=230, mix=mix, cell_um=14, tumour_share=0.9)
    drawing = Her2Drawing(plan, Scanner(mpp=0.25, density_scale=SHOWN, noise=1.0), seed)
    slide = PictureSlide(drawing.pixels(), engine.model.resolution, mpp=0.25)
    with tempfile.TemporaryDirectory() as folder:
        return analyze(slide, engine, MEMBRANE, Path(folder) / "cells.parquet", Options()).histograms


@pytest.fixture(scope="module")
def known() -> list[Known]:
    engine = LocalEngine(read_model(shipped_models(), "membrane"), threads=1)
    return [
        Known(name=f"slide {score}", histograms=counted(mix, 20 + i, engine), score=score)
        for i, (score, mix) in enumerate(MIXES.items())
    ]


def test_a_scanner_that_shows_half_the_density_is_scaled_back(known: list[Known]) -> None:
    fit = fit_scale(known)
    assert fit.wrong == ()
    assert fit.criteria.od_scale == pytest.approx(1 / SHOWN, rel=0.15)
    assert fit.low <= fit.criteria.od_scale <= fit.high
    unscaled = [score_of(one.histograms, type(fit.criteria)()) for one in known]
    assert unscaled != [one.score for one in known]


@pytest.mark.parametrize(
    ("place", "mix"),
    [
        (3, {"none": 0.4, "faint_incomplete": 0.2, "moderate_complete": 0.15, "intense_complete": 0.25}),
        (2, {"none": 0.05, "moderate_incomplete": 0.15, "moderate_complete": 0.8}),
    ],
)
def test_what_else_a_slide_of_its_score_holds_moves_the_scale_little(
    known: list[Known], place: int, mix: dict[str, float]
) -> None:
    """Scales that differ by more than a factor of two give every score of both sets right."""
    engine = LocalEngine(read_model(shipped_models(), "membrane"), threads=1)
    other = list(known)
    other[place] = replace(known[place], histograms=counted(mix, 40, engine))
    first, second = fit_scale(known), fit_scale(other)
    assert first.high > 2 * first.low
    assert second.high > 2 * second.low
    assert second.criteria.od_scale == pytest.approx(first.criteria.od_scale, rel=0.12)


def test_a_slide_of_0_that_looks_like_1_moves_no_scale(known: list[Known]) -> None:
    """At 0.5 µm/px it often does."""
    mistaken = [replace(known[0], histograms=known[1].histograms), *known[1:]]
    fit = fit_scale(mistaken)
    assert fit.criteria.od_scale == fit_scale(known).criteria.od_scale
    assert [row.name for row in fit.wrong] == [known[0].name]


def test_slides_of_one_score_tell_nothing(known: list[Known]) -> None:
    with pytest.raises(Refused) as refused:
        fit_scale([known[3], known[3]])
    assert refused.value.reason == Reason.CALIBRATION_IMPOSSIBLE


def test_a_slide_that_is_no_scores_is_named(known: list[Known]) -> None:
    swapped = [*known[:3], Known(name="mixed up", histograms=known[0].histograms, score="3+"), known[3]]
    assert [row.name for row in fit_scale(swapped).wrong] == ["mixed up"]


def test_cores_of_three_scores_tell_a_slides_scale_and_of_two_none(known: list[Known]) -> None:
    cores = [(one.score, one.histograms) for one in known]
    criteria = scale_of_cores(MembraneCriteria(), cores)
    assert criteria == fit_scale(known).criteria
    assert scale_of_cores(MembraneCriteria(), [*cores[:1], *cores[3:], ("positive", cores[1][1])]) is None
    assert scale_of_cores(HueValueThresholds(hue=130, left=60, right=105), cores) is None


def test_no_scale_finds_a_core_right_that_was_stained_as_another(known: list[Known]) -> None:
    """A failed control isn't calibrated away."""
    by_score = {one.score: one.histograms for one in known}
    for failed, stained_as in (("3+", "1+"), ("2+", "0")):
        cores = by_score | {failed: by_score[stained_as]}
        criteria = scale_of_cores(MembraneCriteria(), list(cores.items()))
        assert isinstance(criteria, MembraneCriteria)
        assert [score for score, cells in cores.items() if score_of(cells, criteria) != score] != []
