"""INTEROP.md, jobs: the sweep runs in the server too, for while no worker is left to do it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.store.store import PostgresStore
from tests.integration.processes import ROOT, environment, logged, until
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres


def statuses(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT status::text FROM procrastinate_jobs ORDER BY id")).scalars())


def test_serve_puts_the_jobs_of_silent_workers_in_again_and_leaves_those_of_living_ones(
    engine: sa.Engine, service_url: str, tmp_path: Path
) -> None:
    for number in range(3):
        PostgresStore(engine).accept(request(number))
    with engine.begin() as connection:
        silent, living = (
            connection.execute(
                sa.text(
                    "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - "
                    "make_interval(secs => :ago)) RETURNING id"
                ),
                {"ago": ago},
            ).scalar_one()
            for ago in (120, 0)
        )
        ids = list(connection.execute(sa.text("SELECT id FROM procrastinate_jobs ORDER BY id")).scalars())
        for job, worker in ((ids[0], silent), (ids[1], living)):
            given = {"job": job, "worker": worker}
            connection.execute(
                sa.text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker WHERE id = :job"), given
            )
    assert statuses(engine) == ["doing", "doing", "todo"]
    settings = environment(
        {
            "CHROMOGEN_DATABASE_URL": service_url,
            "CHROMOGEN_DATA_FOLDER": str(tmp_path),
            "CHROMOGEN_MLLP_PORT": "0",
        }
    )
    log = tmp_path / "serve.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "server.cli.main", "serve"]
        serving = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=out, stderr=out)
    try:
        until(lambda: statuses(engine) == ["todo", "doing", "todo"], 30)
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) == 0
    logged(log)
