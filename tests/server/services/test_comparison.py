"""Two profiles on the same stored results, without a door."""

from dataclasses import replace
from pathlib import Path

import pytest

from inference.analyzers.nuclear import H_SCORE, PERCENT_POSITIVE
from inference.grade import HueValueThresholds
from server.services.comparison import compared, differences
from tests.made import made_result


def test_a_comparison_has_the_score_under_each_profile_and_the_difference_is_second_minus_first(tmp_path: Path) -> None:
    results = [made_result(tmp_path, n=300, seed=seed) for seed in (1, 2)]
    usual = results[0].profile
    other = replace(usual, criteria=HueValueThresholds(hue=200, left=10, right=20))
    rows = [compared(result, usual, other) for result in results]
    assert [row.result_id for row in rows] == [result.id for result in results]
    assert [row.measures[0].first for row in rows] == [
        replace(score, interval=None) for score in (result.score(H_SCORE) for result in results) if score is not None
    ]
    apart = [row.measures[0].second.value - row.measures[0].first.value for row in rows]  # type: ignore[union-attr, operator]
    h_score, percent = differences(rows)
    assert (h_score.measure, percent.measure, h_score.results) == (H_SCORE, PERCENT_POSITIVE, 2)
    assert h_score.mean == pytest.approx(sum(apart) / 2)
    assert h_score.largest == pytest.approx(max(map(abs, apart)))


def test_results_without_cells_have_no_difference(tmp_path: Path) -> None:
    empty = made_result(tmp_path, n=0)
    found = compared(empty, empty.profile, empty.profile)
    assert found.cells == 0
    assert differences([found]) == []
