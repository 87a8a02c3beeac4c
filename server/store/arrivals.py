"""Orders that wait for a slide which has come. Each function is called inside a transaction and commits nothing."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, false, func, or_, select, true, update
from sqlalchemy.sql import ColumnElement

from server.domain.arrival import Arrived, references_of
from server.domain.errors import SLIDE_TO_COME
from server.domain.order import OrderId, Priority
from server.domain.states import OrderState
from server.store.orders import defer
from server.store.tables import orders


def wake(connection: Connection, labs: Sequence[str] | None, slide: Arrived) -> int:
    """Make due at once what waits for this slide, in these laboratories (None: in any); how many orders."""
    waits = (orders.c.state == OrderState.QUEUED, orders.c.reason.in_(sorted(SLIDE_TO_COME)))
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
    """Whether the laboratory ordered this slide for the marker, however that ended; not another one of its case."""
    statement = select(orders.c.id).where(orders.c.lab == lab, orders.c.marker == marker, _is_of(slide)).limit(1)
    return connection.execute(statement).first() is not None


def _means(slide: Arrived) -> ColumnElement[bool]:
    """Orders that name it by anything; whether it is the one meant is for whoever fetches it to say."""
    return or_(*(orders.c.slide[name].astext == value for name, value in references_of(slide)))


def _is_of(slide: Arrived) -> ColumnElement[bool]:
    """Orders whose every name fits, as `server.archive.locate` finds their slide; those of a case by specimen too."""
    series, study, container, accession = (
        orders.c.slide[name].astext for name in ("series_uid", "study_uid", "container_id", "accession_number")
    )
    own, case = or_(series != "", container != ""), study != ""
    fits = and_(
        series.in_(("", slide.series_uid)),
        study.in_(("", slide.study_uid)),
        container.in_(("", slide.container_id)),
    )
    known = accession == slide.accession_number if slide.accession_number else false()
    return and_(fits, or_(own, and_(or_(case, known), _of_specimen(slide))))


def _of_specimen(slide: Arrived) -> ColumnElement[bool]:
    """Orders that name no specimen or one of the slide's; any, where the slide doesn't say of which it is."""
    return orders.c.specimen["id"].astext.in_(("", *sorted(slide.specimens))) if slide.specimens else true()
