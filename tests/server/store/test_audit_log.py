"""Who is refused again and again fills no table that can't be emptied."""

import pytest
import sqlalchemy as sa

from server.domain.access import Caller, Role
from server.store.audit_log import MOST_COUNTED, NOTED_EVERY_S, RefusedCallLog

pytestmark = pytest.mark.postgres


def caller(subject: str) -> Caller:
    return Caller(subject=subject, lab="LAB-A", roles=frozenset({Role.LIS}))


def noted(engine: sa.Engine) -> list[tuple[str, str, str]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT subject, object, outcome FROM audit WHERE action = 'call.refuse' ORDER BY id"
        )
        return [tuple(row) for row in rows]


def test_o20_refused_calls_are_noted_at_once_and_then_counted(engine: sa.Engine) -> None:
    now = [0.0]
    note = RefusedCallLog(engine, clock=lambda: now[0])
    for _ in range(500):
        note(caller("one"), "/chromogen.v1.ResultService/SignResult")
    note(caller("one"), "/chromogen.v1.OrderService/CancelOrder")
    note(caller("two"), "/chromogen.v1.ResultService/SignResult")
    first = [
        ("one", "methods/SignResult", "PERMISSION_DENIED"),
        ("one", "methods/CancelOrder", "PERMISSION_DENIED"),
        ("two", "methods/SignResult", "PERMISSION_DENIED"),
    ]
    assert noted(engine) == first
    now[0] += NOTED_EVERY_S
    note(caller("one"), "/chromogen.v1.ResultService/SignResult")
    note(caller("two"), "/chromogen.v1.ResultService/SignResult")
    assert noted(engine)[3:] == [
        ("one", "methods/SignResult", "PERMISSION_DENIED 500 TIMES"),
        ("two", "methods/SignResult", "PERMISSION_DENIED"),
    ]


def test_o20_what_is_counted_holds_no_memory_without_end() -> None:
    note = RefusedCallLog(sa.create_engine("postgresql+psycopg2://nobody@/none?host=/nowhere"))
    for number in range(3 * MOST_COUNTED):
        note._due("LAB-A", str(number), "GetOrder")
    assert len(note._counts) == MOST_COUNTED
