"""Orders that no worker ends any more: whose last permitted worker vanished, or whose end couldn't be told when it came.

Each function is called inside a transaction and commits nothing itself.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, literal, select, update

from server.domain.errors import ServiceReason
from server.domain.order import Order, OrderId
from server.domain.ports import Claim
from server.domain.states import State
from server.store.orders import change, ended, is_spent, order_of
from server.store.tables import orders

RETELL_S = 30.0
"""Between two tries to tell: meanwhile such an order is due to nobody, and holds up no other."""

_LATER = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, literal(RETELL_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """An order that is to end so: reason, and a line for a person."""

    order: Order
    state: State
    reason: str
    detail: str


def keep_end(connection: Connection, claim: Claim, state: State, reason: str, detail: str) -> None:
    """Note the end that can't be told yet; the order is `spent` in `RETELL_S`, and nobody computes it again.

    Raises Failed ATTEMPT_LOST.
    """
    change(connection, claim, {"ending": state, "reason": reason, "detail": detail, "lease_until": _LATER})


def spent(connection: Connection, order_id: OrderId, max_attempts: int) -> Spent | None:
    """The order, if it is so: a slide that takes its worker down must not take another, for ever."""
    row = connection.execute(select(orders).where(orders.c.id == order_id, is_spent(max_attempts))).mappings().first()
    if row is None:
        return None
    if row["ending"] is not None:
        return Spent(order=order_of(row), state=State(row["ending"]), reason=row["reason"], detail=row["detail"])
    detail = f"no worker lived through the case in {max_attempts} attempts"
    return Spent(order=order_of(row), state=State.DEAD, reason=ServiceReason.WORKER_LOST, detail=detail)


def postpone(connection: Connection, found: Spent, max_attempts: int) -> None:
    """It is `spent` again in `RETELL_S`."""
    condition = (orders.c.id == found.order.id, is_spent(max_attempts))
    connection.execute(update(orders).where(*condition).values(lease_until=_LATER))


def bury(connection: Connection, found: Spent, max_attempts: int) -> bool:
    """End it, if it is still `spent`; whether it was."""
    values = ended(found.state) | {"reason": found.reason, "detail": found.detail, "updated_at": func.now()}
    condition = (orders.c.id == found.order.id, orders.c.run == found.order.run, is_spent(max_attempts))
    return connection.execute(update(orders).where(*condition).values(values)).rowcount == 1
