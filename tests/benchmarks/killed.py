"""What it costs that one of two Triton servers is killed in the middle of a slide.

    python -m tests.benchmarks.killed

24 tiles of an eighth of a second each: 1.5 s with both servers, half as much again with one alone from the middle. One
JSON line: seconds of the slide with both, and with one killed before the 14th tile.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inference.engines.triton import Rules, TritonEngine
from tests.benchmarks.measure import report
from tests.faulty_triton import SIDE, drawn_tiles, render_faulty, set_fault
from tests.integration.triton_cases import KillAfter, analysed
from tests.made_slide import ArraySlide
from tests.models import IHC_TILE
from tests.triton_server import TritonServer

Servers = tuple[TritonServer, TritonServer]


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory(prefix="chromogen-bench-") as name:
        folders = [Path(name) / part for part in "ab"]
        for folder in folders:
            folder.mkdir()
        with TritonServer(render_faulty(folders[0])) as one, TritonServer(render_faulty(folders[1])) as two:
            for server in (one, two):
                set_fault(server.repository, "slow 0.125")
            both_s = seconds((one, two), Path(name), lambda: None)
            report("killed", both_s=both_s, one_killed_s=seconds((one, two), Path(name), two.kill))


def seconds(servers: Servers, folder: Path, strike: Callable[[], None]) -> float:
    rows = [np.concatenate(list(drawn_tiles(6)), axis=1) for _ in range(2)]
    slide = ArraySlide(np.concatenate(rows))
    engine = TritonEngine([s.address for s in servers], IHC_TILE, rules=Rules(in_flight=2), side=SIDE)
    try:
        engine.detect(drawn_tiles(2), 0.28)
        began = time.perf_counter()
        analysed(slide, KillAfter(engine, 14, strike), folder)
        return round(time.perf_counter() - began, 2)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
