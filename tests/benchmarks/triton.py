"""The real Triton server on this processor against the same networks in this process: tiles a second, in alternating
runs.

    python -m tests.benchmarks.triton [--repeat 5] [--seconds 4]

One thread computes either way: one instance behind the server's Python backend, one stream in the process. `ratio` is
the server's throughput over the process's by the wall's clock, `ratio_cpu` the same by processor seconds, server and
client together. JPEG frames are decoded by the server, and their decoding counts.

The last requests don't count: where requests have priorities, the server's batcher looks only every half a second for
those that still wait when no new one comes (seen here: 500 ms before each of the last one to three). That is once a
slide.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import psutil  # type: ignore[import-untyped]
import simplejpeg
from google.protobuf import text_format
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inference.engines.graphs import loaded
from inference.engines.local import LocalEngine
from inference.engines.shared_tiles import Place, SharedTiles
from inference.engines.triton import TritonEngine
from inference.engines.triton_repository import MODEL_PY, read_config, render_cpu
from inference.model import MANIFEST, shipped_models
from inference.model import RUNNING as VERSION
from inference.slide import Rgb
from tests.benchmarks.measure import median, report, source, tiles_in_memory
from tests.models import DETECTION, FINDER, IHC_TILE, SHAPE
from tests.triton_server import TritonServer, Unavailable

IN_FLIGHT = 4
JPEG = "nuclei_detection_jpeg"
DECODING = '''
import simplejpeg

RIGHT = TritonPythonModel


class TritonPythonModel(RIGHT):
    """Takes frames, (b, bytes) filled up with zeros, in place of tiles."""

    def _input(self, request, name):
        return np.stack([simplejpeg.decode_jpeg(f.tobytes()) for f in super()._input(request, "frames")])
'''

Ask = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Tiles a second by the wall's clock, and seconds of processor a tile."""

    rate: float
    cpu: float


class Client:
    """Requests to one model, as the engine makes them, without its rules."""

    def __init__(self, address: str, slots: int, tiles: Rgb) -> None:
        self._channel = grpc.insecure_channel(
            address, options=[("grpc.max_send_message_length", 1 << 27), ("grpc.max_receive_message_length", 1 << 27)]
        )
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._region = SharedTiles(slots=slots, slot_bytes=tiles.nbytes)
        self._stub.SystemSharedMemoryRegister(
            service_pb2.SystemSharedMemoryRegisterRequest(
                name=self._region.name, key=f"/{self._region.name}", byte_size=self._region.byte_size
            )
        )
        self._outputs = {
            m: [o.name for o in self._stub.ModelConfig(service_pb2.ModelConfigRequest(name=m)).config.output]
            for m in (DETECTION, JPEG)
        }

    def by_memory(self, tiles: Rgb) -> object:
        with self._region.holding(tiles) as place:
            return self._ask(DETECTION, "tiles", tiles, place)

    def by_grpc(self, tiles: Rgb) -> object:
        return self._ask(DETECTION, "tiles", tiles, None)

    def by_frames(self, frames: npt.NDArray[np.uint8]) -> object:
        return self._ask(JPEG, "frames", frames, None)

    def close(self) -> None:
        self._stub.SystemSharedMemoryUnregister(service_pb2.SystemSharedMemoryUnregisterRequest(name=self._region.name))
        self._region.close()
        self._channel.close()

    def _ask(self, model: str, name: str, data: npt.NDArray[np.uint8], place: Place | None) -> object:
        request = service_pb2.ModelInferRequest(model_name=model, model_version=VERSION)
        tensor = request.inputs.add(name=name, datatype="UINT8", shape=data.shape)
        if place is None:
            request.raw_input_contents.append(data.tobytes())
        else:
            tensor.parameters["shared_memory_region"].string_param = place.region
            tensor.parameters["shared_memory_byte_size"].int64_param = place.byte_size
            tensor.parameters["shared_memory_offset"].int64_param = place.offset
        for output in self._outputs[model]:
            request.outputs.add(name=output)
        return self._stub.ModelInfer(request, timeout=60)


def render(folder: Path, side: int, batch: int) -> Path:
    """The CPU repository, and beside it the detection that takes JPEG frames."""
    render_cpu(shipped_models(), folder, side=side, instances=1, max_batch=batch)
    config = read_config(folder / DETECTION / "config.pbtxt")
    config.name = JPEG
    config.input[0].name, config.input[0].dims[:] = "frames", [-1]
    config.ClearField("model_warmup")
    (folder / JPEG / VERSION).mkdir(parents=True)
    (folder / JPEG / "config.pbtxt").write_text(text_format.MessageToString(config))
    (folder / JPEG / VERSION / "model.py").write_text(MODEL_PY + "\nimport numpy as np\n" + DECODING)
    (folder / JPEG / MANIFEST).symlink_to(folder / DETECTION / MANIFEST)
    (folder / JPEG / VERSION / "model.onnx").symlink_to(folder / DETECTION / VERSION / "model.onnx")
    return folder


