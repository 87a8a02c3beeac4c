"""Outlines of the nuclei of a drawn slide against OpenCV's watershed: seconds a mm² and how well each fits the truth.

    python -m tests.benchmarks.outlines [--side 1088] [--repeat 5]

A tile with its halo is 1088 px. Seeds are the true centres moved at random by 0.7 px. One JSON line; `fit` is the
median overlap (intersection over union) with the nuclei that were drawn. One core, OpenCV on one thread.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from inference.draw import Drawing, draw_slide
from inference.geometry import Region, Size
from inference.outline import COS, RAYS, REACH_UM, SIN, UNIT_UM, Seeds, outlines
from inference.slide import Rgb
from inference.stain import unmixing
from tests.benchmarks.measure import mm2, one_core, report

MPP, HALO, JITTER_PX = 0.5, 32, 0.7
Radii = npt.NDArray[np.float64]


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=1088)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    size = Size(width=args.side, height=args.side)
    drawing = draw_slide(size=size, seed=5, h_score=150)
    picture = drawing.read(Region(x=0, y=0, width=args.side, height=args.side))
    random, truth = np.random.default_rng(0), drawing.truth
    x, y = (v + random.normal(0, JITTER_PX, len(v)) for v in (truth.x, truth.y))
    seeds = Seeds(x=x, y=y, counted=np.ones(len(x), bool))
    cv2.setNumThreads(1)
    with one_core():
        ours = fastest(lambda: outlines(picture, seeds, mpp=MPP, halo=HALO).radii * (UNIT_UM / MPP), args.repeat)
        theirs = fastest(lambda: flooded(picture, seeds), args.repeat)
    figures = {"nuclei": len(x), "nuclei_per_mm2": round(len(x) / mm2(size))}
    for name, (seconds, radii) in {"outlines": ours, "watershed": theirs}.items():
        figures[f"{name}_s_per_mm2"] = round(seconds / mm2(size), 4)
        figures[f"{name}_fit"] = round(fit(radii, drawing, x, y), 3)
    report("outlines", **figures)


def fastest(work: Callable[[], Radii], repeat: int) -> tuple[float, Radii]:
    """Processor seconds of the best of so many runs, and what it gave."""
    times, found = [], work()
    for _ in range(repeat):
        began = time.process_time()
        found = work()
        times.append(time.process_time() - began)
    return min(times), found


def flooded(picture: Rgb, seeds: Seeds) -> Radii:
    """OpenCV's watershed from the seeds over the density of both stains, read along the same rays."""
    reach = int(REACH_UM / MPP)
    density = -np.log10((picture.astype(np.float32) + 1) / 256) @ (unmixing()[:, 0] + unmixing()[:, 1])
    columns, rows = (np.rint(v).astype(int).clip(0, picture.shape[0] - 1) for v in (seeds.x, seeds.y))
    marks = np.ones(density.shape, np.uint8)
    marks[rows, columns] = 0
    far = cv2.distanceTransform(marks, cv2.DIST_L2, 3) > reach
    labels = np.where(far | (density < 0.9 * cv2.blur(density, (31, 31))), 1, 0).astype(np.int32)
    labels[rows, columns] = np.arange(len(rows)) + 2
    labels = cv2.watershed(cv2.merge([np.clip(density * 100, 0, 255).astype(np.uint8)] * 3), labels)
    steps = np.arange(0, reach + 0.5, 0.5)
    at_x = np.rint(seeds.x[:, None, None] + COS[:, None] * steps).astype(int).clip(0, picture.shape[1] - 1)
    at_y = np.rint(seeds.y[:, None, None] + SIN[:, None] * steps).astype(int).clip(0, picture.shape[0] - 1)
    own = labels[at_y, at_x] == (np.arange(len(rows)) + 2)[:, None, None]
    return np.where(own.all(axis=2), reach, steps[own.argmin(axis=2)])


def fit(radii: Radii, drawing: Drawing, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """By pictures of a quarter pixel of every tenth nucleus."""
    true = drawing.outlines(RAYS)
    overlaps = []
    for i in range(0, len(x), 10):
        moved = x[i] - drawing.truth.x[i], y[i] - drawing.truth.y[i]
        a, b = (_mask(r, *at) for r, at in ((radii[i], moved), (true[i], (0.0, 0.0))))
        overlaps.append((a & b).sum() / (a | b).sum())
    return float(np.median(overlaps))


def _mask(radii: Radii, x: float, y: float) -> npt.NDArray[np.bool_]:
    corners = np.stack([80 + 4 * (x + radii * COS), 80 + 4 * (y + radii * SIN)], axis=1)
    drawn = cv2.fillPoly(np.zeros((160, 160), np.uint8), [np.rint(corners * 16).astype(np.int32)], 1, shift=4)
    return drawn.astype(bool)


if __name__ == "__main__":
    main()
