"""Real processes of an installation for the tests of reliability: `serve`, light workers that are born by the dozen,
PostgreSQL.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from server.hl7.er7 import END, START
from server.store import private
from server.store.migrate import migrate
from tests import quick_postgres
from tests.conftest import ACCOUNT, execute

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
PASSWORDS = {f"{who}_PASSWORD": "invented" for who in ("MIGRATE", "SERVE", "WORK", "AUDIT", "SCALE")}


def until(what: Callable[[], bool], within_s: float) -> float:
    """Seconds until `what`; fails after `within_s`."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CHROMOGEN_")}
    return own | {"OMP_NUM_THREADS": "1", "CHROMOGEN_LOG_FORMAT": "json"} | dict(settings)


@dataclass(slots=True, kw_only=True)
class Serving:
    """`chromogen serve` on a port of its own, which outlives kills."""

    url: str
    folder: Path
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    more: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> None:
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        settings = {
            "CHROMOGEN_DATABASE_URL": self.url,
            "CHROMOGEN_DATA_FOLDER": str(self.folder),
            "CHROMOGEN_MLLP_PORT": str(self.port),
            **self.more,
        }
        command = [sys.executable, "-m", "server.cli.main", "serve"]
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment(settings), stdout=log, stderr=log)
        until(self.answers, START_S)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "serve.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """It ends by itself after SIGTERM, within its grace."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        logged(self.folder / "serve.log")

    def send(self, message: bytes, *, timeout_s: float = 20) -> str:
        """MSA-1 of the answer; empty where there was none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
                connection.sendall(START + message + END)
                seen = b""
                while END not in seen:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return ""
                    seen += chunk
        except OSError:
            return ""
        return next((s.split(b"|")[1].decode() for s in seen.split(b"\r") if s.startswith(b"MSA")), "")


@dataclass(slots=True, kw_only=True)
class Nursery:
    """Forks workers (tests/integration/worker_process.py) from a process that has imported everything already."""

    process: "subprocess.Popen[str]"
    log: Path
    alive: list[int] = field(default_factory=list)

    @staticmethod
    def of(url: str, folder: Path, *, lease_s: float, seconds: float) -> "Nursery":
        arguments = [url, str(folder), str(lease_s), str(seconds)]
        with (folder / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.nursery", *arguments],
                cwd=ROOT,
                env=environment({}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return Nursery(process=process, log=folder / "log")

    def bear(self) -> int:
        """The number of a new worker process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.alive.append(int(self.process.stdout.readline()))
        return self.alive[-1]

    def kill(self, number: int) -> None:
        os.kill(number, signal.SIGKILL)
        self.alive.remove(number)

    def close(self) -> None:
        for number in list(self.alive):
            self.kill(number)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        logged(self.log)


def program(name: str, *arguments: str, url: str) -> None:
    """Run one of PostgreSQL's programs on a database."""
    parts = urlsplit(url.replace("+psycopg2", ""))
    where = {"PGHOST": parse_qs(parts.query)["host"][0], "PGUSER": parts.username or "", "PGDATABASE": parts.path[1:]}
    subprocess.run(
        [private._programs() / name, *arguments], check=True, env=os.environ | PASSWORDS | where, capture_output=True
    )


def hospital_postgres() -> "OwnPostgres":
    """A database whose accounts deploy/roles.sql made, and nobody else, migrated by the account for it."""
    made = OwnPostgres(migrated=False)
    roles = ROOT / "deploy" / "roles.sql"
    program("psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={roles}", url=made.owner_url)
    migrate(made.url_as("chromogen_migrate"))
    return made


class OwnPostgres:
    """A PostgreSQL of one test's own, to be stopped, started and frozen."""

    def __init__(self, *, migrated: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chromogen-test-"))
        self._running = quick_postgres.start(self.folder)
        self.owner_url = self._running.url
        self.url = self.url_as(ACCOUNT)
        if migrated:
            migrate(self.owner_url)
            execute(self.owner_url, f"CREATE ROLE {ACCOUNT} LOGIN IN ROLE chromogen_service")

    def url_as(self, account: str) -> str:
        return self.owner_url.replace("//chromogen@", f"//{account}@")

    def stop(self, how: str = "immediate") -> None:
        self._control("stop", "-m", how)

    def start(self) -> None:
        private._start(self._data, self._data, private._account(self._data))

    def freeze(self, seconds: float) -> None:
        """Answers nothing for so long, and drops nothing: a cut line."""
        numbers = [int(process.name) for process in Path("/proc").glob("[0-9]*") if _works_in(process, self._data)]
        for number in numbers:
            os.kill(number, signal.SIGSTOP)
        time.sleep(seconds)
        for number in numbers:
            os.kill(number, signal.SIGCONT)

    def close(self) -> None:
        self._running.close()
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> Path:
        return self.folder / "postgres"

    def _control(self, verb: str, *arguments: str) -> None:
        account = private._account(self._data)
        private._run("pg_ctl", verb, "-w", "-D", str(self._data), *arguments, account=account)


def _works_in(process: Path, folder: Path) -> bool:
    """Each process of PostgreSQL works in its data's folder."""
    try:
        return (process / "cwd").readlink() == folder
    except OSError:
        return False


def events(log: Path, name: str) -> list[dict[str, object]]:
    """The lines of a log that tell of this event."""
    return [line for line in logged(log) if line["event"] == name]


def logged(log: Path) -> list[dict[str, object]]:
    """What a process wrote: events as JSON, a line each, and nothing else; a line that isn't ended yet is left out."""
    written = log.read_text() if log.exists() else ""
    return [_event(line) for line in written.splitlines(keepends=True) if line.endswith("\n")]


def _event(line: str) -> dict[str, object]:
    try:
        found = json.loads(line)
        assert found["event"]
    except (ValueError, TypeError, KeyError):
        raise AssertionError(f"a process wrote what is no event: {line!r}") from None
    return dict(found)
