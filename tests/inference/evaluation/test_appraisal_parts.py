"""Intervals, reliability and counting on cases small enough to work out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.evaluation.counting import Graded, by_compartment, counting
from inference.evaluation.interval import intervals, rank
from inference.evaluation.metric import Points, curve
from inference.evaluation.reliability import reliability

RADIUS_PX = 5.96


def points(*rows: tuple[float, float, int, float]) -> Points:
    table = np.array(rows, np.float64).reshape(-1, 4)
    return Points(xy=table[:, :2], label=table[:, 2].astype(np.int64), confidence=table[:, 3])


def scattered(random: np.random.Generator, n: int) -> Points:
    return Points(xy=random.uniform(0, 100, (n, 2)), label=random.integers(0, 2, n), confidence=random.random(n))


def graded(p: Points, *grade: int) -> Graded:
    return Graded(points=p, grade=np.array(grade, np.uint8))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_each_tile_counted_once_gives_the_metric_itself(seed: int) -> None:
    random = np.random.default_rng(seed)
    predicted = [scattered(random, int(random.integers(0, 30))) for _ in range(4)]
    annotated = [scattered(random, int(random.integers(1, 20))) for _ in range(4)]
    ours = rank(predicted, annotated, RADIUS_PX).average_precision(np.ones(4))
    assert ours == pytest.approx(curve(predicted, annotated, RADIUS_PX).average_precision)


def test_a_tile_counted_twice_is_as_two_such_tiles() -> None:
    random = np.random.default_rng(3)
    predicted, annotated = [scattered(random, 20) for _ in range(3)], [scattered(random, 15) for _ in range(3)]
    weighted = rank(predicted, annotated, RADIUS_PX).average_precision(np.array([2.0, 1.0, 0.0]))
    twice = curve([predicted[0], predicted[0], predicted[1]], [annotated[0], annotated[0], annotated[1]], RADIUS_PX)
    assert weighted == pytest.approx(twice.average_precision)


def test_an_interval_holds_the_figure_and_narrows_to_it_where_all_tiles_are_alike() -> None:
    tile = points((0, 0, 0, 0.9), (50, 50, 1, 0.8), (90, 10, 1, 0.7))
    truth = points((0, 0, 0, 1), (50, 50, 1, 1))
    assert intervals([tile] * 5, [truth] * 5, mpp=0.5)["mAP"] == (1.0, 1.0)


def test_one_tile_has_no_interval() -> None:
    assert intervals([points()], [points((0, 0, 0, 1))], mpp=0.5) == {}


def test_a_confidence_that_is_right_as_often_as_it_says_has_no_error() -> None:
    annotated = [points(*((10.0 * i, 0, 0, 1) for i in range(8)))]
    predicted = [points(*((10.0 * i, 0 if i < 8 else 50, 0, 0.8) for i in range(10)))]
    r = reliability(predicted, annotated, mpp=0.5)
    assert r.error == pytest.approx(0)
    assert [(b.n, b.hits) for b in r.bins] == [(10, 0.8)]


def test_a_hit_of_the_wrong_compartment_is_no_hit_of_its_confidence() -> None:
    r = reliability([points((0, 0, 1, 0.9))], [points((0, 0, 0, 1))], mpp=0.5)
    assert r.error == pytest.approx(0.9)


def test_counting_by_hand() -> None:
    theirs = graded(points((0, 0, 0, 1), (20, 0, 0, 1), (40, 0, 1, 1)), 0, 3, 2)
    ours = graded(points((1, 0, 0, 0.9), (20, 0, 1, 0.9), (40, 0, 1, 0.9), (80, 80, 0, 0.9)), 0, 3, 2, 1)
    c = by_compartment([ours], [theirs], mpp=0.5)
    assert (c["all"].precision, c["all"].recall) == (3 / 4, 1)
    assert (c["stroma"].precision, c["stroma"].recall) == (1 / 2, 1 / 2)  # the second was taken for epithelium
    assert (c["epithelium"].precision, c["epithelium"].recall) == (1 / 2, 1)
    assert c["all"].count_error == pytest.approx(1 / 3)
    assert c["all"].h_score == pytest.approx(100 * (3 + 2 + 1) / 4)
    assert c["all"].h_score_error == pytest.approx(150 - 500 / 3)
    assert c["all"].percent_positive_error == pytest.approx(75 - 200 / 3)
    assert c["stroma"].percent_positive_error_by_tile == pytest.approx(0)  # of each, one of two


def test_nothing_counted_and_nothing_annotated_has_no_figure() -> None:
    c = counting([graded(points())], [graded(points())], mpp=0.5)
    assert np.isnan([c.precision, c.recall, c.f1, c.count_error, c.h_score_error, c.h_score_error_by_tile]).all()
