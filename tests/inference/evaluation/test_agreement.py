"""Agreement of keypoints: the assignment against SciPy's, similarity and kappa against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.evaluation.agreement import agreement
from inference.evaluation.metric import Points
from inference.keypoints import LEAST_SIMILAR, MATCH_RADIUS_UM, cohen_kappa, pairs, similarity


def points(*rows: tuple[float, float, int]) -> Points:
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Points(xy=table[:, :2], label=table[:, 2].astype(np.int64), confidence=np.ones(len(table)))


def test_similarity_is_one_at_the_same_place_and_falls_to_exp_of_minus_a_half_at_one_radius() -> None:
    s = similarity(np.zeros((1, 2)), np.array([[0, 0], [MATCH_RADIUS_UM / 0.5, 0]]), mpp=0.5)
    assert s.tolist() == [[1.0, pytest.approx(np.exp(-0.5))]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 14), st.integers(0, 14), st.integers(0, 10_000))
def test_the_assignment_is_as_good_as_scipys(n: int, m: int, seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy comes with the train extra")
    random = np.random.default_rng(seed)
    s = similarity(random.uniform(0, 40, (n, 2)), random.uniform(0, 40, (m, 2)), mpp=0.5)
    rows, columns = pairs(s)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
    gain = np.where(s >= LEAST_SIMILAR, s, 0)
    best = gain[optimize.linear_sum_assignment(gain, maximize=True)].sum()
    assert s[rows, columns].sum() == pytest.approx(best)


def test_a_nearer_pair_yields_where_two_pairs_are_then_possible() -> None:
    # the first of ours is nearest to the first of theirs, but the second of ours has no other
    s = similarity(np.array([[2.0, 0], [-3.0, 0]]), np.array([[0.0, 0], [6.0, 0]]), mpp=0.5)
    assert [v.tolist() for v in pairs(s)] == [[0, 1], [1, 0]]


def test_kappa_of_a_table_worked_out_by_hand() -> None:
    # observed 0.7; chance 0.5 x 0.6 + 0.5 x 0.4 = 0.5
    assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)


def test_kappa_has_no_value_without_points_or_with_one_label_only() -> None:
    assert np.isnan(cohen_kappa(np.zeros((2, 2), np.int64)))
    assert np.isnan(cohen_kappa(np.array([[7, 0], [0, 0]])))


def test_the_same_points_agree_wholly() -> None:
    tile = points((0, 0, 0), (50, 50, 1))
    a = agreement([tile], [tile], mpp=0.5)
    assert (a.similarity, a.paired, a.kappa, a.kappa_with_missed) == (1, 1, 1, 1)


def test_a_missed_point_lowers_the_kappa_that_counts_it_only() -> None:
    ours, theirs = points((0, 0, 0), (50, 50, 1)), points((0, 0, 0), (50, 50, 1), (90, 90, 1))
    a = agreement([ours], [theirs], mpp=0.5)
    assert a.kappa == 1
    assert a.kappa_with_missed < 1
    assert a.paired == pytest.approx(4 / 5)


def test_empty_tiles_have_no_figures_and_dont_fail() -> None:
    a = agreement([points()], [points()], mpp=0.5)
    assert np.isnan([a.similarity, a.paired, a.kappa]).all()
