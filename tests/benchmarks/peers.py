"""Others that need no weights, beside ours in the same run: core-seconds a gigapixel, one thread each.

    python -m tests.benchmarks.peers [--side 4096] [--python PEERS/bin/python] [--repeat 3]

They are installed by pip into a folder that goes with the benchmark (or run in the environment of `--python`); wsidicom
is ours too. Peers that need a network (TIAToolbox, LazySlide) are in `tests.benchmarks.same_network`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from wsidicom import WsiDicom

from inference.geometry import Size
from tests.benchmarks.measure import (
    Clock,
    Figures,
    in_process,
    laid,
    median,
    mm2,
    one_core,
    report,
    slide_folder,
    source,
    tiles_in_memory,
)
from tests.benchmarks.slide import decode_alone, end_to_end

PACKAGES = ("numpy", "scipy", "scikit-image", "openslide-python", "openslide-bin")
PROGRAM = Path(__file__).with_name("peer_program.py")
TILES, SIDE = 8, 1024  # px
PIXELS_PER_MM2 = 4_000_000
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--folder", type=Path, help="where to lay the slide (kept); a temporary folder else")
    parser.add_argument("--python", type=Path, help="an interpreter that has the peers; else they are installed")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, slide_folder(args.folder) as folder:
        try:
            python = args.python or installed(Path(temporary) / "peers")
        except subprocess.CalledProcessError:
            report("peers", not_run=f"pip can't install {', '.join(PACKAGES)} here")
            return
        slide, tiles = laid(folder, args.side), Path(temporary) / "tiles.npy"
        np.save(tiles, tiles_in_memory(TILES, SIDE))
        with one_core():
            compare(python, slide, tiles, args.repeat)


def compare(python: Path, slide: Path, tiles: Path, repeat: int) -> None:
    """A line for each of us, the median of alternating runs."""
    largest = max(slide.glob("*.dcm"), key=lambda p: p.stat().st_size)
    runs: dict[str, list[float]] = {}
    for _ in range(repeat):
        ours = {
            "chromogen, decoding alone": in_process(decode_alone, slide),
            "chromogen, end to end": in_process(end_to_end, slide),
            "wsidicom, decoding alone": in_process(wsidicom_alone, slide),
        }
        theirs = {
            "OpenSlide, decoding alone": peer(python, "openslide", largest),
            "scikit-image, watershed, tiles in memory": peer(python, "watershed", tiles),
            "scikit-image, blob_log, tiles in memory": peer(python, "blob_log", tiles),
        }
        for name, figures in ours.items():
            runs.setdefault(name, []).append(float(figures["cpu_s_per_mm2"]) / PIXELS_PER_MM2 * 1e9)
        for name, figures in theirs.items():
            runs.setdefault(name, []).append(float(figures["core_seconds"]) / float(figures["pixels"]) * 1e9)
    for name, seconds in runs.items():
        report("peers", who=name, core_s_per_gigapixel=median(seconds, 1), runs=repeat, source=source())


def wsidicom_alone(folder: str) -> Figures:
    """Reads regions of the largest level, row by row, as `peer_program` does by OpenSlide."""
    with WsiDicom.open(folder) as slide:
        size = Size(width=slide.size.width // SIDE * SIDE, height=slide.size.height // SIDE * SIDE)
        clock = Clock()
        for y in range(0, size.height, SIDE):
            for x in range(0, size.width, SIDE):
                np.asarray(slide.read_region((x, y), 0, (SIDE, SIDE)))
        return clock.cost(mm2(size)).figures()


def peer(python: Path, program: str, path: Path) -> Figures:
    done = subprocess.run(
        [str(python), str(PROGRAM), program, str(path)],
        env=os.environ | ONE_THREAD,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def installed(folder: Path) -> Path:
    """An environment with the peers. Raises CalledProcessError where pip can't."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin/python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stderr=subprocess.DEVNULL)
    return python


if __name__ == "__main__":
    main()
