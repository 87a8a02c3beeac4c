"""A real worker process for the tests: `python worker_process.py URL FOLDER LEASE_S SECONDS`.

Each case writes its order's id to FOLDER/started, takes SECONDS and finishes with an invented result; a case whose
laboratory is POISON kills the process.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from server.domain.artifact import ArtifactKind
from server.domain.ports import Claim, Delivery
from server.domain.result import Result
from server.domain.states import MAX_ATTEMPTS
from server.observability import set_up
from server.store.database import connect
from server.store.dispatch import Dispatcher
from server.store.outbox import Patience, PostgresOutbox
from server.store.store import PostgresStore
from server.worker import Worker
from tests.server.store.invented import result


def main(url: str, folder: Path, lease_s: float, seconds: float, *, max_attempts: int = MAX_ATTEMPTS) -> None:
    set_up(format="json")
    engine = connect(url)
    store = PostgresStore(engine, max_attempts=max_attempts)

    def note(name: str, text: str) -> None:
        with (folder / name).open("a") as file:
            file.write(text + "\n")

    def run_case(claim: Claim) -> None:
        note("started", claim.order.id)
        if claim.order.request.lab == "POISON":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(seconds)
        found: Result = replace(result(claim.order.id), id=claim.order.id)  # type: ignore[arg-type]
        report = folder / f"{claim.order.id}.hl7"
        report.write_bytes(b"invented")
        store.finish(
            claim, found, [Delivery(kind=ArtifactKind.ORU, destination="lis", path=report, message_id=claim.order.id)]
        )

    outbox = PostgresOutbox(
        engine, lambda delivery: note("delivered", delivery.message_id), patience=Patience(lease_s=5)
    )
    worker = Worker(store, outbox, run_case, lease_s=lease_s, poll_s=0.2, grace_s=1.0)
    worker.run(Dispatcher(url, worker.wake, poll_s=0.5))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
