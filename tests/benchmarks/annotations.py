"""A result's cells as DICOM annotations, written: seconds and memory; one JSON line (I-5: a million in 15 s, 1.5 GB).

python -m tests.benchmarks.annotations [--cells 1000000] [--outlines]
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

from inference.cells.file import CellWriter
from inference.outline import OUTLINE
from server.domain.artifact import ArtifactKind
from server.report.ann import ann_parts
from server.report.keep import beside_cells, keep_parts
from tests.benchmarks.measure import peak_mb, report
from tests.made import MPP, made_header, made_nuclei, made_result, with_outlines

AT_ONCE = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--outlines", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = made_result(Path(name), n=10, outlines=args.outlines)
        filled(result.cells_file, args.cells, outlines=args.outlines)
        place = partial(beside_cells, result, ArtifactKind.ANN)
        before, begun = peak_mb(), time.perf_counter()
        kept = keep_parts(ArtifactKind.ANN, place, ann_parts(result, [made_header()]))
        took_s = time.perf_counter() - begun
        assert kept is not None
        mb = sum(file.path.stat().st_size for file in kept.files) / 1e6
        figures = {"cells": args.cells, "shape": OUTLINE if args.outlines else "point", "objects": len(kept.files)}
        report("annotations", **figures, s=round(took_s, 2), mb=round(mb), more_mb=peak_mb() - before, all_mb=peak_mb())


def filled(path: Path, cells: int, *, outlines: bool) -> None:
    """A file of so many cells, a slide's worth at a time."""
    first = made_nuclei(1)
    with CellWriter(path, (with_outlines(first) if outlines else first).schema, mpp=MPP) as writer:
        for begin in range(0, cells, AT_ONCE):
            nuclei = made_nuclei(min(AT_ONCE, cells - begin), seed=begin)
            writer.add(with_outlines(nuclei, begin) if outlines else nuclei)


if __name__ == "__main__":
    main()
