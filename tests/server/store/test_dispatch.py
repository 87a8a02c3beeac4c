"""procrastinate connects by every address that the service itself connects by, wakes at once, and comes back."""

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa

from server.domain.order import OrderId, Priority
from server.store import orders
from server.store.account_check import SERVICE
from server.store.database import as_role, connect, libpq_url
from server.store.dispatch import Dispatcher

pytestmark = pytest.mark.postgres

NEVER_S = 3600.0
"""Between polls: what is heard within a test was told."""


def asked_by_libpq(url: str, question: str) -> object:
    with psycopg.connect(libpq_url(url)) as connection:
        row = connection.execute(question.encode()).fetchone()
        return None if row is None else row[0]


def test_libpq_takes_the_private_database_s_address_with_its_role(database_url: str) -> None:
    assert asked_by_libpq(as_role(database_url, SERVICE), "SELECT current_user") == SERVICE


def test_libpq_takes_every_sign_of_an_address(database_url: str) -> None:
    url = f"{database_url}&application_name=a%20%2B%20b%25&options=-c%20search_path%3Dpublic%20-c%20lock_timeout%3D7s"
    assert asked_by_libpq(url, "SHOW application_name") == "a + b%"
    assert asked_by_libpq(url, "SHOW lock_timeout") == "7s"


class Woken:
    """A worker that only notes that it was woken."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def __call__(self) -> "Future[None]":
        self.heard.set()
        done: Future[None] = Future()
        done.set_result(None)
        return done


@contextmanager
def dispatching(url: str) -> Iterator[Woken]:
    woken, stop = Woken(), threading.Event()
    thread = threading.Thread(target=Dispatcher(url, woken, poll_s=NEVER_S).run, args=(stop,))
    thread.start()
    try:
        yield woken
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def listens(engine: sa.Engine) -> bool:
    """Is procrastinate's worker there?"""
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql("SELECT count(*) FROM procrastinate_workers").scalar_one())


def test_with_the_private_database_the_worker_is_woken_by_the_dispatcher_and_not_by_polling(
    engine: sa.Engine, database_url: str
) -> None:
    service = connect(as_role(database_url, SERVICE))
    with dispatching(as_role(database_url, SERVICE)) as woken:
        while not listens(engine):
            time.sleep(0.05)
        with service.begin() as connection:
            orders.defer(connection, OrderId(str(uuid.uuid4())), Priority.STAT)
        assert woken.heard.wait(30)
    service.dispose()
