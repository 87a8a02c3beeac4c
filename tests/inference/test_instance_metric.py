"""PQ, AJI, Dice and F1 by kind on cases counted by hand."""

import numpy as np
import pytest

from inference.evaluation.instances import (
    Labels,
    Nuclei,
    detection_f1,
    figures,
    intervals,
    kind_f1,
    overlaps,
    paired,
)

KINDS = ("other", "inflammatory")


def boxes(*sides: tuple[int, int, int, int], side: int = 20) -> Labels:
    """Numbered from 1: left, top, right, bottom."""
    labels = np.zeros((side, side), np.int32)
    for i, (left, top, right, bottom) in enumerate(sides, 1):
        labels[top:bottom, left:right] = i
    return labels


def nuclei(*rows: tuple[float, float, int]) -> Nuclei:
    table = np.array(rows, float).reshape(-1, 3)
    return Nuclei(labels=np.zeros((1, 1), np.int32), kind=table[:, 2].astype(np.int64), centre=table[:, :2])


def test_the_same_labels_are_perfect_in_any_order() -> None:
    ours, theirs = boxes((0, 0, 4, 4), (6, 6, 9, 9)), boxes((6, 6, 9, 9), (0, 0, 4, 4))
    found = overlaps(ours, theirs)
    assert (found.dice, found.aji, found.aji_plus, found.dq, found.sq, found.pq) == (1,) * 6


def test_one_of_two_found_three_quarters_of_it() -> None:
    found = overlaps(boxes((0, 0, 4, 4), (8, 8, 12, 12)), boxes((0, 0, 3, 4)))
    assert found.dice == pytest.approx(2 * 12 / (32 + 12))
    assert found.aji == found.aji_plus == pytest.approx(12 / (16 + 16))
    assert (found.dq, found.sq) == (pytest.approx(2 / 3), pytest.approx(0.75))
    assert found.pq == pytest.approx(0.5)


def test_half_an_overlap_is_no_match_but_counts_for_aji() -> None:
    found = overlaps(boxes((0, 0, 4, 4)), boxes((0, 0, 2, 4)))
    assert (found.pq, found.aji) == (0, 0.5)


def test_two_that_were_joined_to_one() -> None:
    found = overlaps(boxes((0, 0, 4, 4), (4, 0, 8, 4)), boxes((0, 0, 8, 4)))
    assert found.dice == 1
    assert found.pq == 0
    assert found.aji == pytest.approx((16 + 16) / (32 + 32))  # the one is taken twice
    assert found.aji_plus == pytest.approx(16 / (32 + 16))  # or once, and one is left over


def test_nothing_found_and_nothing_there() -> None:
    empty = np.zeros((5, 5), np.int32)
    assert overlaps(boxes((0, 0, 2, 2), side=5), empty).pq == 0
    assert overlaps(empty, boxes((0, 0, 2, 2), side=5)).aji == 0
    assert np.isnan(overlaps(empty, empty).pq)


def test_pairs_are_one_to_one_and_no_further_than_the_radius() -> None:
    pairing = paired(nuclei((0, 0, 0), (10, 0, 1)), nuclei((1, 0, 0), (2, 0, 0), (30, 0, 1)), 12)
    assert pairing.pairs.tolist() == [[0, 0], [1, 0]]
    assert (pairing.missed.tolist(), pairing.surplus.tolist()) == ([], [1])
    assert detection_f1([pairing]) == pytest.approx(4 / 5)


def test_a_confused_kind_counts_twice_against_both() -> None:
    annotated = nuclei((0, 0, 0), (50, 0, 0), (100, 0, 1), (150, 0, 1))
    found = nuclei((0, 0, 0), (50, 0, 1), (100, 0, 1), (200, 0, 1))
    pairing = paired(annotated, found, 12)
    assert kind_f1([pairing], 0) == pytest.approx(2 / (2 + 2))
    assert kind_f1([pairing], 1) == pytest.approx(2 / (2 + 2 + 2))
    assert np.isnan(kind_f1([pairing], 3))


def test_no_nucleus_on_a_side() -> None:
    pairing = paired(nuclei(), nuclei((0, 0, 1)), 12)
    assert (len(pairing.pairs), pairing.surplus.tolist(), detection_f1([pairing])) == (0, [1], 0)


def test_pictures_count_alike_for_pq_and_nuclei_alike_for_f1() -> None:
    full, none = boxes((0, 0, 4, 4), (8, 8, 12, 12)), np.zeros((20, 20), np.int32)
    one = boxes((0, 0, 4, 4))
    kinds, centres = np.array([0, 1]), np.array([[1.5, 1.5], [9.5, 9.5]])
    two = Nuclei(labels=full, kind=kinds, centre=centres)
    annotated = [
        two,
        Nuclei(labels=one, kind=kinds[:1], centre=centres[:1]),
    ]
    found = [two, Nuclei(labels=none, kind=kinds[:0], centre=centres[:0])]
    said = figures(annotated, found, KINDS, mpp=0.25)
    assert said["pq"] == said["dice"] == 0.5
    assert said["f1"] == pytest.approx(4 / 5)
    assert (said["f1_other"], said["f1_inflammatory"]) == (pytest.approx(2 / 3), 1)


def test_intervals_hold_the_figure_and_need_two_pictures() -> None:
    labels = [(boxes((0, 0, 4, 4)), boxes((0, 0, 3 + i % 2, 4))) for i in range(6)]
    each = [overlaps(*pair) for pair in labels]
    pairings = [paired(nuclei((0, 0, 0)), nuclei((0, 0, 0)), 12) for _ in each]
    low, high = intervals(each, pairings, KINDS, draws=50)["pq"]
    assert low < 0.875 < high
    assert intervals(each[:1], pairings[:1], KINDS) == {}
