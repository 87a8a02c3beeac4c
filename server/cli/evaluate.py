"""`chromogen evaluate`: a detector's figures on an annotated data set."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from inference.analyzers.nuclear import COMPARTMENTS
from inference.assay import USUAL_MARKER, assay_of
from inference.engines.factory import make_engine
from inference.errors import Reason, Refused
from inference.evaluation.appraisal import Annotated, Appraisal, appraise, robustness
from inference.evaluation.metric import Points
from inference.slide import Rgb
from server.cli.progress import progress_bar
from server.slides.codec import on_white

DIGITS = 4
OTHER = len(COMPARTMENTS)
"""The class of nuclei that are none of the compartments'; they count as the first one's."""
HELP = f"""Figures on DATASET: images/N.png and labels/N.txt (x y class a line; \
{", ".join(f"{i} {name}" for i, name in enumerate(COMPARTMENTS))}, {OTHER} other).

Prints one JSON object: average precision by compartment with intervals over tiles, then counting and H-score at the \
counting threshold, agreement (kappa), reliability of the confidence and, with --robustness, curves.
"""


@click.command(help=HELP)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--mpp", type=click.FloatRange(min=0.05, max=0.625), default=0.5, help="pixel size of the images in µm")
@click.option("--model", type=click.Path(path_type=Path), help="folder of another model; the shipped one else")
@click.option(
    "--robustness",
    "with_robustness",
    is_flag=True,
    help="also under other stains, brightness, blur, JPEG, scale (minutes)",
)
def evaluate(dataset: Path, mpp: float, model: Path | None, with_robustness: bool) -> None:
    images = sorted((dataset / "images").glob("*.png"))
    if not images:
        raise Refused(Reason.DATASET_INVALID, f"{dataset} holds no images/*.png")
    tiles = [
        Annotated(picture=read_picture(p), points=read_labels(dataset / "labels" / f"{p.stem}.txt")) for p in images
    ]
    assay = assay_of(USUAL_MARKER)  # whose model is measured, and whose built-in criteria grade
    engine = make_engine("local", model, model=assay.model)
    with progress_bar("evaluating") as progress:
        criteria = assay.built_in.criteria
        figures = figures_of(appraise(engine, tiles, mpp=mpp, criteria=criteria, progress=progress))
    if with_robustness:
        with progress_bar("changing") as progress:
            figures["robustness"] = [asdict(c) for c in robustness(engine, tiles, mpp=mpp, progress=progress)]
    click.echo(json.dumps(printable(figures)))


def figures_of(appraisal: Appraisal) -> dict[str, Any]:
    """The object that is printed: the metric's keys first, the others beside them."""
    return {
        **asdict(appraisal.evaluation),
        "interval95": appraisal.intervals,
        "counting": {name: asdict(c) for name, c in appraisal.counting.items()},
        "agreement": asdict(appraisal.agreement),
        "reliability": asdict(appraisal.reliability),
    }


def printable(value: Any) -> Any:
    """Rounded to DIGITS, tuples as lists; a figure that doesn't exist is null, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: printable(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [printable(v) for v in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DIGITS)
    return value


def read_picture(path: Path) -> Rgb:
    """RGB of a PNG; transparent pixels are white, as glass is. Raises Refused DATASET_INVALID."""
    try:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        picture = None
    if picture is None or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (3, 4):
        raise Refused(Reason.DATASET_INVALID, f"{path} isn't a colour picture of 8 bits a channel; save it as RGB")
    return np.ascontiguousarray(on_white(np.asarray(picture, np.uint8))[..., ::-1])


def read_labels(path: Path) -> Points:
    """Annotations of one picture; class OTHER counts as the first compartment.

    Raises Refused DATASET_INVALID naming file and line.
    """
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise Refused(Reason.DATASET_INVALID, f"{path} can't be read; each image needs its labels") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            x, y, label = float(line[0]), float(line[1]), int(line[2])
        except (ValueError, IndexError):
            raise Refused(Reason.DATASET_INVALID, f"{path}, line {number}: expected `x y class`") from None
        if not 0 <= label <= OTHER:
            raise Refused(Reason.DATASET_INVALID, f"{path}, line {number}: class {label} isn't 0 to {OTHER}")
        if not (math.isfinite(x) and math.isfinite(y)):
            raise Refused(Reason.DATASET_INVALID, f"{path}, line {number}: {line[0]} {line[1]} isn't a place")
        rows.append((x, y, label % OTHER))
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Points(xy=table[:, :2], label=table[:, 2].astype(np.int64), confidence=np.ones(len(table)))
