"""The engine on real Triton servers, well and failing: the slide ends with the same nuclei, or with a reason."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.engines.local import LocalEngine
from inference.engines.triton import Rules, TritonEngine
from inference.errors import ChromogenError, Failed, Reason, Refused
from inference.infer import Urgency
from inference.model import read_model
from inference.slide import Rgb
from tests.faulty_triton import SIDE, drawn_tiles, other_weights, render_faulty, set_fault
from tests.integration.triton_cases import (
    HASTY,
    IMPATIENT,
    RULES,
    KillAfter,
    StartEngine,
    analysed,
    assert_same,
    assert_same_score,
    regions,
    requests_of,
)
from tests.made_slide import ArraySlide
from tests.models import IHC_TILE
from tests.triton_balancer import Balancer
from tests.triton_server import TritonServer, free_port

pytestmark = pytest.mark.usefixtures("tritonserver")


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


def test_no_tiles_and_a_tile_without_nuclei_answer_with_none(
    well: tuple[TritonServer, ...], engine_of: StartEngine
) -> None:
    engine = engine_of(well[0].address)
    assert engine.detect(np.empty((0, SIDE, SIDE, 3), np.uint8), 0.28) == []
    (glass,) = engine.detect(np.full((1, SIDE, SIDE, 3), 245, np.uint8), 0.28)
    assert (len(glass.columns["x"]), glass.found, glass.overflowed) == (0, 0, False)


def test_a_smaller_tile_is_as_in_process_but_for_its_far_edges_and_a_larger_one_is_refused(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, tiles: Rgb
) -> None:
    engine = engine_of(well[0].address)
    part = np.ascontiguousarray(tiles[:, :192, :224])
    for here, there in zip(local.detect(part, 0.28), engine.detect(part, 0.28), strict=True):
        (x, y), (filled_x, filled_y) = ((answer.columns["x"], answer.columns["y"]) for answer in (here, there))
        assert filled_x.max() < 223.5
        assert filled_y.max() < 191.5
        near = (x < 160) & (y < 128)
        distance = np.hypot(x[near, None] - filled_x, y[near, None] - filled_y).min(axis=1)
        assert (distance < 4).mean() > 0.95
    with pytest.raises(Refused, match=r"ENGINE_FAILED.*don't fit"):
        engine.detect(np.zeros((1, 288, 256, 3), np.uint8), 0.28)


def test_a_slide_scores_the_same_as_in_process(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    result = analysed(slide, engine_of(*(s.address for s in well)), tmp_path)
    assert_same_score(result, analysed(slide, local, tmp_path))
    assert result.model.engine == "triton"


def test_a_tile_over_the_places_is_counted_beyond_them(
    well: tuple[TritonServer, ...], engine_of: StartEngine, tiles: Rgb
) -> None:
    set_fault(well[0].repository, "overflow")
    (found,) = engine_of(well[0].address).detect(tiles[:1], 0.28)
    assert (len(found.columns["x"]), found.found, found.overflowed) == (1024, 1029, True)


# --- one of two fails ---


@pytest.mark.timeout(200, func_only=True)
def test_one_of_two_killed_in_mid_slide_gives_the_same_score_and_is_not_waited_for(
    well: tuple[TritonServer, ...], engine_of: StartEngine, local: LocalEngine, wide_slide: ArraySlide, tmp_path: Path
) -> None:
    """Whoever waited for it would wait an hour. What it costs: tests/benchmarks/killed.py."""
    for server in well:
        set_fault(server.repository, "slow 0.125")
    engine = engine_of(*(s.address for s in well), rules=Rules(timeout_s=3600, patience_s=3600, in_flight=2))
    engine.detect(drawn_tiles(2), 0.28)
    struck = analysed(wide_slide, KillAfter(engine, 14, well[1].kill), tmp_path)  # 10 of 24 tiles are done by then
    assert_same_score(struck, analysed(wide_slide, local, tmp_path))


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
    well: tuple[TritonServer, ...],
    engine_of: StartEngine,
    local: LocalEngine,
    slide: ArraySlide,
    tmp_path: Path,
    fault: str,
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
        ("outside", "x outside of"),
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


@pytest.mark.timeout(60, func_only=True)
def test_an_absent_server_is_named_once_patience_is_over(engine_of: StartEngine, tiles: Rgb) -> None:
    port = free_port()
    with pytest.raises(Failed, match=f"ENGINE_FAILED: Triton at 127.0.0.1:{port}: it can't be reached") as failed:
        engine_of(f"127.0.0.1:{port}", rules=HASTY).detect(tiles, 0.28)
    assert failed.value.retryable


def test_s3_another_version_or_another_graph_is_refused_before_any_tile(
    engine_of: StartEngine, tmp_path: Path, tiles: Rgb
) -> None:
    with TritonServer(render_faulty(tmp_path / "v2", version="2")) as server, pytest.raises(ChromogenError) as failed:
        engine_of(server.address).detect(tiles, 0.28)
    assert failed.value.reason is Reason.MODEL_INVALID
    assert "doesn't serve version 1" in failed.value.message
    with (
        TritonServer(render_faulty(tmp_path / "hash", sha256="0" * 64)) as server,
        pytest.raises(ChromogenError) as failed,
    ):
        engine_of(server.address).detect(tiles, 0.28)
    assert failed.value.reason is Reason.MODEL_INVALID
    assert "SHA-256 differs" in failed.value.message


def test_tiles_of_another_side_are_refused_before_any_tile(well: tuple[TritonServer, ...], tiles: Rgb) -> None:
    engine = TritonEngine([well[0].address], IHC_TILE, rules=RULES)  # takes production's 1088 px
    with pytest.raises(Failed, match=r"MODEL_INVALID.*other tiles than 1088 px"):
        engine.detect(tiles, 0.28)
    engine.close()


def test_a_server_restarted_with_another_model_in_mid_slide_gives_no_further_tile(
    engine_of: StartEngine, tmp_path: Path, tiles: Rgb
) -> None:
    port = free_port()
    first = TritonServer(render_faulty(tmp_path / "first"), port=port)
    engine = engine_of(first.address)
    with first:
        engine.detect(tiles, 0.28)
    second = TritonServer(render_faulty(tmp_path / "second", models=other_weights(tmp_path / "models")), port=port)
    with second, pytest.raises(Failed, match="MODEL_INVALID"):
        engine.detect(tiles, 0.28)


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server of another release: other weights, and everything said of them is true."""
    folder = tmp_path_factory.mktemp("another")
    with TritonServer(render_faulty(folder / "served", models=other_weights(folder / "models"))) as server:
        yield server


