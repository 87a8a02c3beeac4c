"""Shared memory with real Triton servers: always given back, and never missed where it is gone."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from inference.engines.local import LocalEngine
from inference.engines.shared_tiles import FOLDER, PREFIX
from inference.engines.triton import Rules, TritonEngine
from inference.errors import Failed
from inference.slide import Rgb
from tests.faulty_triton import SIDE, set_fault
from tests.integration.triton_cases import (
    RULES,
    KillAfter,
    StartEngine,
    analysed,
    assert_same_score,
    regions,
    unregister_all,
)
from tests.made_slide import ArraySlide
from tests.models import IHC_TILE
from tests.triton_server import TritonServer

pytestmark = pytest.mark.usefixtures("tritonserver")


def test_shared_memory_that_the_server_forgets_in_mid_slide_changes_nothing(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    engine = engine_of(well[0].address, rules=Rules(in_flight=1))
    result = analysed(slide, KillAfter(engine, 4, lambda: unregister_all(well[0])), tmp_path)
    assert_same_score(result, analysed(slide, local, tmp_path))


def test_shared_memory_is_let_go_of_by_all_when_the_engine_closes_even_with_a_request_in_flight(
    well: tuple[TritonServer, ...], tiles: Rgb
) -> None:
    others = set(FOLDER.glob(f"{PREFIX}{os.getpid()}-*"))  # of engines that earlier tests' services still hold
    engine = TritonEngine([s.address for s in well], IHC_TILE, rules=RULES, side=SIDE)
    for _ in range(4):
        engine.detect(tiles[:1], 0.28)
    assert regions(well[0])
    set_fault(well[0].repository, "slow 3")
    set_fault(well[1].repository, "slow 3")
    asking = threading.Thread(target=engine.detect, args=(tiles[:1], 0.28))
    asking.start()
    time.sleep(1)
    engine.close()
    asking.join()
    assert [regions(s) for s in well] == [[], []]
    assert set(FOLDER.glob(f"{PREFIX}{os.getpid()}-*")) <= others
    with pytest.raises(Failed, match="closed"):
        engine.detect(tiles[:1], 0.28)


@pytest.mark.parametrize("end", ["del engine", "sys.exit(0)", "raise KeyboardInterrupt"])
def test_an_engine_that_nobody_closes_leaves_nothing_behind(well: tuple[TritonServer, ...], end: str) -> None:
    program = (
        "import sys, numpy as np\nfrom inference.engines.triton import TritonEngine\n"
        "from tests.models import IHC_TILE\n"
        f"engine = TritonEngine(['{well[0].address}'], IHC_TILE, side={SIDE})\n"
        f"engine.detect(np.zeros((1, {SIDE}, {SIDE}, 3), np.uint8), 0.3)\n{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert "leaked" not in done.stderr
    assert regions(well[0]) == []


def test_the_region_of_a_killed_process_is_swept_by_the_next_one(
    well: tuple[TritonServer, ...], engine_of: StartEngine, tiles: Rgb
) -> None:
    program = (
        "import os, numpy as np\nfrom inference.engines.triton import TritonEngine\n"
        "from tests.models import IHC_TILE\n"
        f"engine = TritonEngine(['{well[0].address}'], IHC_TILE, side={SIDE})\n"
        f"engine.detect(np.zeros((1, {SIDE}, {SIDE}, 3), np.uint8), 0.3)\n"
        "print('ready', flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)
    (left,) = regions(well[0])
    deadline = (
        time.monotonic() + 10
    )  # the system's keeper of shared memory needs a moment to see that its process is gone
    while (FOLDER / left).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    engine_of(well[0].address).detect(tiles[:1], 0.28)
    assert left not in regions(well[0])
    assert len(regions(well[0])) == 1


def test_no_shared_memory_to_be_had_means_gRPC(
    well: tuple[TritonServer, ...], engine_of: StartEngine, tiles: Rgb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.engines.shared_tiles.FOLDER", Path("/nowhere"))
    engine = engine_of(well[0].address)
    assert len(engine.detect(tiles, 0.28)) == 4
    assert regions(well[0]) == []
