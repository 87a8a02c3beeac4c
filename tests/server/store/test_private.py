"""The private PostgreSQL: real starts and stops, on short and long paths, by one process and by two."""

import os
import pwd
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

from server.domain.errors import Failed, Refused, ServiceReason
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


def another(data: Path, *before: str, account: int | None = None) -> "subprocess.Popen[str]":
    """Another process that starts or joins the server, says `up`, and holds on to it until its input ends."""
    lines = [
        "import os, psycopg2",
        "from psycopg2 import errors",
        "from pathlib import Path",
        "from server.store import private",
    ]
    if account is not None:  # after the imports: the account may not be let into where Python lies
        lines += ["os.setgroups([])", f"os.setgid({account})", f"os.setuid({account})"]
    lines += [f"p = private.start(Path({str(data)!r}))", "print('up', flush=True)", "input()", "p.close()"]
    return subprocess.Popen(
        [*before, sys.executable, "-c", "; ".join(lines)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_it_is_shared_until_the_last_closes_and_keeps_its_data_over_kills(folder: Path) -> None:
    data = folder / "not" / "there" / "yet"
    first = private.start(data)
    connection = psycopg2.connect(first.url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n int)")
    connection.close()
    other = another(data)
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


def test_while_one_process_of_a_killed_server_lives_no_second_is_started(folder: Path) -> None:
    """Two servers on one folder would destroy it."""
    data = folder / "data"
    server = private.start(data)
    connection = psycopg2.connect(server.url.replace("+psycopg2", ""))
    main = int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    backend = connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)  # it doesn't notice that the main process is gone
    os.kill(main, signal.SIGKILL)
    server._users.close()
    joining = another(data)
    with pytest.raises(subprocess.TimeoutExpired):
        joining.wait(3)
    assert (data / "postgres" / "postmaster.pid").read_text().splitlines()[0] == str(main)
    os.kill(backend, signal.SIGKILL)
    assert joining.stdout is not None
    assert joining.stdout.readline().strip() == "up"
    assert (data / "postgres" / "postmaster.pid").read_text().splitlines()[0] != str(main)
    joining.communicate("\n")
    assert joining.returncode == 0
    connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes itself a container")
def test_from_another_container_a_living_server_is_neither_taken_for_dead_nor_stopped(folder: Path) -> None:
    """There /proc doesn't show it, and its number is another process's, or nobody's."""
    data = folder / "data"
    server = private.start(data)
    try:
        elsewhere = another(data, "unshare", "--pid", "--fork", "--mount-proc")
        _, said = elsewhere.communicate(timeout=90)
        if "unshare:" in said:
            pytest.skip("no container can be made here")
        assert "run from another container" in said
        assert "SETTING_INVALID" in said
        assert answers(server)
    finally:
        server.close()
    assert not answers(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has processes of two accounts")
def test_a_second_account_is_refused_and_the_first_s_server_lives_on(folder: Path) -> None:
    """Neither may look into the other's processes; the folder is open to both."""
    folder.chmod(0o777)
    data = folder / "data"
    data.mkdir()
    data.chmod(0o777)
    first, second = (pwd.getpwnam(name).pw_uid for name in ("nobody", "daemon"))
    for name in ("postgres.lock", "postgres.users", "postgres.alive"):
        (data / name).touch()
        (data / name).chmod(0o666)
    holder = another(data, account=first)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "up", holder.communicate()[1]
    main = int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    _, said = another(data, account=second).communicate(timeout=90)
    assert "belongs to another account" in said
    assert Path(f"/proc/{main}").exists()
    holder.communicate("\n")
    assert holder.returncode == 0
    assert not Path(f"/proc/{main}/cwd").exists()


def test_what_a_program_of_postgresql_said_is_in_the_error(tmp_path: Path) -> None:
    """A folder that holds something is none for a database; `server.log` says nothing of it."""
    (tmp_path / "theirs").write_text("")
    with pytest.raises(Failed) as refused:
        private._initialise(tmp_path, None)
    assert refused.value.reason == ServiceReason.DATABASE_UNREACHABLE
    assert "initdb" in refused.value.message
    assert "error" in refused.value.message
