"""Calibration of ten laboratories' drawn stains: are hidden thresholds found again, and what do slides left out err by?

    python -m tests.benchmarks.stains [--stains 10] [--slides 5] [--side 1024] [--seed 0]

Each stain has dyes, light and a scanner of its own, and thresholds that nobody tells: every nucleus is graded by them
from its pixels as drawn, by two observers, each with `NOISE` of the grades one step off, `MISSED` of the nuclei passed
over and marks that lie a little off. `chromogen calibrate` gets slides as PNG and the observers' CSV. A line for each
stain, then one JSON line: by grades, how far the fitted thresholds lie from the hidden ones (grey levels); by H-score,
whether the hidden pair lies in the flat set; by both, the largest mean error on slides left out, of all nuclei and of
compartments with 200 nuclei and more.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference.draw.optics import DAB, HAEMATOXYLIN, Optics
from inference.draw.scanner import Vector, turned
from inference.draw.slide import Drawing, draw_slide
from inference.geometry import Region, Size
from inference.grade import HueValueThresholds, grades_by_hue_value
from inference.stain import hue_value_density, mean_rgb
from tests.benchmarks.measure import report

NOISE, MISSED, OFF_PX = 0.05, 0.05, 1.0
ENOUGH = 200
"""Nuclei of a compartment whose error counts."""
CLASSES = ("stroma", "epithelium")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stain:
    """A laboratory's: how its slides are drawn, and the thresholds that its observers grade by."""

    optics: Optics
    hidden: HueValueThresholds


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("stains", 10), ("slides", 5), ("side", 1024), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    rows = []
    for number in range(args.stains):
        row = measured(stain(random), random, slides=args.slides, side=args.side)
        rows.append(row)
        print(f"stain {number}: " + ", ".join(f"{k} {v}" for k, v in row.items()), flush=True)
    report("stains", **{f"worst_{name}": worst(rows, name) for name in rows[0] if name not in ("hidden", "fitted")})


def stain(random: np.random.Generator) -> Stain:
    """Dyes of other hues and strengths, another lamp and lens; thresholds round the usual ones."""
    left = int(random.integers(65, 96))
    optics = Optics(
        white=tuple(random.uniform(232, 252) + random.normal(0, 2.5, 3)),
        haematoxylin=more_or_less(turned(HAEMATOXYLIN, random), random),
        dab=more_or_less(turned(DAB, random), random),
        blur=float(random.uniform(0.45, 0.8)),
    )
    hidden = HueValueThresholds(
        hue=int(random.integers(100, 141)), left=left, right=left + int(random.integers(30, 51))
    )
    return Stain(optics=optics, hidden=hidden)


def more_or_less(dye: Vector, random: np.random.Generator) -> Vector:
    """The density of one unit of it, from a fifth less to a fifth more."""
    strength = random.uniform(0.8, 1.2)
    return dye[0] * strength, dye[1] * strength, dye[2] * strength


def measured(made: Stain, random: np.random.Generator, *, slides: int, side: int) -> Json:
    with tempfile.TemporaryDirectory() as folder:
        manifest = written(Path(folder), made, random, slides=slides, side=side)
        by_grades, by_h_score = (calibrated(manifest, by) for by in ("grades", "h_score"))
    found, hidden = by_grades["thresholds"], made.hidden
    row: Json = {
        "hidden": f"{hidden.left}/{hidden.right}",
        "fitted": f"{found['left']}/{found['right']}",
        "levels_off": max(abs(found["left"] - hidden.left), abs(found["right"] - hidden.right)),
        "outside_flat": int(not holds(by_h_score["flat"], hidden)),
    }
    for by, answer in (("grades", by_grades), ("h_score", by_h_score)):
        row |= {f"{by}_{part}": error for part, error in errors(answer)}
    return row


def written(folder: Path, made: Stain, random: np.random.Generator, *, slides: int, side: int) -> Path:
    """A manifest beside its pictures and annotations: a line for each slide and observer."""
    lines = []
    for k in range(slides):
        drawing = draw_slide(
            size=Size(width=side, height=side),
            seed=int(random.integers(1 << 30)),
            h_score=250 * (k + 1) / (slides + 1),
            optics=made.optics,
        )
        pixels = drawing.read(Region(x=0, y=0, width=side, height=side))
        Image.fromarray(pixels).save(folder / f"{k}.png")
        for observer in ("A", "B"):
            name = f"{k}{observer}.csv"
            write(folder / name, ("x", "y", "class", "grade"), marks(drawing, pixels, made.hidden, random))
            lines.append((f"slide {k}", f"{k}.png", 0.5, name, observer))
    write(folder / "manifest.csv", ("slide", "image", "mpp", "annotation", "annotator"), lines)
    return folder / "manifest.csv"


def marks(
    drawing: Drawing, pixels: npt.NDArray[np.uint8], hidden: HueValueThresholds, random: np.random.Generator
) -> Iterator[tuple[float, float, str, int]]:
    """What an observer writes: most nuclei, a little off, graded by the hidden thresholds but for some noise."""
    truth, side = drawing.truth, len(pixels)
    inner = (np.minimum(truth.x, truth.y) > 4) & (np.maximum(truth.x, truth.y) < side - 5)
    hue, value, _ = hue_value_density(mean_rgb(pixels, truth.x[inner], truth.y[inner]))
    grade = grades_by_hue_value(hue, value, hidden).astype(np.int64)
    grade += np.where(random.random(len(grade)) < NOISE, random.choice([-1, 1], len(grade)), 0)
    seen = random.random(len(grade)) >= MISSED
    xy = np.stack([truth.x, truth.y], axis=1)[inner] + random.normal(0, OFF_PX, (len(grade), 2))
    for (x, y), part, g in zip(xy[seen], truth.compartment[inner][seen], grade[seen].clip(0, 3), strict=True):
        yield round(float(x), 1), round(float(y), 1), CLASSES[part], int(g)


def write(path: Path, header: Sequence[str], rows: Iterator[Any] | Sequence[Any]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def calibrated(manifest: Path, by: str) -> Json:
    command = ("calibrate", str(manifest), "--marker", "ER", "--out", str(manifest.with_suffix(".json")), "--by", by)
    done = subprocess.run(
        (sys.executable, "-m", "server.cli.main", *command, "--json"), capture_output=True, text=True, check=True
    )
    answer: Json = json.loads(done.stdout)
    return answer


def holds(flat: Json, hidden: HueValueThresholds) -> bool:
    return all(flat[name][0] <= getattr(hidden, name) <= flat[name][1] for name in ("left", "right", "hue"))


def errors(answer: Json) -> Iterator[tuple[str, float]]:
    """Mean error of slides left out, of all nuclei and by compartment, of those with nuclei enough."""
    rows = [*answer["left_out"], *answer["left_out_all"]]
    for part in ("all", *CLASSES):
        of_part = [row["error"] for row in rows if row["compartment"] == part and row["n"] >= ENOUGH]
        yield part, round(float(np.mean(of_part)), 2) if of_part else 0.0


def worst(rows: Sequence[Json], name: str) -> float:
    return max(float(row[name]) for row in rows)


if __name__ == "__main__":
    main()
