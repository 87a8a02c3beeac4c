"""The fit of the calibration on samples whose truth is known."""

import numpy as np
import pytest

from inference.training.calibrate import Samples, best_threshold, fit, threshold_for_all
from inference.training.peaks import Calibration


def test_the_slope_and_offset_that_made_the_samples_are_found() -> None:
    random = np.random.default_rng(1)
    n = 20_000
    nucleus, epithelium = random.normal(0, 1.5, n), random.normal(0, 2, n)
    hit = random.random(n) < 1 / (1 + np.exp(-(2.0 * nucleus - 0.5)))
    truly = (random.random(n) < 1 / (1 + np.exp(-0.7 * epithelium))).astype(float)
    samples = Samples(
        nucleus=nucleus, epithelium=epithelium, hit=hit, truly_epithelium=truly, annotations=int(hit.sum())
    )
    c = fit(samples).calibration
    assert c.nucleus_slope == pytest.approx(2.0, abs=0.1)
    assert c.nucleus_offset == pytest.approx(-0.5, abs=0.1)
    assert c.compartment_slope == pytest.approx(0.7, abs=0.05)


def test_the_threshold_parts_what_can_be_parted() -> None:
    probability = np.array([0.9, 0.8, 0.7, 0.3, 0.2])
    assert 0.3 < best_threshold(probability, np.array([True, True, True, False, False]), 3) <= 0.7


def made(probability: list[float], hit: list[bool], annotations: int) -> Samples:
    p = np.array(probability)
    nan = np.full(len(p), np.nan)
    return Samples(
        nucleus=np.log(p / (1 - p)), epithelium=nan, hit=np.array(hit), truly_epithelium=nan, annotations=annotations
    )


def test_a_threshold_for_all_goes_as_low_as_other_tissue_asks_and_the_own_count_allows() -> None:
    own = made([0.9, 0.8, 0.7, 0.2], [True, True, True, False], 3)
    faint = made([0.4, 0.35, 0.3], [True, True, True], 3)
    assert 0.2 < threshold_for_all(own, [faint], Calibration()) <= 0.3
    crowded = made([0.9, 0.8, 0.7, 0.6, 0.5, 0.45], [True, True, True, False, False, False], 3)
    assert 0.59 < threshold_for_all(crowded, [faint], Calibration()) <= 0.7
