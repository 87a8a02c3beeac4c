"""What is kept of controls: ranges as they were set, and results whose slides held some. Rows, in a transaction."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, exists, select

from inference.control import CoreFound
from server.domain.control import ChartKey, ControlPoint, ControlRange, RunControl
from server.domain.order import CONTROL_ROLE
from server.domain.states import LIVE, ResultState
from server.store.control_json import cores_of, run_control_of
from server.store.tables import control_ranges, orders, results, signatures

_AS_COLUMNS = {"created_by": "subject", "created_at": "at"}


def ranges(connection: Connection, lab: str, marker: str) -> list[ControlRange]:
    """The oldest first."""
    c = control_ranges.c
    found = connection.execute(select(control_ranges).where(c.lab == lab, c.marker == marker).order_by(c.id))
    return [range_of(row) for row in found.mappings()]


def range_of(row: RowMapping) -> ControlRange:
    named = {name: row[_AS_COLUMNS.get(name, name)] for name in ControlRange.__dataclass_fields__}
    return ControlRange(**{**named, "created_at": row["at"].astimezone(UTC)})


def values_of(one: ControlRange) -> dict[str, Any]:
    """Of a new row, but for who set it."""
    left_out = {"id", *_AS_COLUMNS}
    return {name: getattr(one, name) for name in ControlRange.__dataclass_fields__ if name not in left_out}


def run_control(connection: Connection, lab: str, marker: str, staining_run: str) -> RunControl | None:
    """The newest that no pathologist rejected."""
    c = results.c
    mine = (c.lab == lab, c.marker == marker, c.slide_of_run != "", c.slide_of_run == staining_run)
    statement = select(c.id, c.created_at, c.control).where(*mine, ~_rejected(), c.predecessor.is_(None))
    newest = statement.order_by(c.created_at.desc(), c.id).limit(1)
    row = connection.execute(newest).mappings().first()
    return None if row is None else run_control_of(row["id"], row["created_at"].astimezone(UTC), row["control"])


def is_withheld(connection: Connection, result_id: str | None) -> bool:
    """Is this a result without a score, for its control?"""
    said = select(results.c.control["withheld"].astext).where(results.c.id == result_id)
    return result_id is not None and bool(connection.execute(said).scalar())


def pending(connection: Connection, lab: str, marker: str, staining_run: str) -> bool:
    c = orders.c
    said = c.specimen["role"].astext == CONTROL_ROLE
    is_control = said | (c.specimen["control_kind"].astext != "")
    mine = (c.lab == lab, c.marker == marker, c.state.in_(LIVE), is_control)
    of_run = c.specimen["staining_run"].astext == staining_run
    return connection.execute(select(exists(select(c.id).where(*mine, of_run)))).scalar_one()


def points(connection: Connection, lab: str, key: ChartKey, limit: int) -> list[ControlPoint]:
    """The newest of a chart, the oldest first."""
    found = connection.execute(_measured(lab, key).limit(limit)).mappings().all()
    return [point for row in reversed(found) for point in _points(row, key)]


def charts(connection: Connection, lab: str, marker: str) -> list[ChartKey]:
    """Of which there are controls, each once."""
    c = results.c
    control = (c.control["clone"].astext.label("clone"), c.control["stainer"].astext.label("stainer"))
    asked = (c.lab == lab, c.control_status != "", c.predecessor.is_(None), *([c.marker == marker] if marker else []))
    found = connection.execute(select(c.marker, c.control, *control).where(*asked).order_by(c.created_at)).mappings()
    keys = dict.fromkeys(_key(row, core) for row in found for core in cores_of(row["control"]) if _is_number(core))
    return sorted(keys, key=lambda key: (key.marker, key.kind, key.measure, key.clone, key.stainer))


def _measured(lab: str, key: ChartKey) -> Select[Any]:
    c = results.c
    same = [c.control[part].astext == getattr(key, part) for part in ("clone", "stainer")]
    mine = (c.lab == lab, c.marker == key.marker, c.control_status != "", c.predecessor.is_(None), ~_rejected(), *same)
    holds = c.control["own"]["cores"].contains([{"expected": key.kind, "measure": key.measure}])
    return select(c.id, c.created_at, c.control).where(*mine, holds).order_by(c.created_at.desc(), c.id)


def _points(row: RowMapping, key: ChartKey) -> Sequence[ControlPoint]:
    return [
        ControlPoint(
            at=row["created_at"].astimezone(UTC),
            result_id=row["id"],
            value=float(core.value),
            n=core.n,
            passed=core.passed,
            staining_run=row["control"]["staining_run"],
        )
        for core in cores_of(row["control"])
        if (core.expected, core.measure) == (key.kind, key.measure) and isinstance(core.value, int | float)
    ]


def _key(row: RowMapping, core: CoreFound) -> ChartKey:
    return ChartKey(
        marker=row["marker"], kind=core.expected, measure=core.measure, clone=row["clone"], stainer=row["stainer"]
    )


def _is_number(core: CoreFound) -> bool:
    return isinstance(core.value, int | float)


def _rejected() -> Any:
    said = select(signatures.c.id).where(
        signatures.c.result_id == results.c.id, signatures.c.state == ResultState.REJECTED
    )
    return exists(said.correlate(results))
