"""Neighbours within a radius, against every pair compared."""

import numpy as np
import pytest

from inference import neighbours as module
from inference.neighbours import neighbours


@pytest.mark.parametrize("at_once", [7, 10_000])
def test_they_are_those_that_every_pair_gives(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    random = np.random.default_rng(1)
    x, y = random.uniform(-50, 400, (2, 300))
    group = random.integers(0, 3, 300).astype(np.uint8)
    near = np.hypot(x[:, None] - x, y[:, None] - y) <= 40
    np.fill_diagonal(near, val=False)
    wanted = np.stack([(near & (group == g)).sum(axis=1) for g in range(3)], axis=1)
    np.testing.assert_array_equal(neighbours(x, y, group, radius=40, groups=3), wanted)
    assert wanted.sum() > 1000


def test_one_at_the_same_place_is_a_neighbour_and_one_just_too_far_away_isnt() -> None:
    x, y = np.array([5.0, 5.0, 25.0, 25.1]), np.zeros(4)
    counts = neighbours(x, y, np.array([0, 1, 0, 1], np.uint8), radius=20, groups=2)
    assert counts.tolist() == [[1, 1], [2, 0], [1, 2], [1, 0]]


def test_nobody_has_no_neighbours() -> None:
    assert neighbours(np.zeros(0), np.zeros(0), np.zeros(0, np.uint8), radius=1, groups=2).shape == (0, 2)
