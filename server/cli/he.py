"""`chromogen he`: the nuclei of pictures or slides of H&E, as polygons with a class, and how many there are."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

from inference.analyze import Options, Progress, analyze, find_cells
from inference.analyzers.he import GROUPS, HE
from inference.analyzers.he_criteria import HeCriteria
from inference.cells.file import CellWriter, read_cells
from inference.engines.factory import make_engine
from inference.errors import Reason, Refused
from inference.geojson import write_geojson
from inference.infer import Engine
from inference.instances import KINDS
from inference.slide import Slide
from server.cli.progress import progress_bar
from server.slides.opening import open_slide

MODEL = "he_nuclei"
LARGEST_PICTURE_PX = 8192 * 8192
"""What is larger is a slide: its tissue is looked for, and nothing is found beside it."""
CRITERIA = HeCriteria()


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--mpp", type=float, help="pixel size in µm, where the image doesn't say: 0.25 at 40x")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="folder for NAME.geojson, NAME.json"
)
@click.option("--engine", default="local", help="local, or triton://host:port")
@click.option("--model", type=click.Path(path_type=Path), help="folder of another model repository")
def he(images: tuple[Path, ...], mpp: float | None, out: Path, engine: str, model: Path | None) -> None:
    """Find and classify the nuclei of each IMAGE of H&E: a picture, an SVS or TIFF, a DICOM file or folder.

    NAME.geojson holds polygons in pixels of the largest level, counted from the first pixel's corner, with classes
    other, inflammatory, epithelial, spindle; NAME.json the counts, and how many there are a mm². Research use only.
    """
    check_names(images)
    out.mkdir(parents=True, exist_ok=True)
    runs = make_engine(engine, model, model=MODEL)
    with progress_bar("finding nuclei") as progress:
        for done, path in enumerate(images):
            leave(path, mpp, out, runs, lambda share, done=done: progress((done + share) / len(images)))  # type: ignore[misc]


def check_names(images: Sequence[Path]) -> None:
    """Raises Refused OUTPUT_NOT_WRITABLE where two images would be written under one name."""
    name, times = Counter(name_of(path) for path in images).most_common(1)[0]
    if times > 1:
        raise Refused(Reason.OUTPUT_NOT_WRITABLE, f"{times} images are called {name}: give each an --out of its own")


def name_of(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def leave(path: Path, mpp: float | None, out: Path, engine: Engine, progress: Progress) -> None:
    """Both files of one image in `out`, or neither. Raises Refused, NOT_HE among its reasons."""
    with ExitStack() as stack:
        slide = open_slide(path, mpp=mpp, resolution=engine.model.resolution)
        stack.callback(slide.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".chromogen-", dir=out)))
        cells_file, name = folder / "cells.parquet", name_of(path)
        area_mm2 = found_in(slide, engine, cells_file, progress)
        counts = counts_of(cells_file)
        geojson, told = folder / "geojson", folder / "json"
        write_geojson(geojson, cells_file, HE, CRITERIA, counts, mpp=slide.facts.mpp)
        told.write_text(json.dumps(said(path, slide.facts.mpp, counts, area_mm2)) + "\n")
        geojson.replace(out / f"{name}.geojson")
        told.replace(out / f"{name}.json")


def found_in(slide: Slide, engine: Engine, cells_file: Path, progress: Progress) -> float:
    """Its nuclei go to `cells_file`; the area in mm² that they were looked for in."""
    if slide.facts.size.area > LARGEST_PICTURE_PX:
        return analyze(slide, engine, HE, cells_file, Options(refuse_mismatch=True), progress).tissue_mm2
    picture, _ = slide.overview(2.0)
    mismatch = HE.mismatch(picture)
    if mismatch is not None:
        raise Refused(mismatch.reason, mismatch.message)
    with CellWriter(cells_file, HE.schema, mpp=slide.facts.mpp) as writer:
        writer.add(find_cells(slide, engine, HE, engine.model.counting_threshold))
    progress(1.0)
    return slide.facts.size.area * slide.facts.mpp**2 / 1e6


def counts_of(cells_file: Path) -> "np.typing.NDArray[np.int64]":
    """By group."""
    counts = np.zeros(len(GROUPS), np.int64)
    for cells in read_cells(cells_file, HE.schema):
        counts += np.bincount(HE.group_of(cells, CRITERIA), minlength=len(GROUPS))
    return counts


def said(path: Path, mpp: float, counts: "np.typing.NDArray[np.int64]", area_mm2: float) -> dict[str, Any]:
    """What NAME.json holds."""
    by_class = dict(zip(KINDS, counts.tolist(), strict=False))
    return {
        "image": str(path),
        "mpp": mpp,
        "nuclei": int(counts.sum()),
        "counts": by_class,
        "per_mm2": {name: round(n / area_mm2, 2) for name, n in by_class.items()},
    }
