"""The engine on real Triton servers, well and failing: the slide ends with the same nuclei, or with a reason."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inference.analysis import Analysis
from inference.analyze import Options, analyze
from inference.engines.local import LocalEngine
from inference.engines.shared_tiles import FOLDER, PREFIX
from inference.engines.triton import STAT, Rules, TritonEngine
from inference.errors import ChromogenError, Failed, Reason, Refused
from inference.infer import Detections, Engine
from inference.slide import Rgb
from inference.tile import TileShape
from tests.faulty_triton import SIDE, drawn_tiles, render_faulty, set_fault
from tests.made_slide import ArraySlide
from tests.triton_server import TritonServer, free_port

pytestmark = pytest.mark.usefixtures("tritonserver")

SHAPE = TileShape(core=SIDE - 64, halo=32)
RULES = Rules(timeout_s=20, patience_s=60, rest_s=0.2, longest_rest_s=1)
IMPATIENT = Rules(timeout_s=3, patience_s=60, rest_s=0.2, longest_rest_s=1)
HASTY = Rules(timeout_s=2.5, patience_s=4, rest_s=0.1, longest_rest_s=0.5)

StartEngine = Callable[..., TritonEngine]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TritonServer, TritonServer]]:
    """Two servers that fail on command, each of its own repository."""
    with (
        TritonServer(render_faulty(tmp_path_factory.mktemp("a"))) as one,
        TritonServer(render_faulty(tmp_path_factory.mktemp("b"))) as two,
    ):
        yield one, two


@pytest.fixture
def well(servers: tuple[TritonServer, TritonServer]) -> tuple[TritonServer, TritonServer]:
    """The two servers without a fault; one that a test killed is started again."""
    for server in servers:
        set_fault(server.repository, "")
        if server.process is None or server.process.poll() is not None:
            server.start()
        waiting = TritonEngine([server.address], rules=RULES, side=SIDE, use_shared_memory=False)
        waiting.detect(np.zeros((1, SIDE, SIDE, 3), np.uint8), 0.5)  # behind what the last test gave up
        waiting.close()
    return servers


@pytest.fixture
def engine_of() -> Iterator[StartEngine]:
    """Makes engines that are closed with the test."""
    made: list[TritonEngine] = []

    def make(*addresses: str, rules: Rules = RULES, **more: object) -> TritonEngine:
        made.append(TritonEngine(addresses, rules=rules, side=SIDE, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine(threads=1)


@pytest.fixture(scope="module")
def tiles() -> Rgb:
    return drawn_tiles(4)


@pytest.fixture(scope="module")
def slide(tiles: Rgb) -> ArraySlide:
    """768 x 512 px: 12 tiles."""
    return ArraySlide(np.concatenate([np.concatenate(list(tiles[:3]), axis=1), np.concatenate(list(tiles[1:]), axis=1)]))


def analysed(slide: ArraySlide, engine: Engine, folder: Path) -> Analysis:
    return analyze(slide, engine, folder / "nuclei.parquet", Options(shape=SHAPE))


def assert_same(one: list[Detections], other: list[Detections]) -> None:
    """In number, place, class and colour; confidence within what sums in another order differ by."""
    for a, b in zip(one, other, strict=True):
        assert len(a.x) == len(b.x)
        np.testing.assert_allclose(a.x, b.x, atol=0.01)
        np.testing.assert_allclose(a.y, b.y, atol=0.01)
        np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-3)
        for name in ("label", "hue", "value", "dab_od_centi"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert a.found == b.found


def assert_same_score(one: Analysis, other: Analysis) -> None:
    assert one.n > 100
    np.testing.assert_array_equal(one.histograms.hue_value, other.histograms.hue_value)
    np.testing.assert_array_equal(one.histograms.density, other.histograms.density)


class KillAfter:
    """An engine that calls `strike` once, before its n-th call."""

    def __init__(self, engine: Engine, n: int, strike: Callable[[], None]) -> None:
        self.facts, self.counting_threshold, self.workers = engine.facts, engine.counting_threshold, engine.workers
        self._engine, self._left, self._strike, self._lock = engine, n, strike, threading.Lock()

    def detect(self, tiles: Rgb, faintest: float) -> list[Detections]:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._strike()
        return self._engine.detect(tiles, faintest)


# --- the same as in process ---


@pytest.mark.parametrize("shared", [True, False], ids=["shared memory", "gRPC"])
def test_the_same_nuclei_as_in_process(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, tiles: Rgb, shared: bool
) -> None:
    engine = engine_of(well[0].address, use_shared_memory=shared)
    assert_same(engine.detect(tiles, 0.01), local.detect(tiles, 0.01))
    assert bool(regions(well[0])) == shared


def test_the_same_whatever_the_batch(well: tuple[TritonServer, ...], engine_of: StartEngine, tiles: Rgb) -> None:
    engine = engine_of(well[0].address)
    together = engine.detect(tiles, 0.2)
    assert_same([engine.detect(tile[None], 0.2)[0] for tile in tiles], together)


def test_no_tiles_and_a_tile_without_nuclei_answer_with_none(well: tuple[TritonServer, ...], engine_of: StartEngine) -> None:
    engine = engine_of(well[0].address)
    assert engine.detect(np.empty((0, SIDE, SIDE, 3), np.uint8), 0.28) == []
    (glass,) = engine.detect(np.full((1, SIDE, SIDE, 3), 245, np.uint8), 0.28)
    assert (len(glass.x), glass.found, glass.overflowed) == (0, 0, False)


def test_a_smaller_tile_is_as_in_process_but_for_its_far_edges_and_a_larger_one_is_refused(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, tiles: Rgb
) -> None:
    engine = engine_of(well[0].address)
    part = np.ascontiguousarray(tiles[:, :192, :224])
    for here, there in zip(local.detect(part, 0.28), engine.detect(part, 0.28), strict=True):
        assert there.x.max() < 223.5
        assert there.y.max() < 191.5
        near = (here.x < 160) & (here.y < 128)
        distance = np.hypot(here.x[near, None] - there.x, here.y[near, None] - there.y).min(axis=1)
        assert (distance < 4).mean() > 0.95
    with pytest.raises(Refused, match=r"ENGINE_FAILED.*don't fit"):
        engine.detect(np.zeros((1, 288, 256, 3), np.uint8), 0.28)


def test_a_slide_scores_the_same_as_in_process(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    result = analysed(slide, engine_of(*(s.address for s in well)), tmp_path)
    assert_same_score(result, analysed(slide, local, tmp_path))
    assert result.model.engine == "triton"


def test_a_tile_over_the_places_is_counted_beyond_them(well: tuple[TritonServer, ...], engine_of: StartEngine, tiles: Rgb) -> None:
    set_fault(well[0].repository, "overflow")
    (found,) = engine_of(well[0].address).detect(tiles[:1], 0.28)
    assert (len(found.x), found.found, found.overflowed) == (1024, 1029, True)


# --- one of two fails ---


def test_one_of_two_killed_in_mid_slide_gives_the_same_score(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    engine = engine_of(*(s.address for s in well))
    result = analysed(slide, KillAfter(engine, 6, well[1].kill), tmp_path)
    assert_same_score(result, analysed(slide, local, tmp_path))


def test_one_of_two_that_hangs_in_mid_slide_gives_the_same_score(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    engine = engine_of(*(s.address for s in well), rules=IMPATIENT)
    engine.detect(drawn_tiles(1), 0.28)
    try:
        result = analysed(slide, KillAfter(engine, 6, well[1].freeze), tmp_path)
    finally:
        well[1].thaw()
    assert_same_score(result, analysed(slide, local, tmp_path))


@pytest.mark.parametrize("fault", ["slow 5", "nan", "half", "outside", "shape", "crash"])
def test_one_of_two_that_answers_badly_gives_the_same_score(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, slide: ArraySlide, tmp_path: Path, fault: str
) -> None:
    engine = engine_of(*(s.address for s in well), rules=IMPATIENT)
    result = analysed(slide, KillAfter(engine, 3, lambda: set_fault(well[1].repository, fault)), tmp_path)
    assert_same_score(result, analysed(slide, local, tmp_path))


def test_one_of_two_that_serves_another_model_gets_no_tile(
    well: tuple[TritonServer, ...], engine_of: StartEngine, tmp_path: Path, tiles: Rgb
) -> None:
    with TritonServer(render_faulty(tmp_path, sha256="0" * 64)) as other:
        engine = engine_of(other.address, well[0].address)
        engine.detect(tiles, 0.28)
        assert requests_of(other) == 0
        assert [bool(what) for _, what in engine.check()] == [True, False]


# --- the only one fails ---


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("slow 4", "didn't answer in time"),
        ("nan", "aren't finite"),
        ("half", "another number of peaks"),
        ("outside", "outside of the tile"),
        ("crash", "failed"),
        ("shape", "release's models"),
    ],
)
def test_the_only_server_failing_in_mid_slide_ends_it_with_a_reason_and_no_file(
    well: tuple[TritonServer, ...], engine_of: StartEngine, slide: ArraySlide, tmp_path: Path, fault: str, why: str
) -> None:
    rules = HASTY if fault.startswith("slow") else RULES
    engine = KillAfter(engine_of(well[0].address, rules=rules), 4, lambda: set_fault(well[0].repository, fault))
    with pytest.raises(Failed, match=why):
        analysed(slide, engine, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_only_server_killed_in_mid_slide_ends_it_with_a_reason_and_no_file(
    well: tuple[TritonServer, ...], engine_of: StartEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    engine = KillAfter(engine_of(well[1].address, rules=HASTY), 4, well[1].kill)
    with pytest.raises(Failed, match=r"ENGINE_FAILED.*can't be reached") as failed:
        analysed(slide, engine, tmp_path)
    assert failed.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_comes_back_in_time_is_used_again(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, tiles: Rgb
) -> None:
    engine = engine_of(well[1].address, rules=Rules(timeout_s=5, patience_s=30, rest_s=0.2, longest_rest_s=0.5))
    before = engine.detect(tiles, 0.28)
    well[1].kill()
    threading.Timer(1, well[1].start).start()
    assert_same(engine.detect(tiles, 0.28), before)


def test_an_absent_server_is_named_within_patience(engine_of: StartEngine, tiles: Rgb) -> None:
    port = free_port()
    began = time.monotonic()
    with pytest.raises(Failed, match=f"ENGINE_FAILED: Triton at 127.0.0.1:{port}: it can't be reached") as failed:
        engine_of(f"127.0.0.1:{port}", rules=HASTY).detect(tiles, 0.28)
    assert failed.value.retryable
    assert time.monotonic() - began < HASTY.patience_s + 2


def test_another_version_or_another_graph_is_refused_before_any_tile(engine_of: StartEngine, tmp_path: Path, tiles: Rgb) -> None:
    with TritonServer(render_faulty(tmp_path / "v2", version="2")) as server, pytest.raises(ChromogenError) as failed:
        engine_of(server.address).detect(tiles, 0.28)
    assert failed.value.reason is Reason.MODEL_INVALID
    assert "doesn't serve version 1" in failed.value.message
    with TritonServer(render_faulty(tmp_path / "hash", sha256="0" * 64)) as server, pytest.raises(ChromogenError) as failed:
        engine_of(server.address).detect(tiles, 0.28)
    assert failed.value.reason is Reason.MODEL_INVALID
    assert "SHA-256 differs" in failed.value.message


def test_tiles_of_another_side_are_refused_before_any_tile(well: tuple[TritonServer, ...], tiles: Rgb) -> None:
    engine = TritonEngine([well[0].address], rules=RULES)  # takes production's 1088 px
    with pytest.raises(Failed, match=r"MODEL_INVALID.*other tiles than 1088 px"):
        engine.detect(tiles, 0.28)
    engine.close()


def test_a_server_restarted_with_another_model_in_mid_slide_gets_no_further_tile(
    engine_of: StartEngine, tmp_path: Path, tiles: Rgb
) -> None:
    port = free_port()
    first = TritonServer(render_faulty(tmp_path / "first"), port=port)
    engine = engine_of(first.address)
    with first:
        engine.detect(tiles, 0.28)
    second = TritonServer(render_faulty(tmp_path / "second", sha256="0" * 64), port=port)
    with second, pytest.raises(Failed, match="MODEL_INVALID"):
        engine.detect(tiles, 0.28)


# --- queues ---


def test_a_full_queue_is_waited_for_and_past_patience_the_slide_fails_with_that_reason(
    engine_of: StartEngine, tmp_path: Path, local: LocalEngine, slide: ArraySlide, tiles: Rgb
) -> None:
    repository = render_faulty(tmp_path / "short", queue=1)
    (tmp_path / "out").mkdir()
    with TritonServer(repository) as server:
        set_fault(repository, "slow 0.02")
        result = analysed(slide, engine_of(server.address, rules=Rules(patience_s=60, in_flight=8)), tmp_path / "out")
        assert_same_score(result, analysed(slide, local, tmp_path / "out"))
        set_fault(repository, "slow 1.5")
        blocker = engine_of(server.address, rules=Rules(timeout_s=20))
        blocked = [threading.Thread(target=blocker.detect, args=(tiles[:1], 0.28)) for _ in range(3)]
        for thread in blocked:
            thread.start()
        time.sleep(0.5)
        with pytest.raises(Failed, match="its queue is full") as failed:
            engine_of(server.address, rules=Rules(patience_s=0.5)).detect(tiles[:1], 0.28)
        assert failed.value.retryable
        for thread in blocked:
            thread.join()


def test_a_stat_tile_overtakes_the_routine_ones(well: tuple[TritonServer, ...], engine_of: StartEngine, tiles: Rgb) -> None:
    set_fault(well[0].repository, "slow 0.15")
    rules = Rules(timeout_s=20, patience_s=30)
    routine, stat = engine_of(well[0].address, rules=rules), engine_of(well[0].address, rules=rules, priority=STAT)
    ended: list[str] = []

    def ask(engine: TritonEngine, name: str) -> None:
        engine.detect(tiles[:1], 0.28)
        ended.append(name)

    threads = [threading.Thread(target=ask, args=(routine, "routine")) for _ in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    ask(stat, "STAT")
    for thread in threads:
        thread.join()
    assert ended.index("STAT") <= 8  # the last of thirteen, but for its priority


# --- shared memory ---


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
        found = stub.ModelStatistics(service_pb2.ModelStatisticsRequest(name="ihc_tile"), timeout=5).model_stats
        return int(sum(s.inference_stats.success.count + s.inference_stats.fail.count for s in found))


def test_shared_memory_that_the_server_forgets_in_mid_slide_changes_nothing(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    engine = engine_of(well[0].address, rules=Rules(in_flight=1))
    result = analysed(slide, KillAfter(engine, 4, lambda: unregister_all(well[0])), tmp_path)
    assert_same_score(result, analysed(slide, local, tmp_path))


def test_shared_memory_is_let_go_of_by_all_when_the_engine_closes_even_with_a_request_in_flight(
    well: tuple[TritonServer, ...], tiles: Rgb
) -> None:
    engine = TritonEngine([s.address for s in well], rules=RULES, side=SIDE)
    for _ in range(4):
        engine.detect(tiles[:1], 0.28)
    assert regions(well[0])
    set_fault(well[0].repository, "slow 1")
    set_fault(well[1].repository, "slow 1")
    asking = threading.Thread(target=engine.detect, args=(tiles[:1], 0.28))
    asking.start()
    time.sleep(0.3)
    engine.close()
    asking.join()
    assert [regions(s) for s in well] == [[], []]
    assert not list(FOLDER.glob(f"{PREFIX}{os.getpid()}-*"))
    with pytest.raises(Failed, match="closed"):
        engine.detect(tiles[:1], 0.28)


@pytest.mark.parametrize("end", ["del engine", "sys.exit(0)", "raise KeyboardInterrupt"])
def test_an_engine_that_nobody_closes_leaves_nothing_behind(well: tuple[TritonServer, ...], end: str) -> None:
    program = (
        "import sys, numpy as np\nfrom inference.engines.triton import TritonEngine\n"
        f"engine = TritonEngine(['{well[0].address}'], side={SIDE})\n"
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
        f"engine = TritonEngine(['{well[0].address}'], side={SIDE})\n"
        f"engine.detect(np.zeros((1, {SIDE}, {SIDE}, 3), np.uint8), 0.3)\n"
        "print('ready', flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)
    (left,) = regions(well[0])
    deadline = time.monotonic() + 10  # the system's keeper of shared memory needs a moment to see that its process is gone
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
