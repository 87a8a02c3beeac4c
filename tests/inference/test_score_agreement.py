"""Agreement of scores with a reference, beside what is known by hand or by another way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.calibration.agreement import of_categories, of_numbers, wilson


def test_bias_limits_and_mean_absolute_difference_are_bland_and_altman_s() -> None:
    found = of_numbers([10, 20, 30, 40], [12, 18, 30, 36])
    apart = np.array([-2, 2, 0, 4])
    assert (found.n, found.bias, found.mean_absolute) == (4, 1.0, 2.0)
    assert found.limits == pytest.approx((1 - 1.959964 * apart.std(ddof=1), 1 + 1.959964 * apart.std(ddof=1)))
    assert found.bias_interval is not None
    assert found.bias_interval[0] < 1 < found.bias_interval[1]


def test_of_one_case_there_is_no_interval() -> None:
    found = of_numbers([3], [1])
    assert (found.bias, found.bias_interval, found.limits) == (2, None, None)


def test_categories_agree_by_share_and_kappa() -> None:
    found = of_categories(["a", "b", "c", "a"], ["a", "b", "b", "a"], ("a", "b", "c"))
    assert (found.n, found.agree, found.share) == (4, 3, 0.75)
    assert found.kappa is not None
    assert 0 < found.kappa < 1
    assert of_categories(["a", "c"], ["a", "c"], ("a", "b", "c")).kappa == 1
    assert of_categories(["a"], ["a"], ("a", "b")).kappa is None


@pytest.mark.parametrize(
    ("k", "n", "ends"), [(81, 263, (0.2553, 0.3662)), (0, 20, (0.0, 0.1611)), (20, 20, (0.8389, 1.0))]
)
def test_wilson_s_interval(k: int, n: int, ends: tuple[float, float]) -> None:
    """The first is Newcombe's example (Stat Med 1998, 17, 857)."""
    assert wilson(k, n) == pytest.approx(ends, abs=1e-4)


@given(st.integers(1, 500), st.data())
def test_wilson_s_interval_holds_the_share(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = wilson(k, n)
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1
