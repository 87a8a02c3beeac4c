"""A whole slide of H&E with the network that ships: decoding, the network, what is made of its maps, and end to end.

    python -m tests.benchmarks.he [--side 12288] [--folder DIR] [--repeat 3] [--consep FOLDER]

The slide is laid of a drawn piece and its mirror images at 0.25 µm/px, or of CoNSeP's tiles, where their folder is
named: these have more nuclei. Figures are by mm² of tissue, the processor's beside the clock's, each run in a process
of its own; a slide of a sixteenth says whether memory grows.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from inference.analyze import Options, analyze, working_region
from inference.analyzers.he import HE
from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from inference.engines.local import LocalEngine
from inference.geometry import Size
from inference.infer import TileAnswer
from inference.model import read_model, shipped_models
from inference.slide import Slide
from inference.tile import pixels, plan
from inference.tissue import find_tissue
from server.demo.slide_header import SlideIdentity
from server.slides.opening import open_slide
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.benchmarks.measure import Clock, Figures, in_process, median, report, slide_folder
from tests.laid import LaidBlocks

MPP = 0.25
MODEL = read_model(shipped_models(), "he_nuclei")
SHAPE = MODEL.tile
NETWORK_TILES = 6
PIECE = Plan(side_um=700, tissue=0.97)


def laid(folder: Path, side: int, consep: Path | None) -> Path:
    """The folder of a slide of that side, made where it isn't there yet."""
    path = folder / f"he-{'consep' if consep else 'drawn'}-{side}"
    if not path.exists():
        if consep is None:
            squares = [HeDrawing(PIECE, Scanner(mpp=MPP, jpeg=None), seed=1).pixels()]
        else:
            squares = [np.asarray(cv2.imread(str(p), cv2.IMREAD_COLOR_RGB)) for p in sorted(consep.glob("*.png"))]
        frames = JpegFrames(LaidBlocks(Size(width=side, height=side), squares))
        write_dicom_slide(path, frames, mpp=MPP, identity=SlideIdentity(key=f"he/{side}", marker="HE"), levels=4)
    return path


def opened(folder: str) -> Slide:
    return open_slide(Path(folder), MODEL.resolution)


def decode_alone(folder: str) -> Figures:
    """A sweep over all tiles, one thread, as the path reads them."""
    slide = opened(folder)
    region = working_region(slide, None)
    tissue = find_tissue(slide, region)
    tiles = plan(slide.working.size, SHAPE, region, tissue)
    clock = Clock()
    for tile in tiles:
        pixels(slide, tile, SHAPE)
    return clock.cost(tissue.area_mm2).figures()


def network_and_maps(folder: str) -> Figures:
    """Tiles in memory already through the network on all cores, then what is made of their maps, one thread; the area
    is that of their cores.
    """
    slide, engine = opened(folder), LocalEngine(MODEL)
    tiles = plan(slide.working.size, SHAPE, working_region(slide, None), None)[:NETWORK_TILES]
    images = [pixels(slide, tile, SHAPE) for tile in tiles]
    area = len(images) * (SHAPE.core * MPP / 1000) ** 2
    with ThreadPoolExecutor(engine.workers) as pool:
        list(pool.map(lambda image: engine.detect(image[None], 0.0), images[: engine.workers]))  # compiles
        clock = Clock()
        answers = [a for (a,) in pool.map(lambda image: engine.detect(image[None], 0.0), images)]
        network = clock.cost(area).figures()
    clock = Clock()
    nuclei = sum(
        len(HE.cells_of(TileAnswer({}, 0, answer.maps, tile=image, postprocess=MODEL.postprocess), MPP))
        for image, answer in zip(images, answers, strict=True)
    )
    return network | {"maps_cpu_s_per_mm2": clock.cost(area).figures()["cpu_s_per_mm2"], "nuclei": nuclei}


def end_to_end(folder: str) -> Figures:
    """A whole analysis, nuclei written to a file; the engine's start is not counted."""
    slide, engine = opened(folder), LocalEngine(MODEL)
    engine.detect(np.full((1, SHAPE.side, SHAPE.side, 3), 200, np.uint8), 0.0)
    with TemporaryDirectory() as out:
        clock = Clock()
        analysis = analyze(slide, engine, HE, Path(out) / "cells.parquet", Options())
        cost = clock.cost(analysis.tissue_mm2)
    stages = {f"{k}_s": round(v, 2) for k, v in analysis.seconds.items()}
    return cost.figures() | {"nuclei": analysis.n, "tiles": analysis.tiles.planned} | stages


STAGES = (decode_alone, network_and_maps, end_to_end)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=12288, help="px of the slide's side at 0.25 µm/px")
    parser.add_argument("--folder", type=Path, help="where to lay slides (kept); a temporary folder else")
    parser.add_argument("--repeat", type=int, default=3, help="alternating runs")
    parser.add_argument("--consep", type=Path, help="folder of CoNSeP's tiles to lay in place of drawn ones")
    args = parser.parse_args()
    with slide_folder(args.folder) as folder:
        slide, small = (laid(folder, side, args.consep) for side in (args.side, args.side // 4))
        turns = [{s.__name__: in_process(s, slide) for s in STAGES} for _ in range(args.repeat)]
        runs = {s.__name__: [turn[s.__name__] for turn in turns] for s in STAGES}
        memory = in_process(end_to_end, small)["peak_mb"]
    for stage, figures in runs.items():
        report(f"he_{stage}", **sorted(figures, key=lambda f: f["seconds"])[len(figures) // 2])
    report(
        "he",
        source="consep" if args.consep else "drawn",
        side=args.side,
        s_per_mm2=median(float(run["s_per_mm2"]) for run in runs["end_to_end"]),
        cpu_s_per_mm2=median(float(run["cpu_s_per_mm2"]) for run in runs["end_to_end"]),
        peak_mb=median(float(run["peak_mb"]) for run in runs["end_to_end"]),
        peak_mb_of_a_sixteenth=memory,
    )


if __name__ == "__main__":
    main()
