"""Grades are apportioned exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.draw.mixture import counts_of, tilted


@given(n=st.integers(1, 30_000), asked=st.floats(0, 300))
def test_counts_add_up_and_hold_the_h_score_as_near_as_whole_nuclei_can(n: int, asked: float) -> None:
    counts = counts_of(n, asked)
    assert counts.sum() == n
    assert counts.min() >= 0
    assert abs(100 * counts @ np.arange(4) / n - asked) <= 50 / n + 1e-9


@given(mean=st.floats(0, 3))
def test_shares_have_the_mean_that_was_asked_for(mean: float) -> None:
    shares = tilted(mean)
    assert shares.sum() == pytest.approx(1)
    assert shares @ np.arange(4) == pytest.approx(mean, abs=1e-6)


def test_the_ends_hold_one_grade_only() -> None:
    assert counts_of(10, 0).tolist() == [10, 0, 0, 0]
    assert counts_of(10, 300).tolist() == [0, 0, 0, 10]


def test_in_the_middle_every_grade_is_there() -> None:
    assert counts_of(1000, 150).min() > 150


def test_no_nuclei_have_no_grades() -> None:
    assert counts_of(0, 150).tolist() == [0, 0, 0, 0]
