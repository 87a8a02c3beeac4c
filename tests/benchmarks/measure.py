"""Measuring in a process of one's own, so that its peak memory is its own.

One JSON line a benchmark, and the set of them kept.
"""

import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from inference.geometry import Region, Size
from inference.slide import Rgb
from tests.laid import LaidTiles, lay_tiles

Figures = dict[str, float | int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds by the wall's clock and of this process's (and its children's) processors, over `mm2` of tissue."""

    seconds: float
    cpu_seconds: float
    mm2: float

    def figures(self) -> Figures:
        rounded = {k: round(v, 3) for k, v in asdict(self).items()}
        per_mm2 = {
            "s_per_mm2": round(self.seconds / self.mm2, 4),
            "cpu_s_per_mm2": round(self.cpu_seconds / self.mm2, 4),
        }
        return {**rounded, **per_mm2, "peak_mb": peak_mb()}


class Clock:
    """Started when made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu()

    def cost(self, mm2: float) -> Cost:
        return Cost(seconds=time.perf_counter() - self._wall, cpu_seconds=_cpu() - self._cpu, mm2=mm2)


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb() -> int:
    """Largest resident size of this process so far; its `ru_maxrss` begins with that of whoever started it."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def in_process(function: Callable[..., Figures], *arguments: object) -> Figures:
    """What a module's function returns when called in a fresh process with these (JSON) arguments."""
    module = getattr(sys.modules[function.__module__].__spec__, "name", function.__module__)  # not __main__
    given = json.dumps(arguments, default=str)
    code = f"from tests.benchmarks import measure; measure.call({module!r}, {function.__name__!r}, {given!r})"
    out = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: Figures = json.loads(out.splitlines()[-1])
    return figures


def call(module: str, function: str, arguments: str) -> None:
    """The other side of `in_process`."""
    print(json.dumps(getattr(importlib.import_module(module), function)(*json.loads(arguments))))


def report(benchmark: str, **figures: object) -> Figures:
    """Print one line, and keep it in the file that BENCH_LINES names, for the pictures of docs/performance.md."""
    line = {"benchmark": benchmark, "cores": len(os.sched_getaffinity(0)), **figures}
    print(json.dumps(line), flush=True)
    kept = os.environ.get("BENCH_LINES")
    if kept:
        with Path(kept).open("a") as file:
            file.write(json.dumps(line) + "\n")
    return line  # type: ignore[return-value]


def median(values: Iterable[float], digits: int = 3) -> float:
    return round(statistics.median(values), digits)


@contextmanager
def one_core() -> Iterator[None]:
    """Within, this process and those that it starts run on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def slide_folder(kept: Path | None) -> Iterator[Path]:
    """Where slides are laid: `kept`, or a folder that goes with the benchmark."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def laid(folder: Path, side: int) -> Path:
    """The folder of a laid slide of that side, made where it isn't there yet."""
    path = folder / f"laid-{side}"
    if not path.exists():
        path.mkdir(parents=True)
        lay_tiles(path, size=Size(width=side, height=side))
    return path


def source() -> str:
    """What slides are laid of here: "endonuke" or "drawn"."""
    return LaidTiles(Size(width=800, height=800)).source


def tiles_in_memory(n: int, side: int) -> Rgb:
    """(n, side, side, 3) squares of laid tissue."""
    columns = 4
    laid_tiles = LaidTiles(Size(width=columns * side, height=-(-n // columns) * side))
    squares = [Region(x=(i % columns) * side, y=(i // columns) * side, width=side, height=side) for i in range(n)]
    return np.stack([laid_tiles.read(s) for s in squares])


def mm2(size: Size, mpp: float = 0.5) -> float:
    return size.area * (mpp / 1000) ** 2