def test_a_balancer_that_hides_a_server_with_other_weights_ends_the_slide_without_a_score(
    well: tuple[TritonServer, ...], another: TritonServer, engine_of: StartEngine, slide: ArraySlide, tmp_path: Path
) -> None:
    """The first server answers for what is served, and every second tile would be the other's: no
    such answer is taken.
    """
    with Balancer([well[0].address, another.address]) as before, pytest.raises(Failed, match="another graph") as failed:
        analysed(slide, engine_of(before.address), tmp_path)
    assert failed.value.reason is Reason.MODEL_INVALID
    assert failed.value.retryable  # servers are being exchanged: the next attempt may meet only new ones
    assert list(tmp_path.iterdir()) == []


def test_with_another_way_to_go_a_hidden_server_with_other_weights_changes_no_tile(
    well: tuple[TritonServer, ...],
    another: TritonServer,
    engine_of: StartEngine,
    local: LocalEngine,
    slide: ArraySlide,
    tmp_path: Path,
) -> None:
    theirs = read_model(another.repository.parent / "models", IHC_TILE.folder)
    mixed = analysed(slide, engine_of(another.address, model=theirs), tmp_path)
    assert mixed.n != analysed(slide, local, tmp_path).n  # the other weights do find other nuclei
    with Balancer([well[0].address, another.address]) as before:
        result = analysed(slide, engine_of(before.address, well[1].address), tmp_path)
    assert len(before.inferences) >= 2
    assert_same_score(result, analysed(slide, local, tmp_path))


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
        set_fault(repository, "slow 3")  # one computes, one is on its way, one fills the queue, the others wait for it
        blocker = engine_of(server.address, rules=Rules(timeout_s=60))
        blocked = [threading.Thread(target=blocker.detect, args=(tiles[:1], 0.28)) for _ in range(6)]
        for thread in blocked:
            thread.start()
        time.sleep(1.5)
        try:
            with pytest.raises(Failed, match="its queue is full") as failed:
                engine_of(server.address, rules=Rules(patience_s=0.5)).detect(tiles[:1], 0.28)
            assert failed.value.retryable
        finally:
            set_fault(repository, "")
            for thread in blocked:
                thread.join()


def test_stat_overtakes_asap_and_asap_overtakes_routine(engine_of: StartEngine, tiles: Rgb, tmp_path: Path) -> None:
    """Twelve routine tiles are with a server that computes one at a time when one ASAP and then one STAT tile come."""
    repository = render_faulty(tmp_path, max_batch=1)  # of a batch, nobody could say who ended first
    rules = Rules(timeout_s=30, patience_s=30, in_flight=12)
    ended: list[Urgency] = []
    with TritonServer(repository) as server:
        engines = {urgency: engine_of(server.address, rules=rules).asked_with(urgency) for urgency in Urgency}
        for engine in engines.values():
            engine.detect(tiles[:1], 0.28)  # its connection and its memory are known to the server before the race
        set_fault(repository, "slow 3")

        def ask(urgency: Urgency) -> None:
            engines[urgency].detect(tiles[:1], 0.28)
            ended.append(urgency)

        threads = [
            threading.Thread(target=ask, args=(u,)) for u in [Urgency.ROUTINE] * 12 + [Urgency.ASAP, Urgency.STAT]
        ]
        for thread in threads:
            thread.start()
            time.sleep(1.0 if thread is threads[11] else 0)  # the first routine one is computed now, for three seconds
        time.sleep(0.5)
        set_fault(repository, "slow 0.1")
        for thread in threads:
            thread.join()
        for engine in engines.values():
            engine.close()
    assert ended.index(Urgency.STAT) < ended.index(Urgency.ASAP) <= 8  # the last two of fourteen, but for their urgency
