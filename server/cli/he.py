"""`chromogen he`: the nuclei of pictures or slides of H&E, as polygons with a class, and how many there are."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from inference.analyze import Options, Progress, analyze, find_cells
from inference.analyzers.he import GROUPS, HE
from inference.analyzers.he_criteria import HeCriteria
from inference.cells.file import CellWriter, read_cells
from inference.engines.factory import make_engine
from inference.errors import ChromogenError, Reason, Refused
from inference.geojson import write_geojson
from inference.infer import Engine
from inference.instances import KINDS
from inference.neighbours import neighbours
from inference.slide import Rgb, Slide
from server.cli.main import BAD_INPUT
from server.cli.progress import progress_bar
from server.report.identity import software_version
from server.slides.digest import sha256_of
from server.slides.opening import open_slide

MODEL = "he_nuclei"
LARGEST_PICTURE_PX = 8192 * 8192
"""What is larger is a slide: its tissue is looked for, and nothing is found beside it."""
CRITERIA = HeCriteria()
MOST_BLANK = 16
"""Between the dark and the bright pixels of a blank picture at 2 µm/px, in grey levels."""
NEAR_UM = 20.0
"""Between the centres of two nuclei that are neighbours: of cells that touch, or have one between them."""
OF_ALL = frozenset({Reason.ENGINE_FAILED, Reason.MODEL_INVALID, Reason.OUTPUT_NOT_WRITABLE})
"""Reasons that are no image's own."""


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--mpp", type=float, help="pixel size in µm, where the image doesn't say: 0.25 at 40x")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="folder for NAME.geojson, NAME.json"
)
@click.option("--again", is_flag=True, help="those too that were done before, with the same pixels and model")
@click.option("--engine", default="local", help="local, or triton://host:port")
@click.option("--model", type=click.Path(path_type=Path), help="folder of another model repository")
def he(images: tuple[Path, ...], mpp: float | None, out: Path, again: bool, engine: str, model: Path | None) -> int:
    """Find and classify the nuclei of each IMAGE of H&E: a picture, an SVS or TIFF, a DICOM file or folder.

    NAME.geojson holds polygons in pixels of the largest level, counted from the first pixel's corner, with classes
    other, inflammatory, epithelial, spindle; NAME.json the counts, and how many there are a mm². An image that can't be
    read is named and left out, and the exit code then 2; one that was done before is skipped. Research use only.
    """
    check_names(images)
    out.mkdir(parents=True, exist_ok=True)
    run, left_out = Run(engine=make_engine(engine, model, model=MODEL), out=out, mpp=mpp, again=again), 0
    with progress_bar("finding nuclei") as progress:
        for done, path in enumerate(images):
            tell = partial(_report, progress, done, len(images))
            left_out += not answered(run, path, tell)
            tell(1.0)
    return BAD_INPUT if left_out else 0


def _report(progress: Progress, done: int, of: int, share: float) -> None:
    progress((done + share) / of)


def check_names(images: Sequence[Path]) -> None:
    """Raises Refused OUTPUT_NOT_WRITABLE where two images would be written under one name."""
    name, times = Counter(name_of(path) for path in images).most_common(1)[0]
    if times > 1:
        paths = ", ".join(str(path) for path in images if name_of(path) == name)
        message = f"{times} images are called {name} ({paths}): give each an --out of its own"
        raise Refused(Reason.OUTPUT_NOT_WRITABLE, message)


