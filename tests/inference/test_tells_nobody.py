"""The libraries that run the networks leave an identifier in the home folder when they get ready to report to their
makers.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = (
    "import numpy as np; from inference.engines.factory import make_engine;"
    "engine = make_engine(model='ihc_tile'); engine.detect(np.full((1, 256, 256, 3), 240, np.uint8), 0.5)"
)


def test_running_the_networks_leaves_no_identifier(tmp_path: Path) -> None:
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "CI")
    }
    command = [sys.executable, "-c", RUN]
    subprocess.run(
        command, cwd=ROOT, env=own | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}, check=True, timeout=120
    )
    assert list(tmp_path.iterdir()) == []
