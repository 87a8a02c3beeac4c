"""How the path grows: with cores, with the slide's size, with the number of nuclei (to 5,000,000; no network in that
one).

python -m tests.benchmarks.scaling [--folder DIR] [--sides 2048 4096 8192] [--repeat 3]
"""

import argparse
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.engines.local import LocalEngine
from inference.geometry import Grid, Region, Size
from inference.infer import TileAnswer
from inference.slide import Level, Rgb, SlideFacts
from tests.benchmarks.measure import (
    Clock,
    Figures,
    in_process,
    laid,
    median,
    mm2,
    report,
    slide_folder,
    source,
    tiles_in_memory,
)
from tests.benchmarks.slide import end_to_end
from tests.models import IHC_TILE, SHAPE

NUCLEI = (100_000, 1_000_000, 5_000_000)
TISSUE = 200


class CrowdEngine:
    """Answers at once with `n` nuclei in each tile: what the path around the network costs."""

    model = IHC_TILE
    facts = ModelFacts(name="crowd", version="1", sha256="0" * 64, graphs=(), engine="benchmark")
    workers = 2

    def __init__(self, n: int) -> None:
        random, side = np.random.default_rng(0), SHAPE.side
        x, y = random.uniform(32, side - 33, (2, n)).astype(np.float32)
        columns = {
            "x": x,
            "y": y,
            "label": random.integers(0, 2, n).astype(np.int32),
            "nucleus": np.full(n, 0.9, np.float32),
            "confidence": random.uniform(0.5, 0.9, n).astype(np.float32),
            "hue": random.integers(0, 360, n).astype(np.int32),
            "value": random.integers(0, 256, n).astype(np.int32),
            "dab_od_centi": random.integers(0, 301, n).astype(np.int32),
        }
        self._found = TileAnswer(columns=columns, found=n)

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        return [self._found] * len(tiles)


class PlainSlide:
    """Tissue of one colour, made as it is read: a slide that takes no memory."""

    def __init__(self, size: Size) -> None:
        self.facts = SlideFacts(mpp=0.5, size=size, levels=(Level(size=size, mpp=0.5),), sha256="0" * 64)
        self.working = Grid(size=size, mpp=0.5, scale=1.0)

    def read(self, region: Region) -> Rgb:
        return np.full((region.height, region.width, 3), TISSUE, np.uint8)

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        factor = int(mpp / 0.5)
        size = Size(width=self.working.size.width // factor, height=self.working.size.height // factor)
        return np.full((size.height, size.width, 3), TISSUE, np.uint8), Grid(
            size=size, mpp=0.5 * factor, scale=float(factor)
        )

    def close(self) -> None:
        pass


def crowd(nuclei: int) -> Figures:
    """An analysis of the same 100 tiles with that many nuclei in all; returns with its peak memory."""
    return plain(10 * SHAPE.core, nuclei // 100)


def large_slide(side: int) -> Figures:
    """An analysis of a slide of that side, all tissue, 500 nuclei a tile."""
    return plain(side, 500)


def plain(side: int, nuclei: int) -> Figures:
    """What the path takes round the network, for so many nuclei a tile."""
    slide = PlainSlide(Size(width=side, height=side))
    with tempfile.TemporaryDirectory() as out:
        file = Path(out) / "nuclei.parquet"
        clock = Clock()
        analysis = analyze(slide, CrowdEngine(nuclei), NUCLEAR, file, Options(refuse_mismatch=True))
        cost = clock.cost(mm2(slide.working.size))
        return cost.figures() | {"nuclei": analysis.n, "file_mb": round(file.stat().st_size / 1e6, 1)}


def threads(n: int) -> Figures:
    """Tiles a second of the network on n threads, tiles in memory."""
    tiles, engine = tiles_in_memory(1, SHAPE.side), LocalEngine(IHC_TILE, threads=n)
    with ThreadPoolExecutor(n) as pool:
        list(pool.map(lambda _: engine.detect(tiles, IHC_TILE.counting_threshold), range(n)))
        clock = Clock()
        list(pool.map(lambda _: engine.detect(tiles, IHC_TILE.counting_threshold), range(8 * n)))
        return clock.cost(mm2(Size(width=SHAPE.core, height=SHAPE.core)) * 8 * n).figures()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to lay slides (kept); a temporary folder else")
    parser.add_argument("--sides", type=int, nargs="+", default=[2048, 4096, 8192, 16384])
    parser.add_argument("--repeat", type=int, default=3, help="alternating runs over the numbers of threads")
    args = parser.parse_args()
    counts = range(1, len(os.sched_getaffinity(0)) + 1)
    runs: dict[int, list[float]] = {n: [] for n in counts}
    for _ in range(args.repeat):
        for n in counts:
            runs[n].append(float(in_process(threads, n)["s_per_mm2"]))
    for n, seconds in runs.items():
        report(
            "scaling_threads",
            threads=n,
            s_per_mm2=median(seconds),
            speedup=round(median(runs[1]) / median(seconds), 2),
            source=source(),
        )
    for n in NUCLEI:
        report("scaling_nuclei", **in_process(crowd, n))
    with slide_folder(args.folder) as folder:
        for side in args.sides:
            report("scaling_slide", side=side, **in_process(end_to_end, laid(folder, side)))


if __name__ == "__main__":
    main()
