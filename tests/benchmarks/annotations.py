"""A result's cells as DICOM annotations, written: seconds and memory; one JSON line (I-5: a million in 15 s, 1.5 GB).

python -m tests.benchmarks.annotations [--cells 1000000] [--outlines | --contours]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from inference.analyzers.he_cells import he_cells
from inference.assay import assay_of
from inference.cells.file import CellWriter
from inference.cells.values import Cells
from inference.contour import CONTOUR, rounded
from inference.infer import TileAnswer
from inference.outline import OUTLINE
from server.domain.artifact import ArtifactKind
from server.domain.profile import built_in
from server.report.ann import ann_parts
from server.report.keep import beside_cells, keep_parts
from tests.benchmarks.measure import peak_mb, report
from tests.made import HEIGHT, MPP, WIDTH, made_header, made_nuclei, made_result, with_outlines

AT_ONCE = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--outlines", action="store_true")
    parser.add_argument("--contours", action="store_true", help="nuclei of H&E, by the corners of their pixels")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = made_result(Path(name), n=10, outlines=args.outlines)
        if args.contours:
            result = replace(result, marker="HE", profile=built_in(assay_of("HE")))
        filled(
            result.cells_file, args.cells, contoured if args.contours else outlined if args.outlines else made_nuclei
        )
        place = partial(beside_cells, result, ArtifactKind.ANN)
        before, begun, worked = peak_mb(), time.perf_counter(), time.process_time()
        kept = keep_parts(ArtifactKind.ANN, place, ann_parts(result, [made_header()]))
        took_s, cpu_s = time.perf_counter() - begun, time.process_time() - worked
        assert kept is not None
        mb = sum(file.path.stat().st_size for file in kept.files) / 1e6
        shape = CONTOUR if args.contours else OUTLINE if args.outlines else "point"
        figures = {"cells": args.cells, "shape": shape, "objects": len(kept.files)}
        took = {"s": round(took_s, 2), "cpu_s": round(cpu_s, 2)}
        report("annotations", **figures, **took, mb=round(mb), more_mb=peak_mb() - before, all_mb=peak_mb())


def filled(path: Path, cells: int, made: Callable[..., Cells]) -> None:
    """A file of so many cells, a slide's worth at a time."""
    with CellWriter(path, made(1).schema, mpp=MPP) as writer:
        for begin in range(0, cells, AT_ONCE):
            writer.add(made(min(AT_ONCE, cells - begin), seed=begin))


def outlined(n: int, *, seed: int = 0) -> Cells:
    return with_outlines(made_nuclei(n, seed=seed), seed)


def contoured(n: int, *, seed: int = 0) -> Cells:
    """Nuclei of H&E anywhere on the slide, 7 to 12 µm long at 0.25 µm/px."""
    random, side = np.random.default_rng(seed), 64
    labels = np.zeros((side * 10, side * 10), np.int32)
    for label in range(1, 101):
        x, y = (label - 1) % 10 * side + side // 2, (label - 1) // 10 * side + side // 2
        axes = random.integers(10, 24, 2).tolist()
        cv2.ellipse(labels, (x, y), axes, float(random.uniform(0, 180)), 0, 360, label, cv2.FILLED)
    kind = np.zeros((4, *labels.shape), np.uint8)
    cells = he_cells(
        TileAnswer(
            {},
            0,
            {
                "nucleus": (labels > 0).astype(np.uint8) * np.uint8(255),
                "distance": np.zeros((2, *labels.shape), np.int8),
                "kind": kind,
            },
            tile=np.zeros((*labels.shape, 3), np.uint8),
        ),
        0.25,
    )
    many = cells.taken(random.integers(0, len(cells), n))
    many = many.placed(*(rounded(random.uniform(0, limit - 1, n)) for limit in (WIDTH, HEIGHT)))
    many["kind"][:] = random.integers(0, 4, n)
    return many


if __name__ == "__main__":
    main()
