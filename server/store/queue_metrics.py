"""The state of the database as Prometheus asks for it: what waits, how long already, and what is dead. Asked at each
scrape.

Every `serve` gives the same numbers, since there is one database: take the greatest, not the sum.
"""

from collections.abc import Iterable
from datetime import datetime

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection, DateTime, Double, Engine, Label, cast, func, select
from sqlalchemy.sql import ColumnElement

from server.domain.errors import OUTAGES, SLIDE_TO_COME, Failed
from server.domain.states import LIVE, DeliveryState, OrderState
from server.store.database import transaction
from server.store.tables import orders, outbox


def _age_s(since: ColumnElement[datetime]) -> Label[float]:
    """Of the oldest."""
    return cast(func.extract("epoch", func.now() - func.min(since, type_=DateTime)), Double).label("oldest_s")


ORDERS = (
    select(orders.c.state, orders.c.priority, func.count().label("n"), _age_s(orders.c.begun_at))
    .where(orders.c.state.in_(LIVE))
    .group_by(orders.c.state, orders.c.priority)
)
HELD_UP = (
    select(orders.c.reason, func.count().label("n"))
    .where(orders.c.state == OrderState.QUEUED, orders.c.reason.in_(sorted(OUTAGES | SLIDE_TO_COME)))
    .group_by(orders.c.reason)
    .order_by(orders.c.reason)
)
"""Orders that wait for what is away, or for their slide."""
WAITING = (
    select(outbox.c.destination, func.count().label("n"), _age_s(outbox.c.created_at))
    .where(outbox.c.state == DeliveryState.WAITING)
    .group_by(outbox.c.destination)
)
DEAD = (
    select(outbox.c.destination, func.count().label("n"))
    .where(outbox.c.state == DeliveryState.DEAD)
    .group_by(outbox.c.destination)
)
"""Each is answered from an index of just those rows: the tables may hold years."""

log = structlog.get_logger()


class QueueMetrics(Collector):
    """Of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is asked before the first scrape."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Where the database doesn't answer, that alone is said."""
        try:
            with transaction(self._engine) as connection:
                found = list(_families(connection))
        except Failed as error:
            log.warning("metrics_without_database", reason=str(error.reason))
            found = []
        up = GaugeMetricFamily(
            "chromogen_database_up", "Did the database answer this scrape?", value=float(bool(found))
        )
        return [up, *found]


def outages(connection: Connection) -> list[tuple[str, int]]:
    """By reason, how many orders wait for what is away, or for their slide."""
    return [(row.reason, row.n) for row in connection.execute(HELD_UP)]


def _families(connection: Connection) -> Iterable[GaugeMetricFamily]:
    orders = GaugeMetricFamily("chromogen_orders", "Orders that wait or run.", labels=["state", "priority"])
    oldest = GaugeMetricFamily(
        "chromogen_orders_oldest_seconds", "Age of the oldest of them.", labels=["state", "priority"]
    )
    for row in connection.execute(ORDERS):
        orders.add_metric([row.state, row.priority], row.n)
        oldest.add_metric([row.state, row.priority], row.oldest_s)
    held_up = GaugeMetricFamily(
        "chromogen_orders_held_up", "Orders that wait for what is away, or for their slide.", labels=["reason"]
    )
    for reason, n in outages(connection):
        held_up.add_metric([reason], n)
    waiting = GaugeMetricFamily("chromogen_outbox_waiting", "Deliveries that wait.", labels=["destination"])
    age = GaugeMetricFamily(
        "chromogen_outbox_oldest_seconds", "Age of the oldest delivery that waits.", labels=["destination"]
    )
    for row in connection.execute(WAITING):
        waiting.add_metric([row.destination], row.n)
        age.add_metric([row.destination], row.oldest_s)
    dead = GaugeMetricFamily(
        "chromogen_outbox_dead", "Deliveries that were given up: replay them.", labels=["destination"]
    )
    for row in connection.execute(DEAD):
        dead.add_metric([row.destination], row.n)
    return orders, oldest, held_up, waiting, age, dead
