"""Issue 12: what comes from outside, changed at random, is taken or refused by a reason of ours, within a bound of
memory that RLIMIT_AS holds in a child. SOAK=1 tries hundreds of times as many, from other seeds each day.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.integration.processes import ROOT, environment

SOAK = bool(os.environ.get("SOAK"))
SHORT = {"dicom": 100, "pictures": 200, "hl7": 1000, "protobuf": 2000, "files": 1000, "dicomweb": 40}
LONGER = 200 if SOAK else 1
MOST_MB = {"dicom": 256, "pictures": 512, "hl7": 128, "protobuf": 128, "files": 128, "dicomweb": 384}
"""Of address space, threads and their arenas too, beyond what the samples took."""
FIRST = int(time.time()) // 86_400 * 1_000_000 if SOAK else 0
SLOW_S = 20.0
"""One change may take so long on a machine that does other things; more means a loop."""


@pytest.mark.timeout(6 * 3600 if SOAK else 300)
def test_what_comes_from_outside_is_taken_or_refused_within_its_memory(tmp_path: Path) -> None:
    assert SHORT.keys() == MOST_MB.keys() == TARGETS.keys()
    wanted = [f"{target}:{FIRST}:{count * LONGER}:{MOST_MB[target]}" for target, count in SHORT.items()]
    command = [sys.executable, "-m", "tests.fuzz.child", str(tmp_path), *wanted]
    done = subprocess.run(command, cwd=ROOT, env=environment({}), capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-6000:]
    for found in map(json.loads, done.stdout.splitlines()):
        assert 0 < found["refused"] < found["tried"], f"{found['target']}: all or nothing, so the changes try nothing"
        assert found["slowest_s"][0] < SLOW_S, found
