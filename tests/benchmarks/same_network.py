"""Peers with our network inside, beside ours: core-seconds a gigapixel and peak memory, on the same slide in the same
run.

    python -m tests.benchmarks.same_network --tiatoolbox PYTHON --lazyslide PYTHON [--side 8192] [--repeat 3] [--small]

PYTHON is the interpreter of an environment with that peer and OpenVINO (docs/performance.md says how to make it, and
the variables TIATOOLBOX_PYTHON and LAZYSLIDE_PYTHON do as well); a peer without one is named as not run. Everything
runs on one core with one thread. Starting, loading and compiling aren't counted for anybody; opening the slide, finding
its tissue and storing every nucleus are. `--small` puts a network of half the multiply-adds into all of them.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.engines.local import LocalEngine
from inference.geometry import Size
from inference.infer import TileAnswer
from inference.model import Model, read_model, shipped_models
from tests.benchmarks.measure import (
    Clock,
    Figures,
    in_process,
    laid,
    median,
    one_core,
    peak_mb,
    report,
    slide_folder,
    source,
)
from tests.benchmarks.peers import ONE_THREAD
from tests.benchmarks.same_network_graphs import heat_map_graph
from tests.laid import lay_svs_slide
from tests.models import IHC_TILE, SHAPE
from tests.opened import open_slide

PROGRAM = Path(__file__).with_name("same_network_program.py")
ENVIRONMENTS = {"tiatoolbox": "TIAToolbox", "lazyslide": "LazySlide"}
WARM_UP_SIDE = 2048  # px
OURS, OURS_DICOM = "chromogen", "chromogen, the slide as DICOM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a peer is used: its environment, the program and the graph for it.

    Its tiles as in `same_network_program.Task`.
    """

    who: str
    environment: str
    program: str
    graph: str
    tile: int = SHAPE.side
    kept: int = SHAPE.core
    stride: int = SHAPE.core
    batch: int = 1
    stored: str = "annotationstore"


DETECTOR, FEATURES = "TIAToolbox NucleusDetector", "LazySlide feature_extraction"
WAYS = (
    Way(who=f"{DETECTOR}, our tiles", environment="tiatoolbox", program="tiatoolbox", graph="map"),
    Way(
        who=f"{DETECTOR}, our tiles, arrays in Zarr",
        environment="tiatoolbox",
        program="tiatoolbox",
        graph="map",
        stored="zarr",
    ),
    Way(
        who=f"{DETECTOR}, the tiles of its own models",
        environment="tiatoolbox",
        program="tiatoolbox",
        graph="map",
        tile=256,
        kept=256,
        stride=152,
        batch=8,
    ),
    Way(who="LazySlide seg.cells, our tiles", environment="lazyslide", program="lazyslide_cells", graph="peaks"),
    Way(who=f"{FEATURES}, our tiles", environment="lazyslide", program="lazyslide_features", graph="peaks"),
    Way(
        who=f"{FEATURES}, the tiles of its guide",
        environment="lazyslide",
        program="lazyslide_features",
        graph="peaks",
        tile=256,
        kept=256,
        stride=256,
        batch=32,
    ),
)
"""TIAToolbox's own models (mapde-conic, mapde-crchisto) take 252 px every 150: here what our network's strides allow.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--folder", type=Path, help="where to lay slides (kept); a temporary folder else")
    parser.add_argument("--repeat", type=int, default=3, help="alternating runs")
    parser.add_argument("--small", action="store_true", help="with a small network in place of the shipped one")
    for name in ENVIRONMENTS:
        there = os.environ.get(f"{name.upper()}_PYTHON")
        parser.add_argument(
            f"--{name}", type=Path, default=there, metavar="PYTHON", help=f"an interpreter that has {name}"
        )
    args = parser.parse_args()
    pythons = {name: Path(getattr(args, name)) for name in ENVIRONMENTS if getattr(args, name)}
    for name, peer_name in ENVIRONMENTS.items():
        if name not in pythons:
            report("same_network", peer=peer_name, not_run=f"name an environment that has it: --{name} PYTHON")
    if not pythons:
        return
    with one_core(), tempfile.TemporaryDirectory() as temporary, slide_folder(args.folder) as folder:
        models = Path(temporary) / "models" if args.small else shipped_models()
        if args.small:
            in_process(small, models)
        compare(folder, args.side, read_model(models, IHC_TILE.folder), pythons, args.repeat, Path(temporary))


def compare(folder: Path, side: int, model: Model, pythons: dict[str, Path], repeat: int, out: Path) -> None:
    """A line for each way, medians of alternating runs.

    Peers' lines say what share of their cost ours is in the same run.
    """
    slide, warm_up = (
        lay_svs_slide(folder / f"laid-{s}.svs", size=Size(width=s, height=s)) for s in (side, WARM_UP_SIDE)
    )
    dicom = laid(folder, side)
    ways = [w for w in WAYS if w.environment in pythons]
    graphs = write_graphs(model, out)
    runs: dict[str, list[Figures]] = {}
    for _ in range(repeat):
        for who, path in ((OURS, slide), (OURS_DICOM, dicom)):
            runs.setdefault(who, []).append(in_process(whole, path, warm_up, model.repository))
        for way in ways:
            given = {
                "slide": slide,
                "warm_up": warm_up,
                "graph": graphs[way.graph],
                "threshold": model.counting_threshold,
            }
            runs.setdefault(way.who, []).append(peer(way, pythons[way.environment], given, out))
    for who, figures in runs.items():
        shares = our_share(runs[OURS], figures) if who not in (OURS, OURS_DICOM) else {}
        facts = {"network": model.name, "side": side, "runs": repeat, "source": source()}
        report("same_network", who=who, **costs(figures, side), **shares, **facts)


def costs(figures: list[Figures], side: int) -> Figures:
    """Medians; `found` is the number of nuclei kept."""
    core_seconds = {"core_s_per_gigapixel": "core_seconds", "of_it_network": "network_core_seconds"}
    as_they_are = {"peak_mb": "peak_mb", "found": "nuclei"}
    return {
        **{k: median((float(f[v]) / side**2 * 1e9 for f in figures), 1) for k, v in core_seconds.items()},
        **{k: median((float(f[v]) for f in figures), 0) for k, v in as_they_are.items()},
    }


def our_share(ours: list[Figures], theirs: list[Figures]) -> Figures:
    """Of what a peer costs, costs beyond its network, and holds: ours in the same run, the median."""

    def beyond(figures: Figures) -> float:
        return float(figures["core_seconds"]) - float(figures["network_core_seconds"])

    pairs = list(zip(ours, theirs, strict=True))
    return {
        "our_cost_of_its": median(float(o["core_seconds"]) / float(t["core_seconds"]) for o, t in pairs),
        "our_cost_beyond_network_of_its": median(beyond(o) / beyond(t) for o, t in pairs),
        "our_peak_of_its": median(float(o["peak_mb"]) / float(t["peak_mb"]) for o, t in pairs),
    }


class TimedEngine(LocalEngine):
    """Counts what its calls cost: on one thread OpenVINO works in the caller's."""

    network_core_seconds = 0.0

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        began = time.thread_time()
        found = super().detect(tiles, faintest)
        self.network_core_seconds += time.thread_time() - began
        return found


