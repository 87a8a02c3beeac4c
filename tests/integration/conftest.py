"""Fixtures of the integration tests: the real Triton server, fetched once; a worklist."""

import os
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from inference.engines.local import LocalEngine
from inference.engines.triton import Rules, TritonEngine
from inference.errors import Failed
from inference.model import Model
from inference.slide import Rgb
from tests.faulty_triton import SIDE, drawn_tiles, render_faulty, set_fault
from tests.integration.triton_cases import RULES, StartEngine
from tests.made_slide import ArraySlide
from tests.models import IHC_TILE
from tests.triton_server import TritonServer, Unavailable, server_folder
from tests.ups_peer import UpsPeer, ups_peer


@pytest.fixture(scope="session")
def tritonserver() -> None:
    """Skips where the server can't be had; under CI=true that is a failure."""
    try:
        server_folder()
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


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
        waiting = TritonEngine([server.address], IHC_TILE, rules=RULES, side=SIDE, use_shared_memory=False)
        _answers(waiting)
        waiting.close()
    return servers


def _answers(engine: TritonEngine) -> None:
    """Behind what the last test gave up: where the machine is busy that takes longer than a call may."""
    for _ in range(2):
        with suppress(Failed):
            engine.detect(np.zeros((1, SIDE, SIDE, 3), np.uint8), 0.5)
            return
    engine.detect(np.zeros((1, SIDE, SIDE, 3), np.uint8), 0.5)


@pytest.fixture
def engine_of() -> Iterator[StartEngine]:
    """Makes engines that are closed with the test."""
    made: list[TritonEngine] = []

    def make(*addresses: str, model: Model = IHC_TILE, rules: Rules = RULES, **more: object) -> TritonEngine:
        made.append(TritonEngine(addresses, model, rules=rules, side=SIDE, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine(IHC_TILE, threads=1)


@pytest.fixture(scope="module")
def tiles() -> Rgb:
    return drawn_tiles(4)


@pytest.fixture(scope="module")
def slide(tiles: Rgb) -> ArraySlide:
    """768 x 512 px: 12 tiles."""
    return ArraySlide(_laid_out(tiles))


@pytest.fixture(scope="module")
def wide_slide(tiles: Rgb) -> ArraySlide:
    """1536 x 512 px: 24 tiles."""
    half = _laid_out(tiles)
    return ArraySlide(np.concatenate([half, half[:, ::-1]], axis=1))


def _laid_out(tiles: Rgb) -> Rgb:
    return np.concatenate([np.concatenate(list(tiles[:3]), axis=1), np.concatenate(list(tiles[1:]), axis=1)])


@pytest.fixture
def peer() -> Iterator[UpsPeer]:
    """A worklist of Unified Procedure Steps."""
    with ups_peer() as made:
        yield made