def encoded(tiles: Rgb) -> npt.NDArray[np.uint8]:
    """Each tile as a JPEG frame, (b, bytes), filled up with zeros to the longest."""
    frames = [simplejpeg.encode_jpeg(np.ascontiguousarray(t), quality=90) for t in tiles]
    longest = max(map(len, frames))
    return np.stack([np.frombuffer(f.ljust(longest, b"\0"), np.uint8) for f in frames])


def timed(ask: Ask, batch: int, seconds: float, in_flight: int, processes: list[psutil.Process]) -> Run:
    """For about `seconds`, `in_flight` calls at a time.

    The rate from the first answer to the last while all of them ask.
    """
    with ThreadPoolExecutor(in_flight) as pool:
        cpu, end = _cpu(processes), time.perf_counter() + seconds

        def loop() -> list[float]:
            answered = []
            while time.perf_counter() < end:
                ask()
                answered.append(time.perf_counter())
            return answered

        answered = sorted(t for f in [pool.submit(loop) for _ in range(in_flight)] for t in f.result())
        while_asked = [t for t in answered if t < end]
        rate = batch * (len(while_asked) - 1) / (while_asked[-1] - while_asked[0])
        return Run(rate=rate, cpu=(_cpu(processes) - cpu) / (batch * len(answered)))


def _cpu(processes: list[psutil.Process]) -> float:
    return float(sum(t.user + t.system for t in (p.cpu_times() for p in processes)))


def compare(side: int, batch: int, repeat: int, seconds: float) -> None:
    """A line a way of asking."""
    tiles = tiles_in_memory(batch, side)
    frames = encoded(tiles)
    graph, engine = (
        loaded(FINDER, IHC_TILE.graph_bytes(FINDER)),
        LocalEngine(IHC_TILE, threads=1),
    )
    with tempfile.TemporaryDirectory() as temporary, TritonServer(render(Path(temporary), side, batch)) as server:
        assert server.process is not None
        served = psutil.Process(server.process.pid)
        client, remote = Client(server.address, IN_FLIGHT, tiles), TritonEngine([server.address], IHC_TILE, side=side)
        ways: dict[str, tuple[Ask, int]] = {
            "in process": (lambda: graph.answer(tiles), 1),
            "shared memory": (lambda: client.by_memory(tiles), IN_FLIGHT),
            "gRPC": (lambda: client.by_grpc(tiles), IN_FLIGHT),
            "JPEG frames": (lambda: client.by_frames(frames), IN_FLIGHT),
            "in process, graded": (lambda: engine.detect(tiles, IHC_TILE.counting_threshold), 1),
            "ensemble, shared memory": (lambda: remote.detect(tiles, IHC_TILE.counting_threshold), IN_FLIGHT),
        }
        for ask, _ in ways.values():
            ask()
        processes = [psutil.Process(), served, *served.children(recursive=True)]
        runs: dict[str, list[Run]] = {way: [] for way in ways}
        for _ in range(repeat):
            for way, (ask, in_flight) in ways.items():
                runs[way].append(timed(ask, batch, seconds, in_flight, processes))
        client.close()
        remote.close()
    for way, (base, told) in PAIRS.items():
        rates, cpus = ([median((getattr(r, f) for r in runs[w]), 5) for w in (way, base)] for f in ("rate", "cpu"))
        report(
            "triton",
            way=way,
            against=base,
            model=told,
            side=side,
            batch=batch,
            runs=repeat,
            tiles_per_s=round(rates[0], 2),
            ratio=round(rates[0] / rates[1], 3),
            ratio_cpu=round(cpus[1] / cpus[0], 3),
            source=source(),
        )


PAIRS = {
    "shared memory": ("in process", DETECTION),
    "gRPC": ("in process", DETECTION),
    "JPEG frames": ("in process", DETECTION),
    "ensemble, shared memory": ("in process, graded", IHC_TILE.folder),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    args = parser.parse_args()
    try:
        for side, batch in ((256, 8), (SHAPE.side, 1)):
            compare(side, batch, args.repeat, args.seconds)
    except Unavailable as error:
        report("triton", not_run=str(error).splitlines()[0])


if __name__ == "__main__":
    main()
