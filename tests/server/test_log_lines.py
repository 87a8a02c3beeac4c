"""Log lines of processes that write to one place."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LOGS = """
import structlog
from server.observability import set_up
set_up(format="json")
structlog.get_logger().info("one")
"""


def test_a_line_and_its_end_are_one_write_so_that_processes_do_not_tear_each_others_lines() -> None:
    reading, writing = os.pipe2(os.O_DIRECT)  # a read takes what one write gave
    try:
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}  # as in a container
        subprocess.run([sys.executable, "-c", LOGS], cwd=ROOT, env=environment, stderr=writing, check=True)
        assert os.read(reading, 4096).endswith(b"}\n")
    finally:
        os.close(reading)
        os.close(writing)
