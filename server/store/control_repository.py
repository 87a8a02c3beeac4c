"""`repositories.ControlRepository` on PostgreSQL: ranges are rows that are only ever added."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, func, insert, select, text

from server.domain.access import Caller
from server.domain.control import ChartKey, ControlPoint, ControlRange, current
from server.domain.errors import Refused, ServiceReason
from server.domain.views import Page, PageKey
from server.store import controls
from server.store.controls import range_of, values_of
from server.store.scope import Scoped, of_lab, page_of
from server.store.tables import control_ranges


class PostgresControlRepository(Scoped):
    """Each method one transaction."""

    def set(self, actor: Caller, wanted: ControlRange, request_id: str) -> ControlRange:
        with self._transaction(actor) as connection:
            _lock(connection, actor)
            earlier = _of_request(connection, actor, request_id)
            return _add(connection, actor, wanted, request_id) if earlier is None else _repeated(earlier, wanted)

    def retire(self, actor: Caller, number: int, reason: str, request_id: str) -> ControlRange:
        with self._transaction(actor) as connection:
            _lock(connection, actor)
            earlier = _of_request(connection, actor, request_id)
            found = _get(connection, actor, number)
            if earlier is not None:
                return _repeated(earlier, replace(found, retired=True, source=reason))
            if number not in _current_ids(connection, actor, found.marker):
                raise _unknown()
            return _add(connection, actor, replace(found, retired=True, source=reason), request_id)

    def ranges(self, actor: Caller, marker: str, limit: int, after: PageKey, *, all_: bool) -> Page[ControlRange]:
        c = control_ranges.c
        asked = select(control_ranges).where(of_lab(c.lab, actor))
        if marker:
            asked = asked.where(c.marker == marker)
        if not all_:
            newest = select(func.max(c.id)).group_by(c.lab, c.marker, c.kind, c.staining_run, c.clone, c.stainer)
            asked = asked.where(c.id.in_(newest), ~c.retired)
        with self._transaction(actor) as connection:
            found = connection.execute(page_of(asked, (c.id,), after, limit)).mappings().all()
        more = len(found) > limit
        items = tuple(range_of(row) for row in found[:limit])
        return Page(items=items, next=(str(items[-1].id),) if more else None)

    def all_ranges(self, actor: Caller, marker: str) -> Sequence[ControlRange]:
        with self._transaction(actor) as connection:
            return controls.ranges(connection, actor.lab, marker)

    def charts(self, actor: Caller, marker: str) -> Sequence[ChartKey]:
        with self._transaction(actor) as connection:
            return controls.charts(connection, actor.lab, marker)

    def points(self, actor: Caller, key: ChartKey, limit: int) -> Sequence[ControlPoint]:
        with self._transaction(actor) as connection:
            return controls.points(connection, actor.lab, key, limit)


def _add(connection: Connection, actor: Caller, wanted: ControlRange, request_id: str) -> ControlRange:
    values = values_of(wanted) | {"lab": actor.lab, "subject": actor.subject, "request_id": request_id}
    row = connection.execute(insert(control_ranges).values(values).returning(control_ranges)).mappings().one()
    return range_of(row)


def _of_request(connection: Connection, actor: Caller, request_id: str) -> ControlRange | None:
    same = (control_ranges.c.lab == actor.lab, control_ranges.c.request_id == request_id)
    row = connection.execute(select(control_ranges).where(*same)).mappings().first()
    return None if row is None else range_of(row)


def _repeated(earlier: ControlRange, wanted: ControlRange) -> ControlRange:
    """The first answer again, to the same content. Raises Refused REQUEST_ID_REUSED."""
    if values_of(earlier) != values_of(wanted) | {"lab": earlier.lab}:
        message = "request_id was used for another request: give each request its own"
        raise Refused(ServiceReason.REQUEST_ID_REUSED, message)
    return earlier


def _get(connection: Connection, actor: Caller, number: int) -> ControlRange:
    mine = (control_ranges.c.id == number, of_lab(control_ranges.c.lab, actor))
    row = connection.execute(select(control_ranges).where(*mine)).mappings().first()
    if row is None:
        raise _unknown()
    return range_of(row)


def _current_ids(connection: Connection, actor: Caller, marker: str) -> frozenset[int]:
    return frozenset(one.id for one in current(controls.ranges(connection, actor.lab, marker)))


def _unknown() -> Refused:
    message = "no such range counts in this laboratory: `chromogen control list` shows them"
    return Refused(ServiceReason.CONTROL_RANGE_UNKNOWN, message)


def _lock(connection: Connection, actor: Caller) -> None:
    """One change of a laboratory's ranges at a time, until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:lab, 2))"), {"lab": actor.lab})
