"""Cells by squares for the page: each has the group that the result's own criteria give it."""

from pathlib import Path

import numpy as np

from inference.analyzers.he import HE, NAMES
from inference.analyzers.he_criteria import HeCriteria
from inference.cells.file import CellWriter
from inference.cells.values import made_cells
from server.services.cell_index import CellIndex, index_of
from server.services.page_cells import folder_of, prepare
from tests.made import made_result


def groups(index: CellIndex) -> list[str]:
    return [NAMES[group] for group in np.sort(index.square(0, 0)["group"])]


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


def test_what_is_prepared_when_a_case_ends_is_what_the_page_opens(tmp_path: Path) -> None:
    result, folder = made_result(tmp_path, n=400), folder_of(tmp_path / "results")
    prepare(result, folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(before) == 3
    index = index_of(result.cells_file, result.assay.analyzer, result.profile.criteria, folder)
    assert sum(len(part) for part in index.parts()) == 400
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert folder.parent.stat().st_mode & 0o077 == 0


def test_what_can_t_be_prepared_ends_no_case(tmp_path: Path) -> None:
    result, folder = made_result(tmp_path, n=10), folder_of(tmp_path / "results")
    result.cells_file.write_bytes(b"no Parquet")
    prepare(result, folder)
    assert not folder.exists() or list(folder.glob("*.json")) == []
