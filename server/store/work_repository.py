"""`repositories.WorkRepository` on PostgreSQL: the work list, and what is said beside results."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, RowMapping, and_, cast, func, insert, or_, select

from server.domain.access import Caller
from server.domain.order import OrderId
from server.domain.result import ResultId
from server.domain.states import SIGNED, OrderState, ResultState
from server.domain.views import Page, PageKey, SummaryView
from server.domain.work import ORDER_STATES, Comment, WorkFilter, WorkItem, WorkState
from server.store import orders as order_rows
from server.store.audit_log import note
from server.store.result_repository import state_of, view_of, views_of
from server.store.scope import Scoped, given, key_text, of_lab, page_of
from server.store.tables import comments, orders, results, signatures

MOST_COMMENTS = 1000
URGENCY = cast(-orders.c.rank, BigInteger).label("urgency")


class PostgresWorkRepository(Scoped):
    """Each method one transaction."""

    def list(self, actor: Caller, wanted: WorkFilter, limit: int, after: PageKey) -> Page[WorkItem]:
        columns = (URGENCY, orders.c.received_at, orders.c.id)
        fitting = _conditions(wanted, patients=actor.sees_patients)
        asked = select(orders, URGENCY).where(of_lab(orders.c.lab, actor), *fitting)
        with self._transaction(actor) as connection:
            found = connection.execute(page_of(asked, columns, after, limit)).mappings().all()
            shown = _results(connection, [row["id"] for row in found[:limit]])
        items = [WorkItem(order=order_rows.view_of(row), result=shown.get(row["id"])) for row in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        key = None if last is None else tuple(key_text(last[name]) for name in ("urgency", "received_at", "id"))
        return Page(items=tuple(items), next=key)

    def comment(self, actor: Caller, result_id: ResultId, text: str) -> Comment:
        with self._transaction(actor) as connection:
            view = view_of(connection, actor, result_id)
            values = {"lab": view.lab, "result_id": view.result.id, "subject": actor.subject, "said": text}
            made = connection.execute(insert(comments).returning(comments), values).mappings().one()
            return _comment(made)

    def comments(self, actor: Caller, result_id: ResultId) -> Sequence[Comment]:
        with self._transaction(actor) as connection:
            view = view_of(connection, actor, result_id)
            order_id = view.result.order_id
            same = results.c.id == result_id if order_id is None else results.c.order_id == order_id
            asked = select(comments).join(results, results.c.id == comments.c.result_id).where(same)
            found = connection.execute(asked.order_by(comments.c.id).limit(MOST_COMMENTS)).mappings()
            return [_comment(row) for row in found]

    def note_read(self, actor: Caller, result_id: ResultId, what: str) -> None:
        with self._transaction(actor) as connection:
            note(connection, f"{what}.read", f"results/{view_of(connection, actor, result_id).result.id}")


def _comment(row: RowMapping) -> Comment:
    return Comment(
        result_id=ResultId(row["result_id"]), by=row["subject"], at=row["at"].astimezone(UTC), text=row["said"]
    )


def _results(connection: Connection, order_ids: Sequence[str]) -> dict[OrderId, SummaryView]:
    """Of each order the result that matters."""
    asked = select(results).where(results.c.order_id.in_(order_ids)).order_by(results.c.created_at, results.c.id)
    views = views_of(connection, connection.execute(asked).mappings().all())
    best: dict[OrderId, SummaryView] = {}
    for view in views:
        of = view.result.order_id
        if of is not None and (of not in best or _matters(view) >= _matters(best[of])):
            best[of] = view
    return best


def _matters(view: SummaryView) -> tuple[bool, bool]:
    """The signed one before all others, the newest of equals."""
    return view.state in SIGNED, view.state is ResultState.PRELIMINARY


def _conditions(wanted: WorkFilter, *, patients: bool) -> Sequence[ColumnElement[bool]]:
    c = orders.c
    return given(
        (wanted.state, _is),
        (wanted.marker, lambda v: c.marker == v),
        (wanted.priority, lambda v: c.rank == v.rank),
        (wanted.text.strip(), lambda v: _holds(v, patients=patients)),
        (wanted.of, _touched_by),
    )


def _is(state: WorkState) -> ColumnElement[bool]:
    if state in ORDER_STATES:
        return orders.c.state.in_(ORDER_STATES[state])
    done = orders.c.state == OrderState.DONE
    said = select(signatures.c.id).join(results, results.c.id == signatures.c.result_id)
    of_order = said.where(results.c.order_id == orders.c.id).correlate(orders)
    signed = of_order.where(state_of().in_(SIGNED)).exists()
    unsaid = select(results.c.id).where(results.c.order_id == orders.c.id, state_of() == ResultState.PRELIMINARY)
    open_one = unsaid.correlate(orders).exists()
    match state:
        case WorkState.SIGNED:
            return and_(done, signed)
        case WorkState.TO_SIGN:
            return and_(done, ~signed, open_one)
        case _:
            return and_(done, ~signed, ~open_one)


def _holds(text: str, *, patients: bool) -> ColumnElement[bool]:
    c = orders.c
    columns: list[ColumnElement[Any]] = [
        c.placer_order_number,
        c.slide["container_id"].astext,
        c.specimen["id"].astext,
    ]
    if patients:
        columns += [c.patient["id"].astext, c.patient["family_name"].astext]
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def _touched_by(subject: str) -> ColumnElement[bool]:
    def of(*where: ColumnElement[bool]) -> ColumnElement[bool]:
        return select(results.c.id).where(results.c.order_id == orders.c.id, *where).correlate(orders).exists()

    signed = select(signatures.c.id).where(signatures.c.result_id == results.c.id, signatures.c.subject == subject)
    said = select(comments.c.id).where(comments.c.result_id == results.c.id, comments.c.subject == subject)
    changed = func.coalesce(results.c.change["by"].astext, "") == subject
    return of(or_(signed.correlate(results).exists(), said.correlate(results).exists(), changed))