def name_of(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`mpp` is that of images that don't say; `again`: do over what was done."""

    engine: Engine
    out: Path
    mpp: float | None
    again: bool

    def files(self, path: Path) -> tuple[Path, Path]:
        """Its polygons and its counts."""
        name = name_of(path)
        return self.out / f"{name}.geojson", self.out / f"{name}.json"

    def key(self, path: Path) -> str:
        """Of the bytes of an image and all that its answer depends on."""
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        told = (self.mpp, self.engine.facts.sha256, software_version(), *map(sha256_of, files))
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def has(self, path: Path, key: str) -> bool:
        """Was it done before?"""
        polygons, counts = self.files(path)
        try:
            return polygons.is_file() and bool(json.loads(counts.read_text())["key"] == key)
        except (OSError, ValueError, TypeError, KeyError):
            return False


def answered(run: Run, path: Path, progress: Progress) -> bool:
    """Leave both files of an image, or say why there are none.

    Raises ChromogenError where it isn't the image's fault: the others would fail too.
    """
    try:
        leave(run, path, progress)
    except ChromogenError as error:
        if error.reason in OF_ALL:
            raise
        stays = "; what an earlier run left of it stays" if run.files(path)[1].exists() else ""
        click.echo(f"chromogen: {error.reason}: {path}: {error.message}{stays}".replace("\n", " "), err=True)
        return False
    return True


def leave(run: Run, path: Path, progress: Progress) -> None:
    """Both files of one image, or none where it was done before. Raises ChromogenError, NOT_HE among its reasons."""
    with ExitStack() as stack:
        slide = open_slide(path, mpp=run.mpp, resolution=run.engine.model.resolution)
        stack.callback(slide.close)
        key = run.key(path)
        if run.has(path, key) and not run.again:
            click.echo(f"{path}: done before, skipped (--again does it over)")
        else:
            _write(run, path, slide, key, progress)


def _write(run: Run, path: Path, slide: Slide, key: str, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix=".chromogen-", dir=run.out) as name:
        cells_file, made, told = (Path(name) / part for part in ("cells.parquet", "geojson", "json"))
        area_mm2 = found_in(slide, run.engine, cells_file, progress)
        counts, near = counts_of(cells_file), neighbourhoods(cells_file, slide.facts.mpp)
        write_geojson(made, cells_file, HE, CRITERIA, counts, mpp=slide.facts.mpp)
        told.write_text(json.dumps(said(path, slide.facts.mpp, counts, area_mm2) | near | {"key": key}) + "\n")
        polygons, numbers = run.files(path)
        numbers.unlink(missing_ok=True)  # never beside polygons of another run
        made.replace(polygons)
        told.replace(numbers)


def found_in(slide: Slide, engine: Engine, cells_file: Path, progress: Progress) -> float:
    """Its nuclei go to `cells_file`; the area in mm² that they were looked for in."""
    if slide.facts.size.area > LARGEST_PICTURE_PX:
        return _found_on_slide(slide, engine, cells_file, progress)
    picture, _ = slide.overview(2.0)
    mismatch = None if is_blank(picture) else HE.mismatch(picture)
    if mismatch is not None:
        raise Refused(mismatch.reason, mismatch.message)
    with CellWriter(cells_file, HE.schema, mpp=slide.facts.mpp) as writer:
        writer.add(find_cells(slide, engine, HE, engine.model.counting_threshold))
    return slide.facts.size.area * slide.facts.mpp**2 / 1e6


def _found_on_slide(slide: Slide, engine: Engine, cells_file: Path, progress: Progress) -> float:
    try:
        return analyze(slide, engine, HE, cells_file, Options(refuse_mismatch=True), progress).tissue_mm2
    except Refused as error:
        if error.reason != Reason.NO_TISSUE:
            raise
    with CellWriter(cells_file, HE.schema, mpp=slide.facts.mpp):
        return 0.0


def is_blank(picture: Rgb) -> bool:
    """Does it show nothing at all, bare glass, whatever its brightness?"""
    low, high = np.percentile(picture.reshape(-1, 3), [1, 99], axis=0)
    return bool((high - low).max() <= MOST_BLANK)


def counts_of(cells_file: Path) -> "np.typing.NDArray[np.int64]":
    """By group."""
    counts = np.zeros(len(GROUPS), np.int64)
    for cells in read_cells(cells_file, HE.schema):
        counts += np.bincount(HE.group_of(cells, CRITERIA), minlength=len(GROUPS))
    return counts


def neighbourhoods(cells_file: Path, mpp: float) -> dict[str, Any]:
    """Of each class' nuclei the percentage that has one of another, or of its own, within NEAR_UM; null of none."""
    places = [np.stack([cells.x, cells.y, HE.group_of(cells, CRITERIA)]) for cells in read_cells(cells_file, HE.schema)]
    x, y, group = np.concatenate([np.zeros((3, 0)), *places], axis=1)
    near = neighbours(x, y, group.astype(np.uint8), radius=NEAR_UM / mpp, groups=len(GROUPS)) > 0

    def percent(of: int) -> dict[str, float | None]:
        mine = near[group == of]
        return {name: round(100 * float(mine[:, i].mean()), 2) if len(mine) else None for i, name in enumerate(KINDS)}

    return {"neighbours": {"within_um": NEAR_UM, "percent": {name: percent(i) for i, name in enumerate(KINDS)}}}


def said(path: Path, mpp: float, counts: "np.typing.NDArray[np.int64]", area_mm2: float) -> dict[str, Any]:
    """What NAME.json holds."""
    by_class = dict(zip(KINDS, counts.tolist(), strict=False))
    return {
        "image": str(path),
        "mpp": mpp,
        "nuclei": int(counts.sum()),
        "counts": by_class,
        "per_mm2": {name: round(n / area_mm2, 2) if area_mm2 else None for name, n in by_class.items()},
        "warnings": list(HE.remarks(counts, None, mpp)),
    }
