"""Intake by HL7 loses nothing and takes nothing twice: `serve` killed, its database gone.

INTEROP.md R-1, R-2, R-3, R-10.
"""

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.demo.lis import order_message
from tests.integration.processes import OwnPostgres, Serving, until

pytestmark = pytest.mark.postgres

SOAK = bool(os.environ.get("SOAK"))
MESSAGES, KILLS, SENDERS = (10_000, 60, 4) if SOAK else (300, 3, 4)
SEED = 1


@pytest.fixture
def serving(service_url: str, tmp_path: Path) -> Iterator[Serving]:
    made = Serving(url=service_url, folder=tmp_path)
    made.start()
    yield made
    made.kill()


def message(number: int, *, placer: int | None = None) -> bytes:
    """An order of its own, or, under a number of its own, the order `placer` again."""
    order = number if placer is None else placer
    return order_message(placer_number=f"P{order}", marker="ER", control_id=f"M{number}", container_id=f"C{order}")


def values(engine: sa.Engine, statement: str) -> list[object]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(statement).scalars())


@pytest.mark.timeout(3600 if SOAK else 200)
def test_r1_of_orders_sent_while_serve_is_killed_none_is_lost_and_none_is_there_twice(
    serving: Serving, engine: sa.Engine
) -> None:
    answers: Counter[str] = Counter()
    done, given_up, chance = threading.Semaphore(0), threading.Event(), random.Random(SEED)

    def send_until_taken(number: int) -> None:
        while not given_up.is_set() and (answer := serving.send(message(number))) != "AA":
            answers[answer] += 1
        done.release()

    with ThreadPoolExecutor(SENDERS) as pool:
        sent = [pool.submit(send_until_taken, number) for number in range(MESSAGES)]
        try:
            for _ in range(KILLS):
                for _ in range(chance.randrange(MESSAGES // KILLS)):
                    done.acquire()
                serving.kill()
                serving.start()
            wait(sent)
        except BaseException:
            given_up.set()  # or the senders would go on for ever, and the test with them
            raise
    assert values(engine, "SELECT count(DISTINCT message_control_id) FROM orders") == [MESSAGES]
    assert values(engine, "SELECT count(*) FROM orders") == [MESSAGES]
    assert values(engine, "SELECT count(*) FROM procrastinate_jobs") == [MESSAGES]
    assert values(engine, "SELECT count(*) FROM audit WHERE action = 'order.accept'") == [MESSAGES]
    assert set(answers) <= {"", "AE"}


def test_r3_the_same_message_at_once_and_the_same_order_in_another_message_make_one_order(
    serving: Serving, engine: sa.Engine
) -> None:
    with ThreadPoolExecutor(10) as pool:
        same = list(pool.map(lambda _: serving.send(message(1)), range(20)))
        again = list(pool.map(lambda i: serving.send(message(100 + i, placer=1)), range(10)))
    assert set(same) == set(again) == {"AA"}
    assert values(engine, "SELECT message_control_id FROM orders") == ["M1"]
    assert values(engine, "SELECT count(*) FROM procrastinate_jobs") == [1]


def test_r2_without_its_database_no_order_is_said_to_be_taken_and_with_it_intake_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    database = OwnPostgres()
    database.stop("fast")
    serving = Serving(url=database.url, folder=tmp_path)
    serving.start()  # before its database
    try:
        for round_, how in enumerate(("immediate", "fast")):
            assert {serving.send(message(number)) for number in range(10 * round_, 10 * round_ + 4)} <= {"AE", ""}
            database.start()
            until(lambda: serving.send(message(0)) == "AA", 10)
            database.stop(how)
        database.start()
        until(lambda: serving.send(message(1)) == "AA", 10)
        engine = sa.create_engine(database.owner_url)
        assert values(engine, "SELECT message_control_id FROM orders ORDER BY received_at") == ["M0", "M1"]
        engine.dispose()
        serving.stop()
    finally:
        serving.kill()
        database.close()
