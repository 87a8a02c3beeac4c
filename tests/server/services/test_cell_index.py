"""Cells by squares for the page: each has the group that the result's own criteria give it."""

from pathlib import Path

import numpy as np

from inference.analyzers.he import HE, NAMES
from inference.analyzers.he_criteria import HeCriteria
from inference.cells.file import CellWriter
from inference.cells.values import made_cells
from server.services.cell_index import CellIndex, index_of


def groups(index: CellIndex) -> list[str]:
    return [NAMES[group] for group in np.sort(index.sample(10)["group"])]


def test_a_result_scored_anew_has_its_own_groups(tmp_path: Path) -> None:
    """Of the same file: an unsure nucleus is of no class where more is asked, and stays so on the page."""
    file = tmp_path / "result" / "cells.parquet"
    file.parent.mkdir()
    columns = {c.name: np.zeros(2, object if c.dtype == "object" else c.dtype) for c in HE.schema.columns}
    columns |= {"kind": [1, 2], "certainty": [60, 95]}
    columns |= {c.name: np.array([b"", b""], object) for c in HE.schema.columns if c.dtype == "object"}
    with CellWriter(file, HE.schema, mpp=0.25) as writer:
        writer.add(made_cells(HE.schema, [10.0, 20.0], [10.0, 20.0], **columns))
    usual, strict = (index_of(file, HE, HeCriteria(least_probability=p), tmp_path / "page") for p in (0.0, 0.8))
    assert groups(usual) == ["inflammatory", "epithelial"]
    assert groups(strict) == ["epithelial", "unclassified"]
    assert groups(index_of(file, HE, HeCriteria(least_probability=0.0), tmp_path / "page")) == groups(usual)
