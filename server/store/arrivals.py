"""Orders that wait for a slide which has come. Each function is called inside a transaction and commits nothing."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.sql import ColumnElement

from server.domain.arrival import Arrived, references_of
from server.domain.errors import ServiceReason
from server.domain.order import OrderId, Priority
from server.domain.states import OrderState
from server.store.orders import defer
from server.store.tables import orders


def wake(connection: Connection, labs: Sequence[str] | None, slide: Arrived) -> int:
    """Make due at once what waits for this slide, in these laboratories (None: in any); how many orders."""
    waits = (orders.c.state == OrderState.QUEUED, orders.c.reason == ServiceReason.SLIDE_NOT_FOUND)
    mine = () if labs is None else (orders.c.lab.in_(labs),)
    statement = (
        update(orders)
        .where(*waits, *mine, _means(slide))
        .values(due_at=func.now(), updated_at=func.now())
        .returning(orders.c.id, orders.c.priority)
    )
    found = connection.execute(statement).all()
    for row in found:
        defer(connection, OrderId(row.id), Priority(row.priority))
    return len(found)


def is_ordered(connection: Connection, lab: str, marker: str, slide: Arrived) -> bool:
    """Whether the laboratory ordered this slide for the marker, however that ended."""
    statement = select(orders.c.id).where(orders.c.lab == lab, orders.c.marker == marker, _means(slide)).limit(1)
    return connection.execute(statement).first() is not None


def _means(slide: Arrived) -> ColumnElement[bool]:
    """Orders that name it by anything; whether it is the one meant is for whoever fetches it to say."""
    return or_(*(orders.c.slide[name].astext == value for name, value in references_of(slide)))