def whole(slide: str, warm_up: str, models: str) -> Figures:
    """A whole analysis on one thread, nuclei written to a file; of the network both detection and grading."""
    engine = TimedEngine(read_model(Path(models), IHC_TILE.folder), threads=1)
    with tempfile.TemporaryDirectory() as out:
        analyze(open_slide(Path(warm_up)), engine, NUCLEAR, Path(out) / "warm_up.parquet", Options())
        clock, engine.network_core_seconds = Clock(), 0.0
        analysis = analyze(open_slide(Path(slide)), engine, NUCLEAR, Path(out) / "nuclei.parquet", Options())
        core_seconds = clock.cost(1.0).cpu_seconds
    network = engine.network_core_seconds
    return {"core_seconds": core_seconds, "network_core_seconds": network, "peak_mb": peak_mb(), "nuclei": analysis.n}


def peer(way: Way, python: Path, given: dict[str, object], out: Path) -> Figures:
    tiles = {k: v for k, v in asdict(way).items() if k in ("tile", "kept", "stride", "batch", "stored")}
    task = out / "task.json"
    task.write_text(json.dumps({**given, **tiles, "out": out / way.program}, default=str))
    command = [str(python), str(PROGRAM), way.program, str(task)]
    told = subprocess.run(command, env=os.environ | ONE_THREAD, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: Figures = json.loads(told.splitlines()[-1])
    return figures


def small(out: str) -> Figures:
    """Writes the small network, which needs torch and NNCF (of the extra `train`), in a process of its own.

    A process's peak memory begins with that of the one that started it.
    """
    from tests.benchmarks.small_network import small_models

    small_models(Path(out))
    return {}


def write_graphs(model: Model, out: Path) -> dict[str, Path]:
    """The detection as it is (`peaks`), and cut at its map (`map`)."""
    assert model.finder is not None
    detection = onnx.load_from_string(model.graph_bytes(model.finder))
    written = {"peaks": detection, "map": heat_map_graph(detection)}
    for name, graph in written.items():
        onnx.save(graph, out / f"{name}.onnx")
    return {name: out / f"{name}.onnx" for name in written}


if __name__ == "__main__":
    main()
