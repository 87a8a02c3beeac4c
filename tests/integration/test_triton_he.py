"""The H&E network on a real Triton server: the maps that it answers with, and the nuclei made of them."""

from pathlib import Path

import numpy as np
import pytest

from inference.analyze import Options, analyze
from inference.analyzers.he import HE
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.contour import CONTOUR
from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from inference.engines.local import LocalEngine
from inference.infer import Engine
from inference.model import read_model, shipped_models
from inference.slide import Rgb
from inference.tile import TileShape
from tests.faulty_triton import SIDE
from tests.inference.he_engine import PictureSlide
from tests.integration.triton_cases import StartEngine, regions
from tests.triton_server import TritonServer

pytestmark = pytest.mark.usefixtures("tritonserver")
MODEL = read_model(shipped_models(), "he_nuclei")
SHAPE = TileShape(core=SIDE - 2 * MODEL.tile.halo, halo=MODEL.tile.halo, stride=MODEL.tile.stride)


@pytest.fixture(scope="module")
def pixels() -> Rgb:
    return HeDrawing(Plan(side_um=96, tissue=1.0), Scanner(jpeg=None), seed=5).pixels()


def found(pixels: Rgb, engine: Engine, folder: Path) -> Cells:
    path = folder / "cells.parquet"
    analyze(PictureSlide(pixels=pixels), engine, HE, path, Options(shape=SHAPE))
    return joined(list(read_cells(path, HE.schema)))


@pytest.mark.parametrize("shared", [True, False], ids=["shared memory", "gRPC"])
def test_the_same_nuclei_as_in_process(
    well: tuple[TritonServer, ...], engine_of: StartEngine, pixels: Rgb, tmp_path: Path, shared: bool
) -> None:
    there, here = engine_of(well[0].address, model=MODEL, use_shared_memory=shared), LocalEngine(MODEL, threads=1)
    tile = pixels[None, :SIDE, :SIDE]
    answers = zip(there.detect(tile, 0.0), here.detect(tile, 0.0), strict=True)
    assert all(np.array_equal(a.maps[name], b.maps[name]) for a, b in answers for name in b.maps)
    one, other = found(pixels, there, tmp_path), found(pixels, here, tmp_path)
    assert len(one) > 20
    assert (one[CONTOUR] == other[CONTOUR]).all()
    assert (one["kind"] == other["kind"]).all()
    assert bool(regions(well[0])) == shared
