"""Issue 12: a restore from an older backup. What was sent since is not sent again as new: the command that reads it
from the workers' logs says what it brought up to date, and what the backup lacks.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.demo.lis import ReceivingLis
from server.domain.artifact import ArtifactKind
from server.domain.order import Order
from server.domain.ports import LIS, Delivery
from server.domain.states import OrderState
from server.hl7.oru import Status, control_id
from server.hl7.sender import MllpSink
from server.report.deliver import Deliverer
from server.scoring import result_id
from server.store import audit
from server.store.database import connect, transaction
from server.store.outbox import PostgresOutbox
from server.store.reconcile import UNKNOWN, written
from server.store.store import PostgresStore
from tests.conftest import execute
from tests.integration.processes import ROOT, OwnPostgres, environment, hospital_postgres, program
from tests.server.store.invented import BUILT_IN, request, result

pytestmark = pytest.mark.postgres
MODEL = "ab" * 32


@dataclass(kw_only=True)
class Hospital:
    """A database with its LIS, and what its worker logged."""

    url: str
    folder: Path
    lis: ReceivingLis
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = connect(self.url)
        self.serve = connect(self.url.replace("//chromogen_work@", "//chromogen_serve@"))
        self.store = PostgresStore(self.engine)
        sink = MllpSink(host="127.0.0.1", port=self.lis.port, timeout_s=20)
        self.outbox = PostgresOutbox(self.engine, Deliverer(messages={LIS: sink}, objects={}))

    def order(self, name: str) -> Order:
        return PostgresStore(self.serve).accept(request(name))[0]

    def score(self, order: Order) -> str:
        """MSH-10 of the message that waits then, under the identity that the pipeline gives."""
        claim = self.store.claim(order.id, 60)
        assert claim is not None
        identity = result_id(order.id, BUILT_IN, MODEL, "")
        made = replace(result(order.id), id=identity)
        name = control_id(made, Status.PRELIMINARY)
        path = self.folder / f"{name}.hl7"
        path.write_text(f"MSH|^~\\&|CHROMOGEN|LAB|LIS|LAB|20260101||ORU^R01^ORU_R01|{name}|T|2.5.1\r")
        delivery = Delivery(kind=ArtifactKind.ORU, destination=LIS, path=path, message_id=name)
        self.store.finish(claim, made, [delivery])
        return name

    def send(self) -> int:
        with capture_logs() as lines:
            sent = self.outbox.send_due()
        self.log += [json.dumps(line, default=str) for line in lines]
        return sent

    def close(self) -> None:
        self.engine.dispose()
        self.serve.dispose()


@pytest.fixture
def database() -> Iterator[OwnPostgres]:
    made = hospital_postgres()
    yield made
    made.close()


def restored(database: OwnPostgres, dump: Path) -> str:
    """As docs/operations.md says, in another database of the server; its address, for the account of `work`."""
    execute(database.owner_url, "CREATE DATABASE restored")
    url = database.owner_url.replace("/chromogen?", "/restored?")
    program("pg_restore", "--exit-on-error", "--dbname=restored", str(dump), url=url)
    execute(url, "GRANT USAGE ON SCHEMA public TO PUBLIC")
    return url.replace("//chromogen@", "//chromogen_work@")


def reconciled(url: str, *logs: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "server.cli.main", "outbox", "reconcile", *map(str, logs), "--json"]
    own = environment({"CHROMOGEN_DATABASE_URL": url})
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_was_sent_since_the_backup_is_not_sent_again_as_new(database: OwnPostgres, tmp_path: Path) -> None:
    (tmp_path / "received").mkdir()
    with ReceivingLis(tmp_path / "received") as lis:
        before = Hospital(url=database.url_as("chromogen_work"), folder=tmp_path, lis=lis)
        sent, queued = before.score(before.order("sent")), before.order("queued")
        assert before.send() == 1
        waiting = before.score(before.order("waiting"))
        dump = tmp_path / "chromogen.dump"
        program("pg_dump", "--format=custom", f"--file={dump}", url=database.owner_url)
        scored, later = before.score(queued), before.order("later")
        unknown = before.score(later)
        assert before.send() == 3
        before.close()
        heard = {path.stem for path in lis.received}
        assert heard == {sent, waiting, scored, unknown}

        after = Hospital(url=restored(database, dump), folder=tmp_path, lis=lis)
        assert after.outbox.waiting() == 1  # an old message would go out, after newer ones
        (tmp_path / "work.log").write_text("".join(f"work-1  | {line}\n" for line in before.log))
        found = reconciled(after.url, tmp_path / "work.log")
        assert [each["message_id"] for each in found["marked"]] == [waiting]
        assert found["known"] == 1
        assert {(m["sent"]["order_id"], m["state"], m["sent"]["message_id"]) for m in found["missing"]} == {
            (queued.id, OrderState.QUEUED, scored),
            (later.id, UNKNOWN, unknown),
        }
        assert reconciled(after.url, tmp_path / "work.log")["marked"] == []  # once more changes nothing

        lis.received.clear()
        assert after.send() == 0
        assert after.score(after.store.order(queued.id).order) == scored  # under the number that the LIS knows
        assert after.send() == 1
        assert {path.stem for path in lis.received} == {scored}
        after.close()
    auditor = connect(after.url.replace("//chromogen_work@", "//chromogen_auditor@"))
    with transaction(auditor) as connection:
        assert audit.verify(connection).broken == ()
        told = connection.exec_driver_sql("SELECT count(*) FROM audit WHERE subject = 'outbox reconcile'").scalar_one()
    auditor.dispose()
    assert told == 1


@pytest.mark.parametrize("url", ["", "postgresql://nobody@127.0.0.1:9/none"])
def test_without_a_database_or_a_delivery_in_the_log_it_is_refused_in_one_line(tmp_path: Path, url: str) -> None:
    (tmp_path / "work.log").write_text('{"event": "worker_started"}\nno json\n{"event": "delivered"}\n')
    command = [sys.executable, "-m", "server.cli.main", "outbox", "reconcile", str(tmp_path / "work.log")]
    own = environment({"CHROMOGEN_DATABASE_URL": url} if url else {})
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert ("ARGUMENT_INVALID" if url else "SETTING_INVALID") in line


def test_a_log_s_other_lines_are_passed_over() -> None:
    good = {"event": "delivered", "order": None, "destination": "lis", "kind": "ORU", "message": "A"}
    lines = [json.dumps(good), json.dumps({**good, "event": "not_delivered"}), "{", "[]", json.dumps([good]), ""]
    assert [each.message_id for each in written(lines)] == ["A"]
