"""What the tests of orders' ends begin with."""

from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.hl7.refusal import refusal_to
from server.store.store import PostgresStore
from tests.server.store.hospital import Hospital


@pytest.fixture
def hospital(engine: sa.Engine, tmp_path: Path) -> Hospital:
    tell = partial(refusal_to, folder=tmp_path, destination="lis")
    return Hospital(store=PostgresStore(engine, notify=tell), engine=engine, folder=tmp_path)
