"""A machine whose clock is wrong says so, and decides nothing by it (issue 12)."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from server.store.clock import EVERY_S, DatabaseClock, ahead
from server.store.database import connect

pytestmark = pytest.mark.postgres


def wrong_by(**how: float) -> tuple[timedelta, "object"]:
    off = timedelta(**how)
    return off, lambda: datetime.now(UTC) + off


@pytest.mark.parametrize("how", [{"hours": 30}, {"days": -400}, {"seconds": 9}])
def test_a_wrong_clock_is_said_once_and_corrected(
    engine: sa.Engine, how: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    off, own = wrong_by(**how)
    passed = iter(range(0, 1_000_000, int(EVERY_S) + 1))
    clock = DatabaseClock(engine, own=own, monotonic=lambda: next(passed))  # type: ignore[arg-type]
    for _ in range(3):
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=2)
        assert clock.today() == datetime.now().astimezone().date()
    assert capsys.readouterr().out.count("clock_differs") == 1
    assert abs(ahead(engine, own) - off) < timedelta(seconds=2)  # type: ignore[arg-type]


def test_a_good_clock_is_not_remarked_on(engine: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert abs(DatabaseClock(engine).now() - datetime.now(UTC)) < timedelta(seconds=2)
    assert "clock_differs" not in capsys.readouterr().out


def test_while_the_database_is_away_the_last_correction_holds(engine: sa.Engine) -> None:
    _, own = wrong_by(hours=5)
    passed = iter(range(0, 1_000_000, int(EVERY_S) + 1))
    clock = DatabaseClock(engine, own=own, monotonic=lambda: next(passed))  # type: ignore[arg-type]
    clock.now()
    clock._engine = connect("postgresql://nobody@127.0.0.1:1/none")
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=2)
