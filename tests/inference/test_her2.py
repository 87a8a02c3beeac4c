"""Every edge of the HER2 rules: ASCO/CAP 2018, its silent corners filled as docs/models/membrane.md says."""

import numpy as np
import pytest

from inference.analyzers.her2 import (
    CLASSES,
    FAINT_C,
    FAINT_I,
    INTENSE_C,
    INTENSE_I,
    MODERATE_C,
    MODERATE_I,
    her2_of,
    membrane_h_score,
    share_interval,
)


def counted(n: int = 1000, **by_class: int) -> list[int]:
    """Cells by class; the rest of `n` has none."""
    counts = [by_class.get(name, 0) for name in CLASSES]
    counts[0] = n - sum(counts)
    return counts


@pytest.mark.parametrize(
    ("stained", "score", "silent"),
    [
        ({"intense_complete": 101}, "3+", False),
        ({"intense_complete": 100}, "2+", False),  # 10 % is not above 10 %
        ({"intense_complete": 11}, "2+", False),
        ({"intense_complete": 10}, "0", False),  # 1 % is not above 1 %
        ({"faint_complete": 60, "moderate_complete": 41}, "2+", False),
        ({"faint_complete": 60, "moderate_complete": 40}, "0", False),
        ({"moderate_incomplete": 51, "intense_incomplete": 50}, "2+", False),
        ({"moderate_incomplete": 50, "intense_incomplete": 50}, "0", False),
        ({"faint_incomplete": 101}, "1+", False),
        ({"faint_incomplete": 100}, "0", False),
        ({"faint_incomplete": 200, "intense_complete": 50}, "2+", False),
        ({"faint_incomplete": 200, "intense_complete": 101}, "3+", False),
        ({"faint_incomplete": 200, "faint_complete": 101}, "2+", False),
        ({"faint_incomplete": 200, "faint_complete": 100}, "1+", False),
        ({"faint_complete": 11, "faint_incomplete": 90}, "2+", True),
        ({"faint_complete": 10, "faint_incomplete": 91}, "0", False),
        ({"moderate_complete": 11, "faint_incomplete": 89}, "0", False),  # together exactly 10 %
        ({"faint_complete": 10, "faint_incomplete": 51, "moderate_incomplete": 50}, "1+", True),
        ({"faint_incomplete": 51, "moderate_incomplete": 30, "intense_incomplete": 20}, "1+", True),
        ({"faint_incomplete": 50, "moderate_incomplete": 50}, "0", False),
        ({}, "0", False),
    ],
)
def test_rules_in_their_order(stained: dict[str, int], score: str, silent: bool) -> None:
    found = her2_of(counted(**stained))
    assert found is not None
    assert (found.score, found.silent) == (score, silent)
    assert found.reflex is (score == "2+")


@pytest.mark.parametrize(
    ("stained", "low"),
    [
        ({}, "null"),
        ({"faint_incomplete": 10}, "null"),  # what the measurement finds where none is
        ({"faint_incomplete": 11}, "ultralow"),
        ({"faint_incomplete": 100}, "ultralow"),
        ({"faint_incomplete": 101}, "low"),
        ({"faint_complete": 101}, "pending_ish"),
        ({"intense_complete": 101}, "none"),
    ],
)
def test_her2_low_stands_beside_the_score(stained: dict[str, int], low: str) -> None:
    found = her2_of(counted(**stained))
    assert found is not None
    assert found.low == low


def test_of_no_cells_there_is_no_score() -> None:
    assert her2_of([0] * 7) is None
    assert membrane_h_score([0] * 7) is None


def fields(counts: list[int], k: int = 12) -> np.ndarray:
    """The same counts as k fields, all alike."""
    return np.array([[c // k + (i < c % k) for c in counts] for i in range(k)], np.int64)


@pytest.mark.parametrize(
    ("stained", "score", "other"),
    [
        ({"intense_complete": 90, "moderate_complete": 150}, "2+", "3+"),
        ({"intense_complete": 110}, "3+", "2+"),
        ({"intense_complete": 50}, "2+", None),
        ({"intense_complete": 150}, "3+", None),
        ({"faint_complete": 90, "faint_incomplete": 300}, "1+", "2+"),
        ({"moderate_complete": 110, "faint_incomplete": 300}, "2+", "1+"),
        ({"faint_incomplete": 90}, "0", "1+"),
        ({"faint_incomplete": 110}, "1+", "0"),
        ({"faint_incomplete": 110, "intense_complete": 400}, "3+", None),  # it decides nothing there
    ],
)
def test_both_scores_are_named_where_a_defining_share_is_near_ten_percent(
    stained: dict[str, int], score: str, other: str | None
) -> None:
    counts = counted(**stained)
    found = her2_of(counts, fields(counts))
    assert found is not None
    assert (found.score, found.other) == (score, other)


def test_an_interval_holds_sampling_and_the_measurements_error() -> None:
    counts = counted(intense_complete=200)
    alike = share_interval(fields(counts), (INTENSE_C,))
    assert alike is not None
    assert alike[0] == pytest.approx(20 - 3.92, abs=0.3)
    clustered = np.zeros((10, 7), np.int64)
    clustered[:2, INTENSE_C], clustered[2:, 0] = 100, 100
    apart = share_interval(clustered, (INTENSE_C,))
    assert apart is not None
    assert apart[1] - apart[0] > 30
    shuffled = share_interval(clustered[::-1], (INTENSE_C,))
    assert shuffled == apart


def test_no_interval_of_a_single_field() -> None:
    counts = counted(faint_incomplete=200)
    assert share_interval(np.array([counts]), (FAINT_I,)) is None


def test_the_h_score_weighs_intensity_alone() -> None:
    counts = [0] * 7
    for of, n in ((FAINT_I, 10), (FAINT_C, 10), (MODERATE_I, 20), (MODERATE_C, 20), (INTENSE_I, 20), (INTENSE_C, 20)):
        counts[of] = n
    assert membrane_h_score(counts) == pytest.approx(20 + 80 + 120)
