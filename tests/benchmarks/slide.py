"""One slide laid of tiles: decoding alone, the network alone, end to end, in the same run; time by area and peak memory.

    python -m tests.benchmarks.slide [--side 20480] [--folder DIR]

Efficiency is the throughput end to end over that of the slower of decoding alone and the network alone. Each measurement is
a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from inference.analyze import Options, analyze
from inference.engines.local import LocalEngine
from inference.geometry import Region, Size
from inference.tile import TileShape, pixels, plan
from server.retrieve.slide import open_slide
from tests.laid import LaidTiles, lay_tiles

NETWORK_TILES = 60


def decode_alone(slide_folder: Path) -> tuple[float, float]:
    """Seconds and mm² of a sweep over all tiles, one thread, as the path reads them."""
    slide, shape = open_slide(slide_folder), TileShape()
    size = slide.working.size
    tiles = plan(size, shape, Region(x=0, y=0, width=size.width, height=size.height), None)
    began = time.perf_counter()
    for tile in tiles:
        pixels(slide, tile, shape)
    return time.perf_counter() - began, _mm2(size, slide.working.mpp)


def network_alone(slide_folder: Path) -> tuple[float, float]:
    """Seconds and mm² of owned tissue of tiles that are in memory already, on all cores."""
    slide, shape, engine = open_slide(slide_folder), TileShape(), LocalEngine()
    size = slide.working.size
    tiles = plan(size, shape, Region(x=0, y=0, width=size.width, height=size.height), None)
    whole = [t for t in tiles if t.core.size.area == shape.core**2][:NETWORK_TILES]
    images = [pixels(slide, t, shape)[None] for t in whole]
    with ThreadPoolExecutor(engine.workers) as pool:
        list(pool.map(lambda i: engine.detect(i, engine.counting_threshold), images[: engine.workers]))  # compiles
        began = time.perf_counter()
        list(pool.map(lambda i: engine.detect(i, engine.counting_threshold), images))
        return time.perf_counter() - began, _mm2(Size(width=shape.core, height=shape.core), 0.5) * len(whole)


def end_to_end(slide_folder: Path) -> tuple[float, float]:
    """Seconds and mm² of a whole analysis, nuclei written to a file; the engine's start is not counted."""
    slide, engine = open_slide(slide_folder), LocalEngine()
    engine.detect(np.full((1, TileShape().side, TileShape().side, 3), 200, np.uint8), engine.counting_threshold)
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        analysis = analyze(slide, engine, Path(out) / "nuclei.parquet", Options())
        seconds = time.perf_counter() - began
    print(json.dumps({"nuclei": analysis.n, "stages": {k: round(v, 2) for k, v in analysis.seconds.items()}}), file=sys.stderr)
    return seconds, _mm2(slide.working.size, slide.working.mpp)


STAGES: dict[str, Callable[[Path], tuple[float, float]]] = {
    "decode_alone": decode_alone, "network_alone": network_alone, "end_to_end": end_to_end,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=20480, help="px of the slide's side at 0.5 µm/px")
    parser.add_argument("--folder", type=Path, help="where to lay slides (kept); a temporary folder else")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        measure(args.stage, args.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        full = laid(folder, args.side)
        figures = {stage: run(stage, full) for stage in STAGES}
        limit = max(figures[s]["s_per_mm2"] for s in ("decode_alone", "network_alone"))
        small = run("end_to_end", laid(folder, args.side // 4))
    figures["end_to_end_sixteenth"] = small
    for stage, figure in figures.items():
        print(json.dumps({"benchmark": stage, **figure}))
    summary = {
        "benchmark": "slide", "source": LaidTiles(Size(width=800, height=800)).source, "cores": len(os.sched_getaffinity(0)),
        "efficiency": round(limit / figures["end_to_end"]["s_per_mm2"], 3), "s_per_mm2": figures["end_to_end"]["s_per_mm2"],
        "peak_mb": figures["end_to_end"]["peak_mb"], "peak_mb_of_a_sixteenth": small["peak_mb"],
    }  # fmt: skip
    print(json.dumps(summary))


def laid(folder: Path, side: int) -> Path:
    """The folder of a laid slide of that side, made where it isn't there yet."""
    path = folder / f"laid-{side}"
    if not path.exists():
        path.mkdir(parents=True)
        lay_tiles(path, size=Size(width=side, height=side))
    return path


def run(stage: str, slide_folder: Path) -> dict[str, float]:
    """One stage in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.slide", "--stage", stage, "--folder", str(slide_folder)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, float] = json.loads(out)
    return figures


def measure(stage: str, slide_folder: Path) -> None:
    """Print a stage's seconds, area and peak memory as JSON."""
    seconds, mm2 = STAGES[stage](slide_folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {"seconds": round(seconds, 2), "mm2": round(mm2, 2), "s_per_mm2": round(seconds / mm2, 4), "peak_mb": round(peak)}
        )
    )


def _mm2(size: Size, mpp: float) -> float:
    return size.area * (mpp / 1000) ** 2


if __name__ == "__main__":
    main()
