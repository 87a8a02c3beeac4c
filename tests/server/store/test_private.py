"""The private PostgreSQL: real starts and stops, on short and long paths, by one process and by two."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from server.domain.errors import Refused, ServiceReason
from server.store import private
from server.store.private import PrivatePostgres

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="chromogen-test-"))
    yield made
    shutil.rmtree(made)


def answers(server: PrivatePostgres) -> bool:
    try:
        connection = psycopg2.connect(server.url.replace("+psycopg2", ""))
    except psycopg2.OperationalError:
        return False
    connection.close()
    return True


def test_it_is_shared_until_the_last_closes_and_keeps_its_data_over_kills(folder: Path) -> None:
    data = folder / "not" / "there" / "yet"
    first = private.start(data)
    connection = psycopg2.connect(first.url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n int)")
    connection.close()
    lines = ["from pathlib import Path", "from server.store import private", f"p = private.start(Path({str(data)!r}))"]
    code = "; ".join([*lines, "print('up', flush=True)", "input()"])
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert other.stdout is not None
    while other.stdout.readline().strip() != "up":
        assert other.poll() is None
    first.close()
    first.close()
    assert answers(first)
    other.send_signal(signal.SIGKILL)  # a killed user must not keep the server up for ever
    other.communicate()
    again = private.start(data)
    connection = psycopg2.connect(again.url.replace("+psycopg2", ""))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM kept")
        assert cursor.fetchone() == (0,)
    connection.close()
    os.kill(int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
    again._users.close()  # whoever had it died too
    last = private.start(data)
    assert answers(last)
    last.close()
    assert not answers(last)
    with pytest.raises(FileNotFoundError):
        (data / "postgres" / "postmaster.pid").stat()


def test_on_a_long_path_below_a_closed_folder_nobody_else_may_enter_or_list_it(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    data = closed / ("long" * 20) / ("longer" * 10)  # longer than a socket's path may be
    server = private.start(data)
    try:
        assert stat.S_IMODE((data / "postgres").stat().st_mode) == 0o700
        assert not closed.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH)
        assert answers(server)
    finally:
        server.close()
    assert not answers(server)


def test_a_data_folder_that_cannot_be_is_refused_by_the_setting_s_name(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(Refused, match="CHROMOGEN_DATA_FOLDER") as refused:
        private.start(folder / "file" / "data")
    assert refused.value.reason == ServiceReason.SETTING_INVALID
