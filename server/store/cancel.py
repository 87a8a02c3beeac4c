"""Orders taken back, by a call or by a message: each inside a transaction, its row locked."""

import json
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Order, OrderId, Sender
from server.domain.states import ORDER_TRANSITIONS, OrderState
from server.store import outbox
from server.store.notify import Notify, notified
from server.store.order_row import equal, message_key, number_columns, order_of, sender_of
from server.store.orders import REPEATS_KEPT
from server.store.tables import orders

CANCELLED = (str(ServiceReason.CANCELLED), "the order was cancelled: it will not be scored")


def cancel(connection: Connection, row: RowMapping, by: Sender, notify: Notify, **more: Any) -> None:
    """CANCELLED; whoever runs it loses it, and whoever else ordered it is told. `more` are columns besides.

    Raises Failed DELIVERY_FAILED (retryable) while that can't be written.
    """
    order = order_of(row)
    if not _ordered_by(row, by):
        outbox.add(connection, order, None, notified(notify, order, *CANCELLED))
    values = {"state": OrderState.CANCELLED, "token": None, "lease_until": None, "updated_at": func.now(), **more}
    _change(connection, order, values)


def cancel_by_message(connection: Connection, asked: Cancellation, notify: Notify) -> CancelOutcome:
    """Whoever asks is answered by return, alike however often the message comes, whatever became of the order since.

    Raises Refused MESSAGE_INVALID for a message that ordered it, Failed DELIVERY_FAILED as `cancel`.
    """
    rows = [row for row in _of_this_number(connection, asked) if asked.means(order_of(row))]
    if len(rows) != 1:
        return CancelOutcome(fitting=len(rows))
    row, order = rows[0], order_of(rows[0])
    known = _outcome_before(row, order, asked)
    if known is not None:
        return CancelOutcome(order=order, state=known)
    state = OrderState(row["state"])
    if OrderState.CANCELLED in ORDER_TRANSITIONS[state]:
        cancel(connection, row, asked.sender, notify, repeats=_heard(row, asked, OrderState.CANCELLED))
        return CancelOutcome(order=order, state=OrderState.CANCELLED)
    _change(connection, order, {"repeats": _heard(row, asked, state)})
    return CancelOutcome(order=order, state=state)


def locked(connection: Connection, order_id: OrderId) -> RowMapping:
    return connection.execute(select(orders).where(orders.c.id == order_id).with_for_update()).mappings().one()


def _of_this_number(connection: Connection, asked: Cancellation) -> list[RowMapping]:
    same = [orders.c.lab == asked.lab, *equal(number_columns(asked.placer_order_number))]
    statement = select(orders).where(*same, orders.c.placer_order_number != "").order_by(orders.c.id)
    return list(connection.execute(statement.with_for_update()).mappings())


def _outcome_before(row: RowMapping, order: Order, asked: Cancellation) -> OrderState | None:
    """What this very message was answered; None where it is new."""
    key = message_key(asked.sender, asked.message_control_id)
    request = order.request
    ordering = [message_key(request.sender, request.message_control_id)]
    for heard in map(json.loads, row["repeats"]):
        if heard[:3] == key and len(heard) > 3:
            return OrderState(heard[3])
        ordering.append(heard)
    if key in ordering:
        reused = "its control id was used before, for a new order: send it under one of its own"
        raise Refused(ServiceReason.MESSAGE_INVALID, reused)
    return None


def _heard(row: RowMapping, asked: Cancellation, outcome: OrderState) -> list[str]:
    message = json.dumps([*message_key(asked.sender, asked.message_control_id), outcome], ensure_ascii=False)
    return [*row["repeats"], message][-REPEATS_KEPT:]


def _ordered_by(row: RowMapping, by: Sender) -> bool:
    """By them alone: whoever repeated the order waits for its answer too."""
    senders = (sender_of(message) for message in row["repeats"])
    return order_of(row).request.sender == by and all(sender in (None, by) for sender in senders)


def _change(connection: Connection, order: Order, values: dict[str, Any]) -> None:
    connection.execute(update(orders).where(orders.c.id == order.id).values(values))
