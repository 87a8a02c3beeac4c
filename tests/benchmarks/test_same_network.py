"""What peers are given is the shipped network, on the very slide that is ours; and an absent peer is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from inference.geometry import Region, Size
from tests.benchmarks.measure import tiles_in_memory
from tests.benchmarks.same_network import ENVIRONMENTS, WAYS
from tests.benchmarks.same_network_graphs import heat_map_graph
from tests.laid import LaidTiles, lay_svs_slide
from tests.models import FINDER, IHC_TILE
from tests.opened import open_slide

TILES = tiles_in_memory(1, 256)


def answer(graph: onnx.ModelProto) -> list[npt.NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[npt.NDArray[np.float32]] = session.run(None, {"tiles": TILES})
    return found


def test_the_map_that_a_peer_searches_is_as_high_at_our_peaks_as_they_are() -> None:
    graph = onnx.load_from_string(IHC_TILE.graph_bytes(FINDER))
    x, y, label, nucleus, *_ = (values[0] for values in answer(graph))
    (heat,) = answer(heat_map_graph(graph))
    found = nucleus >= IHC_TILE.counting_threshold
    assert found.sum() > 50
    rows, columns = (np.round((v[found] - 0.5) / 2).astype(int) * 2 for v in (y, x))
    near = np.max(
        [heat[0, rows + dy, columns + dx, label[found].astype(int)] for dy in (0, 1) for dx in (0, 1)], axis=0
    )
    # enlarged linearly, a peak of one pixel keeps 9/16 of itself and gets the rest of its neighbours
    assert (near > 0.5 * nucleus[found]).mean() > 0.98
    assert heat.max() <= nucleus.max()


def test_the_peers_slide_is_ours_with_its_pixel_size_and_levels(tmp_path: Path) -> None:
    size = Size(width=1536, height=1024)
    slide = open_slide(lay_svs_slide(tmp_path / "slide.svs", size=size))
    region = Region(x=100, y=200, width=512, height=300)
    assert (slide.facts.mpp, slide.facts.size, len(slide.facts.levels)) == (0.5, size, 3)
    difference = slide.read(region).astype(int) - LaidTiles(size).read(region)
    assert np.abs(difference).mean() < 5


def test_a_peer_without_an_environment_is_named_as_not_run() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.same_network"]
    nowhere = {k: v for k, v in os.environ.items() if not k.endswith("_PYTHON")}
    told = subprocess.run(command, env=nowhere, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["peer"] for line in lines] == list(ENVIRONMENTS.values())
    assert all("not_run" in line for line in lines)


def test_tiles_of_a_peer_fit_our_network() -> None:
    assert all(way.tile % 32 == 0 and way.stride <= way.kept <= way.tile for way in WAYS)
