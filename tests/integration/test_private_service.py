"""`serve` and `work` as they are started without any setting, on the private database (issue 'Outages, neighbours and
attackers', 2a): procrastinate connects, wakes the worker at once, and nothing breaks half a minute later.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.demo.lis import order_message
from server.domain.states import OrderState
from server.hl7.sender import send
from server.store import private
from server.store.database import connect
from tests.integration.processes import ROOT, environment, events, logged, until

pytestmark = pytest.mark.postgres

UP_S = 40.0
"""The pool of a dispatcher that can't connect gives up, and complains, after 30 s."""
POLL_S = 600.0
"""Whoever finds an order within the test was told of it."""


@pytest.fixture
def data() -> Iterator[Path]:
    """Not in pytest's own folder, which is closed to the account that PostgreSQL has when we are root."""
    made = Path(tempfile.mkdtemp(prefix="chromogen-test-"))
    yield made / "data"
    shutil.rmtree(made)


@contextmanager
def process(command: str, data: Path, event: str) -> Iterator[Path]:
    """A command on the private database, and its log."""
    settings = {
        "CHROMOGEN_DATA_FOLDER": str(data),
        "CHROMOGEN_MLLP_PORT": "0",
        "CHROMOGEN_WORKER_POLL_S": str(POLL_S),
        "CHROMOGEN_ARCHIVE_WAIT_S": "0",
    }
    log = data.parent / f"{command}.log"
    with log.open("wb") as out:
        started = [sys.executable, "-m", "server.cli.main", command]
        running = subprocess.Popen(started, cwd=ROOT, env=environment(settings), stdout=out, stderr=out)
        try:
            until(lambda: running.poll() is not None or bool(events(log, event)), 60)
            yield log
            assert running.poll() is None
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(30)
    assert running.returncode == 0, log.read_text()


@contextmanager
def inside(data: Path) -> Iterator[sa.Engine]:
    """The private database, which runs already."""
    joined = private.start(data)
    engine = connect(joined.url)
    try:
        yield engine
    finally:
        engine.dispose()
        joined.close()


def values(engine: sa.Engine, question: str) -> list[object]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(question).scalars())


def test_2a_a_worker_hears_of_an_order_at_once_and_all_threads_live_on(data: Path) -> None:
    (data / "archive").mkdir(parents=True)
    with ExitStack() as stack:
        serving = stack.enter_context(process("serve", data, "serving"))
        working = stack.enter_context(process("work", data, "worker_started"))
        up = time.monotonic()
        engine = stack.enter_context(inside(data))
        until(lambda: values(engine, "SELECT count(*) FROM procrastinate_workers") == [1], 20)
        (said,) = events(serving, "serving")
        message = order_message(placer_number="P1", marker="ER", control_id="M1", container_id="NO-SUCH-SLIDE")
        send(message, host="127.0.0.1", port=int(str(said["mllp_port"])), timeout_s=20)
        until(lambda: values(engine, "SELECT state FROM orders") == [OrderState.REFUSED], 30)
        assert values(engine, "SELECT reason FROM orders") == ["SLIDE_NOT_FOUND"]
        time.sleep(max(0.0, UP_S - (time.monotonic() - up)))
    lines = [*logged(serving), *logged(working)]
    assert [line for line in lines if line["level"] in ("error", "critical")] == []
    assert not {str(line["event"]) for line in lines} & {"dispatcher_waits", "sweep_failed", "thread_ended", "library"}
    assert events(serving, "audit_head") == []  # of an audit that was empty at its start
