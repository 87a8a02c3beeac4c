"""What a gamma does to an H-score is told from the histogram as the picture itself would show it."""

import numpy as np
import pytest

from inference.analyzers.gamma import GAMMAS, _h_score, gamma_moves_far
from inference.assay import assay_of
from inference.cells.values import IntArray
from inference.grade import DENSITIES, DensityThresholds, HueValueThresholds, grades
from inference.score import h_score
from inference.stain import hue_value_density

BUILT_IN = assay_of("ER").built_in.criteria
DENSITY = DensityThresholds(weak=20, moderate=40, strong=60)


def browns(seed: int) -> np.ndarray:
    """Colours of 4,000 brown nuclei, (n, 3)."""
    random = np.random.default_rng(seed)
    density = random.uniform(0.1, 1.2, (4000, 1)) * np.array([0.37, 0.56, 0.74])
    return 255 * 10**-density


def counted(rgb: np.ndarray) -> tuple[IntArray, IntArray]:
    """By hue and value, and by density."""
    hue, value, centi = hue_value_density(rgb)
    by_colour, by_density = np.zeros((360, 256), np.int64), np.zeros(DENSITIES, np.int64)
    np.add.at(by_colour, (hue, value), 1)
    np.add.at(by_density, centi, 1)
    return by_colour, by_density


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("criteria", [BUILT_IN, DENSITY])
def test_the_score_under_a_gamma_is_that_of_the_picture_under_it(
    gamma: float, criteria: HueValueThresholds | DensityThresholds
) -> None:
    rgb = browns(1)
    by_colour, by_density = counted(rgb)
    hue, value, centi = hue_value_density(255 * (rgb / 255) ** gamma)
    if isinstance(criteria, HueValueThresholds):
        table, grade = by_colour, grades([hue, value], criteria)
    else:
        table, grade = by_density, grades([centi], criteria)
    shown = h_score(tuple(np.bincount(grade, minlength=4).tolist()))
    assert _h_score(table, criteria, gamma) == pytest.approx(shown, abs=3)
    assert gamma_moves_far(table, criteria)


def test_of_negative_nuclei_and_of_none_nothing_hangs_on_a_gamma() -> None:
    blue, _ = counted(255 * 10 ** -(np.linspace(0.1, 0.6, 500)[:, None] * np.array([0.69, 0.62, 0.38])))
    assert not gamma_moves_far(blue, BUILT_IN)
    assert not gamma_moves_far(np.zeros_like(blue), BUILT_IN)


def test_a_few_nuclei_near_a_cut_move_a_score_less_than_is_said() -> None:
    by_colour, _ = counted(browns(2)[:300])
    by_colour[220, 150] += 4000
    assert not gamma_moves_far(by_colour, BUILT_IN)
