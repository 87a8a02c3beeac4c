"""Forks a light worker for each line on standard input, and prints its number: a birth takes milliseconds, not seconds.

It has no thread and no connection itself, so that what it forks is whole.
"""

import os
import signal
import sys
from pathlib import Path

import procrastinate.schema  # noqa: F401  what a worker imports late, imported once
import psycopg2  # noqa: F401

from tests.integration.worker_process import main

MOST_ATTEMPTS = 1000


def nurse(url: str, folder: Path, lease_s: float, seconds: float) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for _ in sys.stdin:
        number = os.fork()
        if number == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            main(url, folder, lease_s, seconds, max_attempts=MOST_ATTEMPTS)
            os._exit(0)
        print(number, flush=True)


if __name__ == "__main__":
    nurse(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
