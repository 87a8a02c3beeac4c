"""One slide laid of tiles: decoding alone, the network alone, end to end, in the same run; time by area and peak
memory.

    python -m tests.benchmarks.slide [--side 20480] [--folder DIR] [--repeat 3]

Efficiency is the throughput end to end over that of the slower of decoding alone and the network alone. Runs alternate,
each in a process of its own, and medians are compared: other work on the machine then slows all of them alike.
`efficiency_cpu` is the same ratio in processor seconds, which other work hardly touches: what the path costs beyond its
network.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.engines.local import LocalEngine
from inference.geometry import Region, Size
from inference.tile import Tile, TileShape, pixels, plan
from tests.benchmarks.measure import Clock, Figures, in_process, laid, median, mm2, report, slide_folder, source
from tests.models import IHC_TILE, SHAPE
from tests.opened import open_slide

NETWORK_TILES = 60


def decode_alone(folder: str) -> Figures:
    """A sweep over all tiles, one thread, as the path reads them."""
    slide, shape = open_slide(Path(folder)), SHAPE
    tiles = _all_tiles(slide.working.size, shape)
    clock = Clock()
    for tile in tiles:
        pixels(slide, tile, shape)
    return clock.cost(mm2(slide.working.size, slide.working.mpp)).figures()


def network_alone(folder: str) -> Figures:
    """Tiles that are in memory already, on all cores; the area is that of their cores."""
    slide, shape, engine = open_slide(Path(folder)), SHAPE, LocalEngine(IHC_TILE)
    whole = [t for t in _all_tiles(slide.working.size, shape) if t.core.size.area == shape.core**2][:NETWORK_TILES]
    images = [pixels(slide, t, shape)[None] for t in whole]
    with ThreadPoolExecutor(engine.workers) as pool:
        list(pool.map(lambda i: engine.detect(i, IHC_TILE.counting_threshold), images[: engine.workers]))  # compiles
        clock = Clock()
        list(pool.map(lambda i: engine.detect(i, IHC_TILE.counting_threshold), images))
        return clock.cost(mm2(Size(width=shape.core, height=shape.core)) * len(whole)).figures()


def end_to_end(folder: str) -> Figures:
    """A whole analysis, nuclei written to a file; the engine's start is not counted."""
    slide, engine = open_slide(Path(folder)), LocalEngine(IHC_TILE)
    engine.detect(np.full((1, SHAPE.side, SHAPE.side, 3), 200, np.uint8), IHC_TILE.counting_threshold)
    with TemporaryDirectory() as out:
        clock = Clock()
        analysis = analyze(slide, engine, NUCLEAR, Path(out) / "nuclei.parquet", Options())
        cost = clock.cost(mm2(slide.working.size, slide.working.mpp))
    stages = {f"{k}_s": round(v, 2) for k, v in analysis.seconds.items()}
    return cost.figures() | {"nuclei": analysis.n} | stages


STAGES = (decode_alone, network_alone, end_to_end)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=20480, help="px of the slide's side at 0.5 µm/px")
    parser.add_argument("--folder", type=Path, help="where to lay slides (kept); a temporary folder else")
    parser.add_argument("--repeat", type=int, default=3, help="alternating runs")
    args = parser.parse_args()
    with slide_folder(args.folder) as folder:
        runs = measured(laid(folder, args.side), args.repeat)
        small = in_process(end_to_end, laid(folder, args.side // 4))
    summarise(runs, small, side=args.side)


def measured(slide: Path, repeat: int) -> dict[str, list[Figures]]:
    """The figures of each stage, `repeat` times, in turn."""
    runs: dict[str, list[Figures]] = {s.__name__: [] for s in STAGES}
    for _ in range(repeat):
        for stage in STAGES:
            runs[stage.__name__].append(in_process(stage, slide))
    return runs


def summarise(runs: dict[str, list[Figures]], small: Figures, *, side: int) -> None:
    """A line a stage (its median run), and one that compares them."""

    def middle(stage: str, figure: str) -> float:
        return median(float(run[figure]) for run in runs[stage])

    for stage, figures in runs.items():
        report(f"slide_{stage}", **sorted(figures, key=lambda f: f["seconds"])[len(figures) // 2])
    alone = ("decode_alone", "network_alone")
    limit, cpu_limit = (max(middle(s, f) for s in alone) for f in ("s_per_mm2", "cpu_s_per_mm2"))
    report(
        "slide",
        source=source(),
        side=side,
        runs=len(runs["end_to_end"]),
        efficiency=round(limit / middle("end_to_end", "s_per_mm2"), 3),
        efficiency_cpu=round(cpu_limit / middle("end_to_end", "cpu_s_per_mm2"), 3),
        s_per_mm2=middle("end_to_end", "s_per_mm2"),
        network_s_per_mm2=middle("network_alone", "s_per_mm2"),
        peak_mb=middle("end_to_end", "peak_mb"),
        peak_mb_of_a_sixteenth=small["peak_mb"],
    )


def _all_tiles(size: Size, shape: TileShape) -> list[Tile]:
    return plan(size, shape, Region(x=0, y=0, width=size.width, height=size.height), None)


if __name__ == "__main__":
    main()
