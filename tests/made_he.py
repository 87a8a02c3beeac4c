"""A made-up result of H&E for tests: random nuclei of every class, no pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.assay import assay_of
from inference.cells.file import CellWriter
from inference.cells.histograms import histograms_of
from inference.cells.values import Cells, made_cells
from inference.contour import CONTOUR
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.profile import built_in
from server.domain.result import Result
from tests.made import HEIGHT, MPP, WIDTH, made_result


def made_he_cells(n: int, seed: int = 4) -> Cells:
    """Anywhere on a slide of WIDTH x HEIGHT px, without outlines."""
    random, ones = np.random.default_rng(seed), np.ones(n)
    more = dict.fromkeys(("area_um2", "major_um", "minor_um", "angle", "haematoxylin_od", "eosin_od"), ones)
    return made_cells(
        assay_of("HE").analyzer.schema,
        random.uniform(0, WIDTH - 1, n),
        random.uniform(0, HEIGHT - 1, n),
        confidence=ones,
        kind=random.integers(0, 4, n),
        certainty=np.full(n, 90),
        **more,
        **{CONTOUR: np.array([b""] * n, object)},
    )


def made_he_result(folder: Path, n: int) -> Result:
    """As a worker leaves it, but for its rows; the cells' file in `folder`."""
    assay, cells, made = assay_of("HE"), made_he_cells(n), made_result(folder, 10)
    path = folder / "cells.parquet"
    with CellWriter(path, cells.schema, mpp=MPP) as writer:
        writer.add(cells)
    return replace(
        made,
        marker="HE",
        clinical_region=assay.clinical_region,
        profile=built_in(assay),
        analysis=replace(made.analysis, histograms=histograms_of(cells, assay.analyzer.histograms)),
        artifacts=(Artifact(kind=ArtifactKind.CELLS, path=path),),
        warnings=assay.analyzer.whole_remarks,
    )
