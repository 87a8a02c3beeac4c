"""What the tests of orders' ends begin with."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from server.store.store import PostgresStore
from tests.server.store.hospital import Hospital, notify_in


@pytest.fixture
def hospital(engine: sa.Engine, tmp_path: Path) -> Hospital:
    return Hospital(store=PostgresStore(engine, notify=notify_in(tmp_path)), engine=engine, folder=tmp_path)
