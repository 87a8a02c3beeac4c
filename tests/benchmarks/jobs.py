"""Claims and finishes a second, beside what the database itself commits, measured in the same run (INTEROP.md R-12).

    python -m tests.benchmarks.jobs [--clients 8] [--seconds 4] [--nuclei 500]

The database is a fresh private one, with its commits on disk, and its clients are bound by row-level security as a
worker is. Each runs `server.worker.Worker` on the one queue of all: the most urgent order is taken, its result finished
with its scores and four deliveries whose files are synced and hashed, one after the other. Left out are the slide's
computation, and fetching and deleting procrastinate's job of the order, which the worker doesn't wait for. The
database's own limit is pgbench's, of one-row updates with as many clients: a case is two commits, so 500 cases a second
or a quarter of that limit in cases is the promise (half of it in commits).
"""

import argparse
import logging
import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import structlog

from server.domain.artifact import ArtifactKind
from server.domain.ports import Claim, Delivery
from server.domain.result import ResultId
from server.store import private
from server.store.account_check import SERVICE
from server.store.database import as_role, connect
from server.store.migrate import migrate
from server.store.outbox import PostgresOutbox
from server.store.store import PostgresStore
from server.worker import Worker
from tests.benchmarks.measure import report
from tests.server.store.invented import request, result

LEASE_S = 60.0


def raw_commits(url_folder: Path, clients: int, seconds: int) -> float:
    """Commits a second of pgbench: BEGIN, one UPDATE by key, COMMIT."""
    script = url_folder / "one_row.sql"
    script.write_text("\\set i random(1, 1000)\nBEGIN;\nUPDATE raw SET n = n + 1 WHERE i = :i;\nCOMMIT;\n")
    program = str(private._programs() / "pgbench")
    arguments = [
        program,
        "-n",
        f"-c{clients}",
        "-j1",
        f"-T{seconds}",
        f"-f{script}",
        f"-h{url_folder / 'postgres'}",
        "-Uchromogen",
    ]
    done = subprocess.run([*arguments, "chromogen"], check=True, capture_output=True, text=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps = "))
    return float(line.split()[2])


def work(url: str, folder: Path, seconds: float, nuclei: int, start: Barrier, done: "SimpleQueue[float]") -> None:
    """Takes and finishes cases one after the other for so long; puts how many a second."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    engine = connect(url, pool=1)
    store, made = PostgresStore(engine), result(None, nuclei=nuclei)
    files = {kind: folder / f"{os.getpid()}.{kind}" for kind in ("ORU", "SR", "ANN", "SEG")}
    for path in files.values():
        path.write_bytes(bytes(4096))

    def finish(claim: Claim) -> None:
        order_id = claim.order.id
        deliveries = [
            Delivery(
                kind=ArtifactKind(kind),
                destination="lis" if kind == "ORU" else "archive",
                path=path,
                message_id=f"{order_id} {kind}",
            )
            for kind, path in files.items()
        ]
        store.finish(claim, replace(made, id=ResultId(order_id), order_id=order_id), deliveries)

    worker = Worker(store, PostgresOutbox(engine, lambda _: None), finish, lease_s=LEASE_S, poll_s=1)
    store.due(1)  # connects
    start.wait()
    number, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds and worker.step():
        number += 1
    done.put(number / (time.perf_counter() - began))
    engine.dispose()


def worked(url: str, folder: Path, clients: int, seconds: float, nuclei: int) -> float:
    """Cases a second of so many processes at once. They are forked: to import takes longer than to measure."""
    context = get_context("fork")
    start, done = context.Barrier(clients), context.SimpleQueue()
    share = (url, folder, seconds, nuclei, start, done)
    processes = [context.Process(target=work, args=share) for _ in range(clients)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return sum(done.get() for _ in processes)


def accept(url: str, numbers: range) -> None:
    engine = connect(url)
    store = PostgresStore(engine)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.accept, map(request, numbers)))
    engine.dispose()


def measured(folder: Path, url: str, clients: int, seconds: float, nuclei: int, orders: int) -> dict[str, object]:
    began = time.perf_counter()
    accept(as_role(url, SERVICE), range(orders))
    accepts = orders / (time.perf_counter() - began)
    engine = connect(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE raw AS SELECT i, 0 AS n FROM generate_series(1, 1000) i")
        connection.exec_driver_sql("ALTER TABLE raw ADD PRIMARY KEY (i)")
    engine.dispose()
    before = raw_commits(folder, clients, 2)
    cases = worked(as_role(url, SERVICE), folder, clients, seconds, nuclei)
    assert cases * seconds < orders, "the queue ran out: ask for more --orders"
    after = raw_commits(folder, clients, 2)
    commits = (before + after) / 2
    return {
        "clients": clients,
        "nuclei": nuclei,
        "accepts_per_s": round(accepts),
        "cases_per_s": round(cases),
        "commits_per_s": round(2 * cases),
        "raw_commits_per_s": round(commits),
        "ratio": round(2 * cases / commits, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--nuclei", type=int, default=500)
    parser.add_argument("--orders", type=int, default=4000)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chromogen-bench-"))
    server = private.start(folder)
    try:
        migrate(server.url)
        report("jobs", **measured(folder, server.url, asked.clients, asked.seconds, asked.nuclei, asked.orders))
    finally:
        server.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
