"""A receiver of deliveries that fails and hangs as it is told, and looks at the outbox's rows."""

import threading
import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from server.domain.errors import Failed, ServiceReason
from server.domain.ports import Delivery
from server.store.outbox import Channel, PostgresOutbox
from tests.server.store.invented import request

LIS = Channel(destination="lis", lab=request().lab)

Queue = Callable[..., None]
"""The fixture: an order finished, with a delivery to each of the destinations named."""


class Peer:
    """Takes deliveries, unless told to fail; keeps what it took and how often it was asked."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, bytes]] = []
        self.asked: list[str] = []
        self.failing: dict[str, Failed] = {}
        self.slow: dict[str, float] = {}
        self.held: dict[str, threading.Event] = {}
        """Destinations that hang until their event is set."""
        self.failing_ids: dict[str, Failed] = {}
        self.held_ids: dict[str, threading.Event] = {}
        """The same, of single messages."""

    def __call__(self, delivery: Delivery) -> None:
        self.asked.append(delivery.destination)
        if delivery.destination in self.held:
            self.held[delivery.destination].wait()
        time.sleep(self.slow.get(delivery.destination, 0))
        if delivery.message_id in self.held_ids:
            self.held_ids[delivery.message_id].wait()
        for failing, key in ((self.failing, delivery.destination), (self.failing_ids, delivery.message_id)):
            if key in failing:
                raise failing[key]
        self.taken.append((delivery.destination, delivery.message_id, delivery.path.read_bytes()))

    def rested(self, outbox: PostgresOutbox) -> None:
        """As if the rest of a destination that was silent were over."""
        outbox._answering._silent = dict.fromkeys(outbox._answering._silent, 0.0)

    def ids(self, destination: str) -> list[str]:
        return [message for to, message, _ in self.taken if to == destination]


DOWN = Failed(ServiceReason.DELIVERY_FAILED, "the peer is down", retryable=True)
ERROR = Failed(ServiceReason.RECEIVER_ERROR, "the peer answered AE", retryable=True)
REJECTED = Failed(ServiceReason.DELIVERY_FAILED, "the peer rejects it")


def run(engine: sa.Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql)


def states(engine: sa.Engine) -> Sequence[str]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT state FROM outbox ORDER BY id").scalars())
