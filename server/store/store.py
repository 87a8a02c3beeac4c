"""`ports.Store` on PostgreSQL: each method one transaction, committed on return."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine, exc

from server.domain.errors import Refused, ServiceReason
from server.domain.order import Order, OrderId, Request
from server.domain.ports import Claim, Delivery, OrderView
from server.domain.profile import Profile
from server.domain.result import Result, ResultId
from server.domain.states import MAX_ATTEMPTS, State
from server.store import orders, outbox, profiles, results
from server.store.database import transaction

WORKER = "worker"
"""What the audit calls whoever runs cases."""


class PostgresStore:
    """Every method raises Failed DATABASE_UNREACHABLE (retryable) or DATABASE_FAILED beside what it names itself."""

    def __init__(self, engine: Engine, *, max_attempts: int = MAX_ATTEMPTS, stat_only: bool = False) -> None:
        """`stat_only`: of a worker that is kept for urgent orders; to it no other is due."""
        self._engine, self._max_attempts, self._stat_only = engine, max_attempts, stat_only

    def accept(self, request: Request) -> tuple[Order, bool]:
        """Raises Refused MESSAGE_INVALID for text that PostgreSQL can't hold (a NUL character), and for reused identifiers."""
        try:
            with transaction(self._engine, lab=request.lab, subject=request.sender) as connection:
                try:
                    order, new = orders.accept(connection, request)
                except exc.DataError:
                    raise _unkeepable() from None
        except ValueError:
            raise _unkeepable() from None
        orders.check_same(order.request, request)
        return order, new

    def claim(self, order_id: OrderId, lease_s: float) -> Claim | None:
        with transaction(self._engine, subject=WORKER) as connection:
            return orders.claim(connection, order_id, lease_s, self._max_attempts)

    def progress(self, claim: Claim, share: float, lease_s: float) -> None:
        with self._of(claim) as connection:
            orders.progress(connection, claim, share, lease_s)

    def finish(self, claim: Claim, result: Result, deliveries: Sequence[Delivery]) -> None:
        """Raises Failed ATTEMPT_LOST; Failed DELIVERY_FAILED when a file to be sent is missing. Nothing is half-written."""
        digests = [outbox.digest(delivery.path) for delivery in deliveries]
        with self._of(claim) as connection:
            orders.finish(connection, claim, result.id)
            results.add(connection, result, claim.order.request.lab)
            outbox.add(connection, result.id, claim.order.request.lab, list(zip(deliveries, digests, strict=True)))

    def end(self, claim: Claim, state: State, reason: str, detail: str, deliveries: Sequence[Delivery] = ()) -> State:
        """Raises Failed ATTEMPT_LOST; Failed DELIVERY_FAILED when a file to be sent is missing. Nothing is half-written."""
        digests = [outbox.digest(delivery.path) for delivery in deliveries]
        with self._of(claim) as connection:
            reached = orders.end(connection, claim, state, reason, detail, self._max_attempts)
            outbox.add(connection, None, claim.order.request.lab, list(zip(deliveries, digests, strict=True)))
            return reached

    def release(self, claim: Claim) -> None:
        with self._of(claim) as connection:
            orders.release(connection, claim)

    def order(self, order_id: OrderId) -> OrderView:
        with transaction(self._engine) as connection:
            return orders.view(connection, order_id)

    def orders(self, limit: int = 50) -> list[OrderView]:
        with transaction(self._engine) as connection:
            return orders.newest(connection, limit)

    def due(self, limit: int = 10) -> list[OrderId]:
        with transaction(self._engine) as connection:
            return orders.due(connection, limit, stat_only=self._stat_only)

    def profiles(self, lab: str, marker: str) -> list[Profile]:
        with transaction(self._engine, lab=lab) as connection:
            return profiles.fitting(connection, lab, marker)

    def add_profile(self, profile: Profile) -> None:
        with transaction(self._engine, lab=profile.key.lab) as connection:
            profiles.add(connection, profile)

    def result(self, result_id: ResultId) -> Result:
        with transaction(self._engine) as connection:
            return results.get(connection, result_id)

    def _of(self, claim: Claim) -> AbstractContextManager[Connection]:
        return transaction(self._engine, lab=claim.order.request.lab, subject=WORKER)


def _unkeepable() -> Refused:
    return Refused(ServiceReason.MESSAGE_INVALID, "the order holds a character that can't be kept (NUL)")
