"""`repositories.OrderRepository` on PostgreSQL: orders as the API sees and changes them."""

from sqlalchemy import Connection, Engine, RowMapping, bindparam, select
from sqlalchemy.sql import ColumnElement

from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Order, OrderId, Request, Sender
from server.domain.ports import OrderView
from server.domain.states import OrderState, check_transition
from server.domain.views import OrderFilter, Page, PageKey, check_etag, order_etag
from server.store import controls
from server.store import orders as rows
from server.store.audit_log import note
from server.store.cancel import cancel, locked
from server.store.notify import Notify, notify_nobody
from server.store.scope import Scoped, given, is_uuid, key_text, of_lab, page_of
from server.store.tables import orders

RETRYABLE = frozenset({OrderState.REFUSED, OrderState.DEAD})


class PostgresOrderRepository(Scoped):
    """Each method one transaction. `notify` makes what tells the LIS of an order that somebody else cancelled."""

    def __init__(self, engine: Engine, notify: Notify = notify_nobody) -> None:
        super().__init__(engine)
        self._notify = notify

    def create(self, actor: Caller, request: Request) -> tuple[OrderView, bool]:
        if request.lab != actor.lab:
            raise Refused(ServiceReason.PERMISSION_DENIED, "an order is made in the caller's own laboratory")
        with self._transaction(actor) as connection:
            order, new = rows.accept(connection, request)
            if not new and _is_reused(connection, order, request):
                raise Refused(
                    ServiceReason.REQUEST_ID_REUSED, "request_id was used for another order: give each order its own"
                )
            return (_just_made(order), True) if new else (rows.view(connection, order.id), False)

    def get(self, actor: Caller, order_id: OrderId, *, patient: bool = False) -> OrderView:
        with self._transaction(actor) as connection:
            view = rows.view(connection, OrderId(_row(connection, actor, order_id)["id"]))
            if patient:
                note(connection, "patient.read", f"orders/{view.order.id}")
            return view

    def list(self, actor: Caller, wanted: OrderFilter, limit: int, after: PageKey) -> Page[OrderView]:
        columns = (orders.c.received_at, orders.c.id)
        statement = page_of(
            select(orders).where(of_lab(orders.c.lab, actor), *_conditions(wanted)), columns, after, limit
        )
        with self._transaction(actor) as connection:
            found = connection.execute(statement).mappings().all()
        last = found[limit - 1] if len(found) > limit else None
        key = None if last is None else tuple(key_text(last[column.name]) for column in columns)
        return Page(items=tuple(rows.view_of(row) for row in found[:limit]), next=key)

    def cancel(self, actor: Caller, order_id: OrderId, etag: str) -> OrderView:
        with self._transaction(actor) as connection:
            view = _locked(connection, actor, order_id, etag)
            check_transition(view.state, OrderState.CANCELLED)
            by = Sender(application=actor.subject, facility=actor.lab)
            cancel(connection, locked(connection, order_id), by, self._notify)
            return rows.view(connection, order_id)

    def retry(self, actor: Caller, order_id: OrderId, etag: str) -> OrderView:
        with self._transaction(actor) as connection:
            view = _locked(connection, actor, order_id, etag)
            if view.state not in RETRYABLE and not controls.is_withheld(connection, view.result_id):
                allowed = "only REFUSED and DEAD, and DONE whose score is withheld"
                raise Refused(ServiceReason.ORDER_STATE, f"an order that is {view.state} can't be retried: {allowed}")
            check_transition(view.state, OrderState.QUEUED)
            rows.begin_anew(connection, order_id, view.order.request.priority)
            return rows.view(connection, order_id)


def _just_made(order: Order) -> OrderView:
    """As the row is right after its insertion: no need to read it again."""
    return OrderView(
        order=order,
        state=OrderState.QUEUED,
        attempt=0,
        reason="",
        detail="",
        progress=0.0,
        result_id=None,
        updated_at=order.received_at,
    )


def _is_reused(connection: Connection, order: Order, request: Request) -> bool:
    """Was this message's identifier given to another request? Once an order was repeated it may say what the repeat
    said.
    """
    if not rows.is_same(order.request, request):
        return True
    first = (order.request.sender, order.request.message_control_id) == (request.sender, request.message_control_id)
    return first and order.request != request and not connection.execute(_REPEATS, {"order_id": order.id}).scalar_one()


_REPEATS = select(orders.c.repeats).where(orders.c.id == bindparam("order_id"))


def _row(connection: Connection, actor: Caller, order_id: str, *, lock: bool = False) -> RowMapping:
    """Raises Refused ORDER_UNKNOWN for a text that is no UUID, for none, and for another laboratory's, alike."""
    statement = select(orders.c.id).where(orders.c.id == order_id, of_lab(orders.c.lab, actor))
    row = (
        connection.execute(statement.with_for_update() if lock else statement).mappings().first()
        if is_uuid(order_id)
        else None
    )
    if row is None:
        raise Refused(ServiceReason.ORDER_UNKNOWN, "no such order in this laboratory: check the identifier")
    return row


def _locked(connection: Connection, actor: Caller, order_id: OrderId, etag: str) -> OrderView:
    _row(connection, actor, order_id, lock=True)
    view = rows.view(connection, order_id)
    check_etag(etag, order_etag(view))
    return view


def _conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    c = orders.c
    return given(
        (wanted.marker, lambda v: c.marker == v),
        (wanted.placer_order_number, lambda v: c.placer_order_number == v),
        (wanted.container_id, lambda v: c.container_id == v),
        (wanted.states, c.state.in_),
        (wanted.priority, lambda v: c.rank == v.rank),
        (wanted.created_from, lambda v: c.received_at >= v),
        (wanted.created_until, lambda v: c.received_at < v),
    )
