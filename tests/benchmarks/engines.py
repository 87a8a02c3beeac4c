"""The runtimes with the same networks, one thread each: ms of processor time a tile, by side and batch, in alternating
runs.

python -m tests.benchmarks.engines [--repeat 5]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime
import openvino

from inference.engines.graphs import loaded
from inference.model import FLOAT32, RUNNING
from inference.slide import Rgb
from tests.benchmarks.measure import median, report, source, tiles_in_memory
from tests.models import FINDER, GRADER, IHC_TILE

Run = Callable[[Rgb], object]


def detectors() -> dict[str, Run]:
    """What runs the detection graph, by name of runtime and precision."""
    int8, float32 = (IHC_TILE.graph_bytes(FINDER, version) for version in (RUNNING, FLOAT32))
    return {
        "openvino int8": loaded(FINDER, int8).answer,
        "openvino float32": loaded(FINDER, float32).answer,
        "openvino bfloat16": _bfloat16(float32),
        "onnxruntime int8": _onnxruntime(int8),
        "onnxruntime float32": _onnxruntime(float32),
    }


def graders() -> dict[str, Run]:
    """What measures the stain at 180 keypoints for each square of 256 px, about as many as real tiles hold."""
    graph = IHC_TILE.graph_bytes(GRADER)
    core = openvino.Core()
    kept, compiled = (
        loaded(GRADER, graph),
        core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_NUM_THREADS": 1}),
    )
    return {
        "onnxruntime": lambda tiles: kept.answer(tiles, *_keypoints(tiles), _count(tiles)),
        "openvino": lambda tiles: compiled([tiles, *_keypoints(tiles), _count(tiles)]),
    }


def _keypoints(tiles: Rgb) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    b, side = tiles.shape[:2]
    x, y = np.random.default_rng(0).uniform(0, side - 1, (2, b, 180 * side * side // 256**2)).astype(np.float32)
    return x, y


def _count(tiles: Rgb) -> npt.NDArray[np.int32]:
    return np.full(len(tiles), _keypoints(tiles)[0].shape[1], np.int32)


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _onnxruntime(graph: bytes) -> Run:
    session = _session(graph)
    return lambda tiles: session.run(None, {"tiles": tiles})


def _bfloat16(graph: bytes) -> Run:
    """What OpenVINO takes when left to itself on a processor that has it; the path doesn't (see engines/graphs.py)."""
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "bf16",
        "ENABLE_CPU_PINNING": False,
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", settings)
    return lambda tiles: compiled([tiles])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    for what, runtimes, shapes in (
        ("detection", detectors(), ((256, 1), (256, 8), (1088, 1))),
        ("grading", graders(), ((1088, 1),)),
    ):
        for side, batch in shapes:
            compare(what, runtimes, tiles_in_memory(batch, side), repeat)


def compare(what: str, runtimes: dict[str, Run], tiles: Rgb, repeat: int) -> None:
    """A line a runtime: milliseconds of processor time for each square of 256 x 256 px."""
    times: dict[str, list[float]] = {name: [] for name in runtimes}
    for run in runtimes.values():
        run(tiles)
    for _ in range(repeat):
        for name, run in runtimes.items():
            began = time.process_time()
            run(tiles)
            times[name].append(time.process_time() - began)
    squares = tiles.shape[0] * (tiles.shape[1] / 256) ** 2
    for name, seconds in times.items():
        ms = median((1000 * s / squares for s in seconds), 2)
        report(
            "engine",
            what=what,
            runtime=name,
            side=tiles.shape[1],
            batch=tiles.shape[0],
            ms_per_256px=ms,
            source=source(),
        )


if __name__ == "__main__":
    main()
