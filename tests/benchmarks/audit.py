"""What it takes to prove the chain of the audit, and to find the one row of it that was changed.

    python -m tests.benchmarks.audit [--rows 1000000]

One JSON line: seconds for each (aim: 60 for a million, INTEROP.md S-2).
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

from server.domain.access import ALL_LABS, Caller, Role
from server.store import private
from server.store.audit import PostgresAuditRepository
from server.store.database import connect, transaction
from server.store.migrate import migrate
from tests.benchmarks.measure import report

AUDITOR = Caller(subject="bench", lab=ALL_LABS, roles=frozenset({Role.AUDITOR}))
FILL = "SELECT count(chromogen_append('LAB', 'bench', 'order.claim', 'orders/' || i, '')) FROM generate_series(1, {}) i"


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    folder = Path(tempfile.mkdtemp(prefix="chromogen-bench-"))
    server = private.start(folder)
    try:
        migrate(server.url)
        owner = connect(server.url)
        run(owner, "SET LOCAL statement_timeout = 0", FILL.format(rows))
        whole_s = verified_s(owner, 0)
        changed = f"UPDATE audit SET outcome = 'e' WHERE id = {rows // 2}"
        disabled, enabled = (f"ALTER TABLE audit {word} TRIGGER audit_no_change" for word in ("DISABLE", "ENABLE"))
        run(owner, disabled, changed, enabled)
        report("audit", rows=rows, whole_s=whole_s, changed_s=verified_s(owner, rows // 2))
        owner.dispose()
    finally:
        server.close()
        shutil.rmtree(folder)


def run(owner: sa.Engine, *statements: str) -> None:
    with transaction(owner) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def verified_s(owner: sa.Engine, broken: int) -> float:
    began = time.perf_counter()
    assert PostgresAuditRepository(owner).verify(AUDITOR).first_broken == broken
    return round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    main()
