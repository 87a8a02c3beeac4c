"""Orders that no worker ends any more: whose last permitted worker vanished, or whose end couldn't be told when it
came.

Each function is called inside a transaction and commits nothing itself.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, literal, select, update

from server.domain.errors import ServiceReason
from server.domain.order import Order, OrderId
from server.domain.ports import Claim
from server.domain.states import OrderState
from server.store.order_row import order_of
from server.store.orders import change, ended, is_abandoned
from server.store.tables import orders

NOTIFY_AGAIN_S = 30.0
"""Between two tries to notify: meanwhile such an order is due to nobody, and holds up no other."""

_LATER = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, literal(NOTIFY_AGAIN_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """An order that is to end so: reason, and a line for a person."""

    order: Order
    state: OrderState
    reason: str
    detail: str


def keep_end(connection: Connection, claim: Claim, state: OrderState, reason: str, detail: str) -> None:
    """Note the end that can't be told yet; the order is `found` in `NOTIFY_AGAIN_S`, and nobody computes it again.

    Raises Failed ATTEMPT_LOST.
    """
    change(connection, claim, {"ending": state, "reason": reason, "detail": detail, "lease_until": _LATER})


def found(connection: Connection, order_id: OrderId, max_attempts: int) -> Abandoned | None:
    """The order, if it is so: a slide that takes its worker down must not take another, for ever."""
    row = (
        connection.execute(select(orders).where(orders.c.id == order_id, is_abandoned(max_attempts))).mappings().first()
    )
    if row is None:
        return None
    if row["ending"] is not None:
        return Abandoned(
            order=order_of(row), state=OrderState(row["ending"]), reason=row["reason"], detail=row["detail"]
        )
    detail = f"no worker lived through the case in {max_attempts} attempts"
    return Abandoned(order=order_of(row), state=OrderState.DEAD, reason=ServiceReason.WORKER_LOST, detail=detail)


def postpone(connection: Connection, which: Abandoned, max_attempts: int) -> None:
    """It is `found` again in `NOTIFY_AGAIN_S`."""
    condition = (orders.c.id == which.order.id, is_abandoned(max_attempts))
    connection.execute(update(orders).where(*condition).values(lease_until=_LATER))


def end(connection: Connection, which: Abandoned, max_attempts: int) -> bool:
    """End it, if it is still `found`; whether it was."""
    values = ended(which.state) | {"reason": which.reason, "detail": which.detail, "updated_at": func.now()}
    condition = (orders.c.id == which.order.id, orders.c.run == which.order.run, is_abandoned(max_attempts))
    return connection.execute(update(orders).where(*condition).values(values)).rowcount == 1
