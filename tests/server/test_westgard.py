"""Westgard's rules, each at its edge, and the limits of a chart."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.control import ControlPoint
from server.domain.westgard import LEAST_POINTS, Limits, Rule, broken, chart_of

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def points(*values: float) -> list[ControlPoint]:
    return [
        ControlPoint(at=BEGAN + timedelta(days=i), result_id=str(i), value=v, n=100, passed=True)
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("z", "rules"),
    [
        ([2.0], set()),
        ([2.1], {Rule.ONE_2S}),
        ([-3.1], {Rule.ONE_2S, Rule.ONE_3S}),
        ([2.1, 2.1], {Rule.ONE_2S, Rule.TWO_2S}),
        ([2.1, -2.1], {Rule.ONE_2S, Rule.RANGE_4S}),
        ([2.1, 2.0], set()),
        ([1.1, 1.1, 1.1, 1.1], {Rule.FOUR_1S}),
        ([1.1, 1.1, 1.1, 1.0], set()),
        ([1.1, -1.1, 1.1, 1.1], set()),
        ([-0.1] * 10, {Rule.TEN_X}),
        ([-0.1] * 9, set()),
        ([*[-0.1] * 9, 0.0], set()),
    ],
)
def test_the_last_control_breaks_a_rule_or_not(z: list[float], rules: set[Rule]) -> None:
    assert set(broken(z)) == rules


def test_a_single_control_beyond_two_deviations_is_a_warning_and_no_alarm() -> None:
    chart = chart_of(points(100, 121), target=100, deviation=10)
    assert (chart.charted[-1].broken, chart.alarms) == ((Rule.ONE_2S,), ())


def test_limits_come_from_the_first_controls_where_none_are_set() -> None:
    steady = [100.0, 102.0] * (LEAST_POINTS // 2)
    assert chart_of(points(*steady[:-1])).limits is None
    chart = chart_of(points(*steady, 150.0))
    assert chart.limits is not None
    assert chart_of(points(*steady)).limits == Limits(
        target=101, deviation=pytest.approx(1.054, abs=0.001), established=10
    )
    assert len(chart_of(points(*steady[:-1])).charted) == LEAST_POINTS - 1


def test_a_drift_is_an_alarm() -> None:
    chart = chart_of(points(*[100, 101, 99, 100] * 5, *[106] * 4), target=100, deviation=5)
    assert chart.alarms == (Rule.FOUR_1S,)
