"""Fitting criteria to a million nuclei, and scoring a thousand stored results again from their histograms.

    python -m tests.benchmarks.calibration [--repeat 3]

Nuclei are made up, twenty compartments of ten slides. One JSON line: seconds of one fit by each objective (the flat set
included), and of 1,000 results under other criteria, their rows included. One core.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.calibration.fit import Objective, Settings, fit
from inference.calibration.sample import Sample, graded_sample
from inference.cells.histograms import Histograms, histograms_of
from inference.grade import HueValueThresholds
from tests.benchmarks.measure import median, one_core, report
from tests.inference.made_samples import annotated, graded, made_nuclei

NUCLEI, SLIDES, RESULTS = 1_000_000, 10, 1000
HIDDEN = HueValueThresholds(hue=110, left=72, right=118)
OTHER = HueValueThresholds(hue=130, left=60, right=105)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    samples = made()
    tables = [histograms_of(s.cells, NUCLEAR.histograms) for s in samples]
    with one_core():
        fits = {
            f"fit_{by}_s": median(seconds(lambda by=by: fit(samples, Settings(by=by))) for _ in range(repeat))
            for by in Objective
        }
        again = median(seconds(lambda: rescored(tables)) for _ in range(repeat))
    report("calibration", nuclei=NUCLEI, **fits, results=RESULTS, rescored_s=again)


def made() -> list[Sample]:
    random = np.random.default_rng(0)
    samples = []
    for i in range(SLIDES):
        share = (i + 1) / (SLIDES + 1)
        cells = made_nuclei(NUCLEI // SLIDES, random, brown=share, dark=130 - 80 * share)
        marks = annotated(cells, graded(cells, HIDDEN, random, noise=0.05))
        samples.append(graded_sample(f"slide {i}", "region", cells, marks, mpp=0.5))
    return samples


def rescored(tables: list[Histograms]) -> None:
    assay = assay_of("ER")
    for i in range(RESULTS):
        counts = NUCLEAR.counts(tables[i % len(tables)], OTHER)
        NUCLEAR.scores(assay.measures, counts, None)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
