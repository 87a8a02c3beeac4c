"""Scores: every edge of every table (SCORING: EndoNet 2023; Harvey 1999 by the CAP template.

Remmele & Stegner 1987).
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.interval import wilson
from inference.score import (
    PERCENT_AS_OF,
    Allred,
    allred,
    h_score,
    h_score_interval,
    irs,
    mean_intensity,
    percent_interval,
    percent_positive,
    score,
)

Counts = tuple[int, int, int, int]
some_counts = st.tuples(*[st.integers(0, 5000)] * 4)


def of(percent_positive: float, grade: int, n: int = 10_000) -> Counts:
    positive = round(n * percent_positive / 100)
    counts = [n - positive, 0, 0, 0]
    counts[grade] += positive
    return counts[0], counts[1], counts[2], counts[3]


def test_h_score_weighs_percentages_by_grade() -> None:
    assert h_score((10, 20, 30, 40)) == 1 * 20 + 2 * 30 + 3 * 40
    assert h_score((5, 0, 0, 0)) == 0
    assert h_score((0, 0, 0, 7)) == 300


def test_no_nuclei_is_no_score_not_zero() -> None:
    empty = score(np.zeros(4, np.int64), np.zeros((3, 4), np.int64))
    assert (empty.n, empty.h_score, empty.h_score_ci95, empty.percent_positive, empty.allred, empty.irs) == (
        0,
        *[None] * 5,
    )


@pytest.mark.parametrize(
    ("percent", "ps"),
    [
        (0, 0),
        (0.01, 1),
        (0.99, 1),
        (1, 2),
        (10, 2),
        (10.01, 3),
        (33.33, 3),
        (33.34, 4),
        (66.66, 4),
        (66.67, 5),
        (100, 5),
    ],
)
def test_allred_proportion_has_the_edges_of_the_cap_template(percent: float, ps: int) -> None:
    found = allred(of(percent, 2))
    assert found is not None
    assert found.ps == ps


def test_allred_is_zero_or_two_to_eight() -> None:
    assert allred((9, 0, 0, 0)) == Allred(ps=0, is_=0, total=0)
    assert allred(of(0.5, 1)) == Allred(ps=1, is_=1, total=2)
    assert allred((0, 0, 0, 9)) == Allred(ps=5, is_=3, total=8)


@pytest.mark.parametrize(
    ("percent", "factor"),
    [(0, 0), (0.01, 1), (9.99, 1), (10, 2), (50, 2), (50.01, 3), (51, 3), (80, 3), (80.01, 4), (100, 4)],
)
def test_irs_proportion_has_the_edges_of_remmele_and_stegner(percent: float, factor: int) -> None:
    assert irs(of(percent, 3)) == 3 * factor


@pytest.mark.parametrize(
    ("counts", "mean"), [((0, 3, 1, 0), 1), ((0, 1, 1, 0), 2), ((0, 0, 1, 1), 3), ((5, 0, 0, 0), 0)]
)
def test_mean_intensity_rounds_half_up(counts: Counts, mean: int) -> None:
    assert mean_intensity(counts) == mean


@given(some_counts.filter(lambda c: sum(c) > 0))
def test_scores_stay_in_their_ranges(counts: Counts) -> None:
    s = score(np.array(counts))
    assert s.h_score is not None
    assert s.percent_positive is not None
    assert s.allred is not None
    assert s.percent_positive <= s.h_score <= 3 * s.percent_positive or s.h_score == pytest.approx(
        3 * s.percent_positive
    )
    assert s.allred.total in {0, 2, 3, 4, 5, 6, 7, 8}
    assert s.irs in {0, 1, 2, 3, 4, 6, 8, 9, 12}


@given(some_counts.filter(lambda c: sum(c) > 0), st.integers(2, 9))
def test_scores_depend_on_shares_alone(counts: Counts, times: int) -> None:
    more = tuple(c * times for c in counts)
    assert h_score(more) == pytest.approx(h_score(counts))
    assert allred(more) == allred(counts)
    assert irs(more) == irs(counts)
    assert percent_positive(more) == pytest.approx(percent_positive(counts))


@given(st.lists(some_counts, min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_the_interval_does_not_depend_on_the_order_of_fields(rows: list[Counts], random: object) -> None:
    fields = np.array(rows, np.int64)
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert h_score_interval(fields) == h_score_interval(np.array(shuffled, np.int64))


def test_equal_fields_have_no_spread_and_five_fields_have_no_interval() -> None:
    low, high = h_score_interval(np.tile([10, 20, 30, 40], (20, 1))) or (0, 0)
    assert (low, high) == pytest.approx((200, 200))
    assert h_score_interval(np.array([[1, 2, 3, 4]])) is None
    assert h_score_interval(np.array([[50, 0, 0, 50], [9, 9, 9, 9]] * 2 + [[1, 0, 0, 0]] + [[0, 0, 0, 0]] * 9)) is None


def test_the_measurements_error_is_in_the_interval_and_the_scale_ends_it() -> None:
    low, high = h_score_interval(np.tile([50, 0, 0, 50], (40, 1)), error=10.0) or (0, 0)
    assert (low, high) == pytest.approx((150 - 19.6, 150 + 19.6))
    assert h_score_interval(np.tile([100, 0, 0, 0], (40, 1)), error=10.0) == pytest.approx((0, 19.6))
    assert h_score_interval(np.tile([0, 0, 0, 100], (40, 1)), error=10.0) == pytest.approx((280.4, 300))


@pytest.mark.parametrize("positive", [0, 1, 50, 99, 100])
def test_percent_positive_has_the_interval_of_a_share_counted_in_few_where_fields_are_alike(positive: int) -> None:
    fields = np.tile([100 - positive, 0, positive, 0], (40, 1))
    low, high = (100 * bound for bound in wilson(positive / 100 * PERCENT_AS_OF, PERCENT_AS_OF))
    assert percent_interval(fields) == pytest.approx((low, high))
    assert low <= positive <= high


def test_percent_positive_widens_with_differences_between_fields_and_has_no_interval_of_five() -> None:
    even, split = (np.array(rows * 10, np.int64) for rows in ([[50, 50, 0, 0]] * 2, [[90, 10, 0, 0], [10, 90, 0, 0]]))
    (low, high), (lower, higher) = percent_interval(even) or (0, 0), percent_interval(split) or (0, 0)
    assert lower < low < 50 < high < higher
    assert percent_interval(even[:5]) is None


def test_an_interval_holds_the_score_and_widens_with_differences_between_fields() -> None:
    even = np.tile([50, 0, 0, 50], (40, 1))
    split = np.array([[100, 0, 0, 0], [0, 0, 0, 100]] * 20)
    low, high = h_score_interval(split) or (0, 0)
    assert low < 150 < high
    assert high - low > 50
    narrow = h_score_interval(even) or (0, 1)
    assert narrow[1] - narrow[0] < 1e-9
