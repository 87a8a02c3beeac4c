"""`chromogen evaluate`: the detection metric on an annotated data set."""

import json
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from inference.analyze import find_nuclei
from inference.errors import Reason, Refused
from inference.infer import Engine
from inference.metric import EPITHELIUM, STROMA, Points
from inference.metric import evaluate as measure
from server.cli.engine import make_engine
from server.cli.progress import progress_bar
from server.retrieve.slide import open_slide


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--mpp", type=float, default=0.5, help="pixel size of the images in µm")
@click.option("--model", type=click.Path(path_type=Path), help="folder of another model; the shipped one else")
def evaluate(dataset: Path, mpp: float, model: Path | None) -> None:
    """Average precision on DATASET: images/N.png and labels/N.txt (x y class a line; 0 stroma, 1 epithelium, 2 other)."""
    images = sorted((dataset / "images").glob("*.png"))
    if not images:
        raise Refused(Reason.DATASET_INVALID, f"{dataset} holds no images/*.png")
    annotated = [read_labels(dataset / "labels" / f"{p.stem}.txt") for p in images]
    engine = make_engine("local", model)
    predicted = []
    with progress_bar("evaluating") as progress:
        for i, path in enumerate(images, 1):
            predicted.append(predict(path, engine, mpp))
            progress(i / len(images))
    click.echo(json.dumps({k: round(v, 4) for k, v in asdict(measure(predicted, annotated, mpp=mpp)).items()}))


def predict(path: Path, engine: Engine, mpp: float) -> Points:
    """Peaks of one picture."""
    slide = open_slide(path, mpp=mpp)
    try:
        n = find_nuclei(slide, engine, 0.01)
    finally:
        slide.close()
    return Points(xy=np.stack([n.x, n.y], axis=1), label=n.compartment.astype(np.int64), confidence=n.confidence.astype(np.float64))


def read_labels(path: Path) -> Points:
    """Annotations of one picture; class 2 (other) counts as stroma. Raises Refused DATASET_INVALID naming file and line."""
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
        if label not in (0, 1, 2):
            raise Refused(Reason.DATASET_INVALID, f"{path}, line {number}: class {label} isn't 0, 1 or 2")
        rows.append((x, y, EPITHELIUM if label == 1 else STROMA))
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Points(xy=table[:, :2], label=table[:, 2].astype(np.int64), confidence=np.ones(len(table)))
