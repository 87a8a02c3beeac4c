"""What the tests of the Triton engine share: rules with short times, a stroke in mid-slide, and looks into a server."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inference.analysis import Analysis
from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.engines.triton import Rules, TritonEngine
from inference.infer import Engine, TileAnswer
from inference.slide import Rgb
from tests.faulty_triton import SIDE
from tests.made_slide import ArraySlide
from tests.models import IHC_TILE
from tests.models import SHAPE as PRODUCTION
from tests.triton_server import TritonServer

SHAPE = replace(PRODUCTION, core=SIDE - 2 * PRODUCTION.halo)
RULES = Rules(timeout_s=20, patience_s=60, rest_s=0.2, longest_rest_s=1)
IMPATIENT = Rules(timeout_s=3, patience_s=60, rest_s=0.2, longest_rest_s=1)
HASTY = Rules(timeout_s=2.5, patience_s=4, rest_s=0.1, longest_rest_s=0.5)

StartEngine = Callable[..., TritonEngine]


def analysed(slide: ArraySlide, engine: Engine, folder: Path) -> Analysis:
    return analyze(slide, engine, NUCLEAR, folder / "nuclei.parquet", Options(shape=SHAPE))


def assert_same(one: list[TileAnswer], other: list[TileAnswer]) -> None:
    """In number, place, class and colour; confidence within what sums in another order differ by."""
    for a, b in zip(one, other, strict=True):
        assert a.columns.keys() == b.columns.keys() == {tensor.name for tensor in IHC_TILE.columns}
        for name, within in {"x": 0.01, "y": 0.01, "nucleus": 1e-3, "confidence": 1e-3}.items():
            np.testing.assert_allclose(a.columns[name], b.columns[name], atol=within)
        for name in ("label", "hue", "value", "dab_od_centi"):
            np.testing.assert_array_equal(a.columns[name], b.columns[name])
        assert a.found == b.found


def assert_same_score(one: Analysis, other: Analysis) -> None:
    assert one.n > 100
    for name in one.histograms.tables:
        np.testing.assert_array_equal(one.histograms[name], other.histograms[name])


class KillAfter:
    """An engine that calls `strike` once, before its n-th call."""

    def __init__(self, engine: Engine, n: int, strike: Callable[[], None]) -> None:
        self.model, self.facts, self.workers = engine.model, engine.facts, engine.workers
        self._engine, self._left, self._strike, self._lock = engine, n, strike, threading.Lock()

    def detect(self, tiles: Rgb, faintest: float) -> list[TileAnswer]:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._strike()
        return self._engine.detect(tiles, faintest)


def regions(server: TritonServer) -> list[str]:
    with grpc.insecure_channel(server.address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        return list(stub.SystemSharedMemoryStatus(service_pb2.SystemSharedMemoryStatusRequest(), timeout=5).regions)


def unregister_all(server: TritonServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.SystemSharedMemoryUnregister(service_pb2.SystemSharedMemoryUnregisterRequest(name=""), timeout=5)


def requests_of(server: TritonServer) -> int:
    """Inferences that the server was asked for."""
    with grpc.insecure_channel(server.address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        found = stub.ModelStatistics(service_pb2.ModelStatisticsRequest(name=IHC_TILE.folder), timeout=5).model_stats
        return int(sum(s.inference_stats.success.count + s.inference_stats.fail.count for s in found))
