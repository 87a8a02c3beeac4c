"""Cells as a person changed them: what lies inside, what is counted, and that the file and the histograms agree."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.cells.file import CellWriter, read_cells
from inference.cells.histograms import histograms_of
from inference.cells.values import joined
from inference.change import Edits, changed, inside
from inference.errors import Refused
from inference.stain import SHOWN_DENSITY, stain_picture
from tests.made import MPP, made_nuclei

CRITERIA = assay_of("ER").built_in.criteria


@given(st.integers(3, 12), st.integers(0, 2**32 - 1))
def test_inside_is_what_another_library_calls_inside(corners: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    reach = random.uniform(5, 50, corners)
    polygon = np.stack([60 + reach * np.cos(angles), 60 + reach * np.sin(angles)], axis=1).astype(np.float32)
    x, y = random.uniform(0, 120, 200), random.uniform(0, 120, 200)
    found = inside(x - 0.5, y - 0.5, [polygon.astype(np.float64)])
    apart = [cv2.pointPolygonTest(polygon, (float(px), float(py)), True) for px, py in zip(x, y, strict=True)]
    sure = np.abs(apart) > 0.01
    assert np.array_equal(found[sure], (np.array(apart) > 0)[sure])


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_file_and_histograms_of_changed_cells_count_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("changed")
    nuclei = made_nuclei(400, seed=seed % 1000)
    with CellWriter(folder / "a.parquet", NUCLEAR.schema, mpp=MPP) as writer:
        writer.add(nuclei)
    rows = random.choice(400, 30, replace=False).tolist()
    groups = [None if g == 8 else int(g) for g in random.integers(0, 9, 30)]
    square = np.array([[2000, 1000], [12_000, 1500], [9000, 9000]], np.float64)
    edits = Edits(exclude=[square], drawn={"tumour": [square + 2500]}, cells=dict(zip(rows, groups, strict=True)))
    made = changed(folder / "a.parquet", folder / "b.parquet", NUCLEAR, edits, mpp=MPP)
    left = joined(list(read_cells(folder / "b.parquet", NUCLEAR.schema)))
    assert made.n == len(left)
    assert made.drawn == ("tumour",)
    grouped = NUCLEAR.group_of(left, CRITERIA)
    assert np.array_equal(NUCLEAR.counts(made.of_region(""), CRITERIA), np.bincount(grouped, minlength=8))
    within = inside(left.x, left.y, [square + 2500])
    tumour = np.bincount(grouped[within], minlength=8)
    assert np.array_equal(NUCLEAR.counts(made.of_region("tumour"), CRITERIA), tumour)


def test_nothing_changed_is_the_same_cells(tmp_path: Path) -> None:
    nuclei = made_nuclei(300)
    with CellWriter(tmp_path / "a.parquet", NUCLEAR.schema, mpp=MPP) as writer:
        writer.add(nuclei)
    made = changed(tmp_path / "a.parquet", tmp_path / "b.parquet", NUCLEAR, Edits(), mpp=MPP)
    expected = histograms_of(nuclei, NUCLEAR.histograms)
    assert all(np.array_equal(made[name], expected[name]) for name in expected.tables)
    with pytest.raises(Refused, match="cell 300"):
        changed(tmp_path / "a.parquet", tmp_path / "c.parquet", NUCLEAR, Edits(cells={300: 1}), mpp=MPP)
    assert not (tmp_path / "c.parquet").exists()


def test_a_stain_alone_is_white_without_it_and_darkest_where_it_is_densest() -> None:
    picture = np.array([[[255, 255, 255], [60, 90, 170], [120, 60, 20]]], np.uint8)
    brown, blue = (stain_picture(picture, stain, 0.05, 1.0)[0].sum(axis=1) for stain in ("dab", "haematoxylin"))
    assert brown[0] == blue[0] == 765
    assert brown[2] < brown[1]
    assert blue[1] < blue[2]
    assert SHOWN_DENSITY > 1
    with pytest.raises(ValueError, match="low below high"):
        stain_picture(picture, "dab", 1.0, 1.0)
