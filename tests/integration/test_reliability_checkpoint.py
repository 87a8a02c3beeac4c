"""After a crash at 90 % at most 15 % of the tiles are computed again, and the nuclei are the same. INTEROP.md R-5."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from inference.analysis import Analysis, ModelFacts
from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.checkpoint import PATTERN, Checkpoint
from inference.draw import draw_slide
from inference.engines.local import LocalEngine
from inference.geometry import Region, Size
from inference.infer import TileAnswer
from inference.model import Model
from tests.integration.processes import ROOT, environment
from tests.made_slide import ArraySlide
from tests.models import IHC_TILE, SHAPE

SIDE, OPTIONS = 1664, Options(shape=replace(SHAPE, core=256))
MODEL = replace(IHC_TILE, resolution=replace(IHC_TILE.resolution, coarser=()))
"""Without the first look, which is taken anew at each attempt."""


class CountingEngine:
    """The real one; counts the tiles that it is given."""

    def __init__(self) -> None:
        self._engine, self.tiles = LocalEngine(MODEL, threads=1), 0

    @property
    def facts(self) -> ModelFacts:
        return self._engine.facts

    @property
    def model(self) -> Model:
        return self._engine.model

    @property
    def workers(self) -> int:
        return self._engine.workers

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        self.tiles += len(tiles)
        return self._engine.detect(tiles, faintest)


def slide() -> ArraySlide:
    drawn = draw_slide(size=Size(width=SIDE, height=SIDE), seed=5, h_score=150)
    return ArraySlide(np.ascontiguousarray(drawn.read(Region(x=0, y=0, width=SIDE, height=SIDE))))


def attempt(folder: Path, engine: CountingEngine, *, die_at: float = 2.0) -> Analysis:
    """An analysis in an attempt's folder that kills its process at a share of its tiles."""
    folder.mkdir(parents=True)

    def progress(share: float) -> None:
        if share >= die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return analyze(slide(), engine, NUCLEAR, folder / "nuclei.parquet", OPTIONS, progress, Checkpoint.in_case(folder))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Analysis, int]:
    """An uninterrupted analysis: its folder, what it found, how many tiles it took."""
    engine, folder = CountingEngine(), tmp_path_factory.mktemp("whole") / "1"
    return folder, attempt(folder, engine), engine.tiles


def die(folder: Path, die_at: float) -> None:
    command = [sys.executable, "-m", "tests.integration.test_reliability_checkpoint", str(folder), str(die_at)]
    assert subprocess.run(command, cwd=ROOT, env=environment({}), check=False).returncode == -signal.SIGKILL


def check_same(folder: Path, found: Analysis, whole: tuple[Path, Analysis, int]) -> None:
    whole_folder, expected, _ = whole
    assert pq.read_table(folder / "nuclei.parquet").equals(pq.read_table(whole_folder / "nuclei.parquet"))
    for name, table in expected.histograms.tables.items():
        np.testing.assert_array_equal(found.histograms[name], table)
    assert (found.tiles, found.warnings, found.tissue_mm2) == (expected.tiles, expected.warnings, expected.tissue_mm2)


def test_r5_after_a_crash_at_ninety_percent_few_tiles_are_computed_again_and_nothing_differs(
    tmp_path: Path, whole: tuple[Path, Analysis, int]
) -> None:
    die(tmp_path / "1", 0.9)
    engine = CountingEngine()
    found = attempt(tmp_path / "2", engine)
    assert whole[2] > 30
    assert 0 < engine.tiles <= 0.15 * whole[2]
    check_same(tmp_path / "2", found, whole)


def test_r5_after_two_crashes_the_third_goes_on_from_the_second_but_not_from_another_model_s(
    tmp_path: Path, whole: tuple[Path, Analysis, int]
) -> None:
    for number, share in enumerate((0.3, 0.6), 1):
        die(tmp_path / str(number), share)
    (second,) = tmp_path.glob(f"2/{PATTERN}")
    (tmp_path / "2" / PATTERN.replace("*", "other")).write_bytes(b"?" * 32 + second.read_bytes()[32:] * 2)
    engine = CountingEngine()
    found = attempt(tmp_path / "3", engine)
    assert 0.3 * whole[2] <= engine.tiles <= 0.45 * whole[2]
    check_same(tmp_path / "3", found, whole)


if __name__ == "__main__":
    attempt(Path(sys.argv[1]), CountingEngine(), die_at=float(sys.argv[2]))
