"""A cancelled order stops its worker within seconds, and nothing of it is kept."""

import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from server.domain.access import Caller, Role
from server.domain.ports import Claim
from server.domain.states import OrderState
from server.store.database import connect
from server.store.order_repository import PostgresOrderRepository
from server.store.outbox import PostgresOutbox
from server.store.store import PostgresStore
from server.worker import Worker
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres


@pytest.fixture
def service(service_url: str) -> Iterator[sa.Engine]:
    made = connect(service_url)
    yield made
    made.dispose()


def test_a_worker_whose_order_is_cancelled_is_free_within_seconds(service: sa.Engine) -> None:
    store, repository = PostgresStore(service), PostgresOrderRepository(service)
    order, _ = store.accept(request(lab="LAB"))
    begun = threading.Event()

    def run_case(claim: Claim) -> None:
        """Tiles, of a slide without end."""
        while True:
            store.progress(claim, 0.5, 60)
            begun.set()
            time.sleep(0.05)

    worker = Worker(store, PostgresOutbox(service, lambda _: None), run_case, lease_s=60, poll_s=1)
    thread = threading.Thread(target=worker.step)
    thread.start()
    assert begun.wait(10)
    repository.cancel(Caller(subject="lis", lab="LAB", roles=frozenset({Role.LIS})), order.id, "")
    thread.join(5)
    assert not thread.is_alive()
    view = store.order(order.id)
    assert (view.state, view.result_id) == (OrderState.CANCELLED, None)
