"""Synthetic regions whose nuclei are graded by hidden thresholds, with noise where wanted; no network, no pixels."""

import numpy as np

from inference.analyzers.nuclear import NUCLEAR
from inference.analyzers.nuclear import graded as graded_by
from inference.calibration.sample import Annotated, Sample, graded_sample
from inference.cells.values import Cells, made_cells
from inference.grade import GRADES, Grades, Thresholds
from tests.made import both_colours

MPP = 0.5
APART = 20.0
"""Pixels between neighbours."""


def made_nuclei(n: int, random: np.random.Generator, *, brown: float = 0.6, dark: float = 90.0) -> Cells:
    """n nuclei on a grid: a share of `brown` ones, whose values lie round `dark`, and blue ones."""
    stained = random.random(n) < brown
    hue = np.where(stained, random.normal(25, 15, n), random.normal(225, 18, n)).round() % 360
    value = np.where(stained, random.normal(dark, 30, n), random.normal(160, 20, n)).round().clip(0, 255)
    side = int(np.ceil(np.sqrt(n)))
    return made_cells(
        NUCLEAR.schema,
        APART * (np.arange(n) % side),
        APART * (np.arange(n) // side),
        compartment=random.integers(0, 2, n),
        confidence=np.ones(n),
        **both_colours(
            hue,
            value,
            np.where(stained, 300 - value, 5 + value / 50).round().clip(0, 300),
        ),
    )


def graded(cells: Cells, hidden: Thresholds, random: np.random.Generator, *, noise: float = 0.0) -> Grades:
    """By the thresholds; a share of `noise` is graded anew at random."""
    right = graded_by(cells, hidden)
    wrong = random.random(len(cells)) < noise
    return np.where(wrong, random.integers(0, GRADES, len(cells)), right).astype(np.uint8)


def annotated(cells: Cells, grade: Grades) -> Annotated:
    """A mark on each nucleus."""
    return Annotated(
        xy=np.stack([cells.x, cells.y], axis=1), compartment=cells["compartment"].astype(np.int64), grade=grade
    )


def made_samples(
    hidden: Thresholds, *, slides: int = 5, n: int = 600, regions: int = 2, noise: float = 0.0, seed: int = 0
) -> list[Sample]:
    """Regions of slides that stain from little to much."""
    random = np.random.default_rng(seed)
    samples = []
    for i in range(slides):
        share = (i + 1) / (slides + 1)
        for k in range(regions):
            cells = made_nuclei(n, random, brown=share, dark=130 - 80 * share)
            marks = annotated(cells, graded(cells, hidden, random, noise=noise))
            samples.append(graded_sample(f"slide {i}", f"region {i}.{k}", cells, marks, mpp=MPP))
    return samples
