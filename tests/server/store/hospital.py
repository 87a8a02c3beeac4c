"""A store and its LIS: what the LIS was told, and how orders come to their ends."""

from dataclasses import dataclass, replace
from pathlib import Path

import hl7
import sqlalchemy as sa

from server.domain.access import Caller, Role
from server.domain.artifact import ArtifactKind
from server.domain.events import Route
from server.domain.order import Order, OrderId, Priority
from server.domain.ports import Claim, Delivery
from server.domain.states import OrderState
from server.hl7.reporter import OruReporter
from server.reporting import Reporting
from server.store.notify import Notify
from server.store.order_repository import PostgresOrderRepository
from server.store.outbox import PostgresOutbox
from server.store.store import PostgresStore
from server.worker import Worker
from tests.server.store.invented import request, result

OPERATOR = Caller(subject="operator", lab="LAB", roles=frozenset({Role.OPERATOR}))
AGAIN = replace(request(1), message_control_id="AGAIN", priority=Priority.STAT)
"""The same order in a message of its own, and urgent."""


@dataclass(frozen=True)
class Hospital:
    """A store that tells its LIS, and what the LIS was told: (MSH-10, OBR-25, reason)."""

    store: PostgresStore
    engine: sa.Engine
    folder: Path

    @property
    def orders(self) -> PostgresOrderRepository:
        return PostgresOrderRepository(self.engine, self.tell)

    @property
    def tell(self) -> Notify:
        return notify_in(self.folder)

    @property
    def notified(self) -> list[tuple[str, str, str]]:
        heard: list[tuple[str, str, str]] = []

        def lis(delivery: Delivery) -> None:
            message = hl7.parse(delivery.path.read_bytes().decode())
            reasons = [str(obx[5]) for obx in message.segments("OBX") if str(obx[3]).startswith("REFUSAL")]
            heard.append((str(message.segment("MSH")[10]), str(message.segment("OBR")[25]), *reasons))  # type: ignore[arg-type]

        with self.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE outbox SET state = 'WAITING'")
        PostgresOutbox(self.engine, lis).send_due()
        return heard

    def ended(self, state: OrderState, number: int = 1) -> Order:
        """An order that came to this state."""
        order, _ = self.store.accept(request(number))
        self.end(order, state)
        assert self.store.order(order.id).state is state
        return order

    def end(self, order: Order, state: OrderState) -> None:
        if state is OrderState.CANCELLED:
            self.orders.cancel(OPERATOR, order.id, "")
            return
        claim = None if state is OrderState.QUEUED else self.claim(order.id)
        if claim is not None and state is OrderState.DONE:
            self.store.finish(claim, result(order.id, seed=order.run), [])
        elif claim is not None and state is not OrderState.RUNNING:
            self.store.end(claim, state, "NO_TISSUE", "no tissue was found")

    def claim(self, order_id: OrderId, lease_s: float = 60) -> Claim:
        claim = self.store.claim(order_id, lease_s)
        assert claim is not None
        return claim


def notify_in(folder: Path) -> Notify:
    """What tells the LIS of orders that end without a result, its messages kept in `folder`."""
    return Reporting([OruReporter(folder)], [Route(artifacts=frozenset({ArtifactKind.ORU}), to=("lis",))]).notify


def make_due(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET due_at = now()")


def lapse(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET lease_until = now() - interval '1 s' WHERE state = 'RUNNING'")


def worked_by(hospital: Hospital, error: Exception) -> bool:
    def run_case(_: Claim) -> None:
        raise error

    return Worker(
        hospital.store, PostgresOutbox(hospital.engine, lambda _: None), run_case, lease_s=60, poll_s=0.1
    ).step()


def fails_thrice(hospital: Hospital, order: Order) -> None:
    for _ in range(3):
        make_due(hospital.engine)
        hospital.store.end(hospital.claim(order.id), OrderState.QUEUED, "ENGINE_FAILED", "out of memory")
