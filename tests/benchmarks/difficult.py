"""Difficult drawn slides through the whole analysis: nuclei found, count, H-score and percent positive against truth.

    python -m tests.benchmarks.difficult [--side 1400] [--seed 3] [--copies]

One JSON line a kind; `--copies`: how far copies in other pixel sizes move the count (percent) and the H-score. A
nucleus is found within 3 µm.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.assay import BUILT_IN
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.criteria import Criteria
from inference.draw import Drawing, draw_difficult, draw_slide
from inference.draw.difficult import KINDS
from inference.engines.local import LocalEngine
from inference.evaluation.metric import Points, matches
from inference.geometry import Region, Size
from inference.keypoints import MATCH_RADIUS_UM
from inference.picture import PictureSlide
from inference.score import h_score, percent_positive
from inference.slide import Rgb
from tests.benchmarks.measure import Figures, report
from tests.models import HALF_A_MICROMETRE, IHC_TILE

MPP, H_SCORE, PALE_H_SCORE = 0.5, 140.0, 60.0
COPIES_MPP = (0.4, 0.45, 0.55, 0.6249)
USUAL = "usual"


def main() -> None:
    """Draw, analyse, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=1400)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--copies", action="store_true")
    args = parser.parse_args()
    engine = LocalEngine(IHC_TILE, threads=1)
    for name in (USUAL, *KINDS):
        drawing = drawn(name, args.side, args.seed)
        picture = drawing.read(Region(x=0, y=0, width=args.side, height=args.side))
        plain = seen(picture, engine)
        figures: Figures = {"kind": name, **against(drawing, *plain)}
        for mpp in COPIES_MPP if args.copies else ():
            cells = seen(copied(picture, mpp), engine, mpp)[0]
            figures[f"{mpp}_count_percent"] = round(100 * (len(cells) / len(plain[0]) - 1), 2)
            figures[f"{mpp}_h"] = round(scores(cells)[0] - scores(plain[0])[0], 1)
        report("difficult", **figures)


def drawn(name: str, side: int, seed: int, h_score: float | None = None) -> Drawing:
    """The usual slide, or one of KINDS; of an H-score of its own where none is asked for."""
    size = Size(width=side, height=side)
    h_score = h_score or (PALE_H_SCORE if name == "pale" else H_SCORE)
    if name == USUAL:
        return draw_slide(size=size, seed=seed, h_score=h_score)
    return draw_difficult(KINDS[name], size=size, seed=seed, h_score=h_score)


def copied(picture: Rgb, mpp: float) -> Rgb:
    """The same tissue in pixels of another size."""
    height, width = (round(side * MPP / mpp) for side in picture.shape[:2])
    way = cv2.INTER_AREA if mpp > MPP else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


def seen(picture: Rgb, engine: LocalEngine, mpp: float = MPP) -> tuple[Cells, tuple[str, ...]]:
    """Its nuclei and warnings."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nuclei.parquet"
        analysis = analyze(PictureSlide(picture, HALF_A_MICROMETRE, mpp=mpp), engine, NUCLEAR, file, Options())
        return joined(list(read_cells(file, NUCLEAR.schema))), analysis.warnings


def against(drawing: Drawing, cells: Cells, warnings: tuple[str, ...]) -> Figures:
    """What was found against what was drawn."""
    truth = drawing.truth
    true, found = (
        Points(xy=np.stack([x, y], axis=1), label=np.zeros(len(x), np.int64), confidence=sure)
        for x, y, sure in (
            (truth.x, truth.y, np.ones(len(truth.x))),
            (cells.x, cells.y, cells["confidence"].astype(float)),
        )
    )
    hits = int((matches(found, true, MATCH_RADIUS_UM / MPP) >= 0).sum())
    counts = tuple(truth.counts.sum(axis=0).tolist())
    h, percent = scores(cells)
    return {
        "nuclei": len(truth.x),
        "precision": round(hits / max(len(cells), 1), 3),
        "recall": round(hits / len(truth.x), 3),
        "f1": round(2 * hits / (len(cells) + len(truth.x)), 3),
        "bias_percent": round(100 * (len(cells) / len(truth.x) - 1), 1),
        "h_score_off": round(h - (h_score(counts) or 0), 1),
        "percent_off": round(percent - (percent_positive(counts) or 0), 1),
        "warnings": " ".join(warnings),
    }


def scores(cells: Cells, criteria: Criteria = BUILT_IN.criteria) -> tuple[float, float]:
    """H-score and percent positive of all, by the built-in criteria or others."""
    grade = NUCLEAR.group_of(cells, criteria) % 4
    counts = tuple(np.bincount(grade, minlength=4).tolist())
    return h_score(counts) or 0.0, percent_positive(counts) or 0.0


if __name__ == "__main__":
    main()
