"""What the tests of orders' ends and of the outbox begin with."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from server.domain.artifact import ArtifactKind
from server.domain.ports import Delivery
from server.store.store import PostgresStore
from tests.server.store.hospital import Hospital, notify_in
from tests.server.store.invented import request, result
from tests.server.store.peer import Peer, Queue


@pytest.fixture
def hospital(engine: sa.Engine, tmp_path: Path) -> Hospital:
    return Hospital(store=PostgresStore(engine, notify=notify_in(tmp_path)), engine=engine, folder=tmp_path)


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def queue(engine: sa.Engine, tmp_path: Path) -> Queue:
    store = PostgresStore(engine)
    made = iter(range(10_000))

    def put(*destinations: str) -> None:
        number = next(made)
        claim = store.claim(store.accept(request(number))[0].id, 60)
        assert claim is not None
        deliveries = []
        for i, destination in enumerate(destinations):
            path = tmp_path / f"{number}-{i}"
            path.write_bytes(f"bytes of {number}-{i}".encode())
            deliveries.append(
                Delivery(kind=ArtifactKind.ORU, destination=destination, path=path, message_id=f"{number}-{i}")
            )
        store.finish(claim, result(claim.order.id, seed=number), deliveries)

    return put
