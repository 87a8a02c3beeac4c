"""How long a DICOM slide takes to open, and how much memory that takes, by its number of frames.

    python -m tests.benchmarks.opening [--repeat 3] [--frames 400 180000]

One JSON line a number of frames and way of giving their places: in order (TILED_FULL), read by our index, or each with
a place of its own (TILED_SPARSE), read by wsidicom. Then pyramids of `--levels`, a file each, 400 frames of tissue in
the largest: `first_ms` is with a comparison of the levels, which is remembered, `ms` without. Each in a process of its
own, the best of `--repeat`; libraries are imported before. Aim: 400 frames under 10 ms, 180,000 under 3 s.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from math import isqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread

from inference.geometry import Size
from server.demo.slide_header import SlideIdentity
from server.slides.slide_writer import encode, write_dicom_slide
from tests.benchmarks.measure import Figures, in_process, peak_mb, report
from tests.opened import open_framed

FRAME = 64


class Same:
    """Frames of `frame` px that are all the same: only their number counts."""

    def __init__(self, frames: int, frame: int = FRAME) -> None:
        self.frame = frame
        self.columns = isqrt(2 * frames)
        while frames % self.columns:
            self.columns -= 1
        self.count = frames // self.columns
        self.size = Size(width=self.columns * frame, height=self.count * frame)

    def rows(self) -> Iterator[Sequence[bytes]]:
        data = encode(self.pixels(), 80)
        for _ in range(self.count):
            yield [data] * self.columns

    def pixels(self) -> npt.NDArray[np.uint8]:
        return np.full((self.frame, self.frame, 3), 240, np.uint8)


class Tissue(Same):
    """Something to compare on each."""

    def pixels(self) -> npt.NDArray[np.uint8]:
        y, x = np.mgrid[: self.frame, : self.frame].astype(float)
        noise = np.random.default_rng(1).normal(0, 6, (self.frame, self.frame, 1))
        waves = np.stack([np.sin(x / 23 + y / 61), np.cos(y / 31), np.sin((x - y) / 47)], axis=-1)
        return np.clip(150 + 70 * waves + noise, 0, 255).astype(np.uint8)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--frames", type=int, nargs="+", default=[400, 180_000])
    parser.add_argument("--levels", type=int, nargs="+", default=[3, 6])
    args = parser.parse_args()
    for frames in args.frames:
        for sparse in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = written(Path(folder), frames, sparse=sparse)
                best = min((in_process(opened, path) for _ in range(args.repeat)), key=lambda found: found["ms"])
                places = "each its own" if sparse else "in order"
                report("opening", frames=frames, places=places, file_mb=path.stat().st_size // 2**20, **best)

    for levels in args.levels:
        with tempfile.TemporaryDirectory() as folder:
            identity = SlideIdentity(key=f"opening/levels/{levels}")
            write_dicom_slide(Path(folder), Tissue(400, 512), mpp=0.5, identity=identity, levels=levels)
            runs = [in_process(opened, folder) for _ in range(args.repeat)]
            report("opening", frames=400, levels=levels, **min(runs, key=lambda found: found["first_ms"]))


def written(folder: Path, frames: int, *, sparse: bool) -> Path:
    same = Same(frames)
    (path,) = write_dicom_slide(folder, same, mpp=0.5, identity=SlideIdentity(key=f"opening/{frames}"), levels=1)
    if sparse:
        header = dcmread(path)
        header.DimensionOrganizationType = "TILED_SPARSE"
        places = ((column, row) for row in range(same.count) for column in range(same.columns))
        header.PerFrameFunctionalGroupsSequence = [
            _placed(column * FRAME + 1, row * FRAME + 1) for column, row in places
        ]
        header.save_as(path)
    return path


def _placed(x: int, y: int) -> Dataset:
    position, group = Dataset(), Dataset()
    position.ColumnPositionInTotalImagePixelMatrix, position.RowPositionInTotalImagePixelMatrix = x, y
    group.PlanePositionSlideSequence = [position]
    return group


def opened(path: str) -> Figures:
    """Milliseconds of the first opening and of later ones, of a processor too, and the peak of memory above what it was
    before, MB; in a process of its own.
    """
    import server.slides.wsidicom_image  # noqa: F401

    gc.collect()
    before = peak_mb()
    first_ms, first_cpu_ms = _timed(Path(path))
    added = peak_mb() - before
    ms, cpu_ms = min(_timed(Path(path)) for _ in range(5))
    return {"first_ms": first_ms, "first_cpu_ms": first_cpu_ms, "ms": ms, "cpu_ms": cpu_ms, "added_mb": added}


def _timed(path: Path) -> tuple[float, float]:
    begun, worked = time.perf_counter(), time.process_time()
    slide = open_framed(path)
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - worked
    slide.close()
    return round(1000 * seconds, 2), round(1000 * cpu_seconds, 2)


if __name__ == "__main__":
    main()
