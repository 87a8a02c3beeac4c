"""Grades: edges of both methods; histograms, cells and their file give the same counts under any criteria."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.analyzers.nuclear import COMPARTMENTS, NUCLEAR
from inference.analyzers.nuclear import graded as graded_by
from inference.assay import criteria_of, criteria_values
from inference.cells.file import SCHEMA_KEY, CellWriter, read_cells
from inference.cells.histograms import Histograms, histograms_of
from inference.cells.values import Cells, joined, made_cells
from inference.criteria import Criteria
from inference.errors import Refused
from inference.fields import FIELD_UM, fields_of
from inference.grade import Colour, DensityThresholds, HueValueThresholds, grades_by_density, grades_by_hue_value

T = HueValueThresholds(hue=130, left=60, right=105)


def random_nuclei(n: int, seed: int) -> Cells:
    r = np.random.default_rng(seed)
    return made_cells(
        NUCLEAR.schema,
        np.floor(r.uniform(0, 20_000, n)),
        np.floor(r.uniform(0, 20_000, n)),
        compartment=r.integers(0, 2, n),
        confidence=r.random(n),
        hue=r.integers(0, 360, n),
        value=r.integers(0, 256, n),
        dab_od_centi=r.integers(0, 301, n),
        white_hue=r.integers(0, 360, n),
        white_value=r.integers(0, 256, n),
        white_od_centi=r.integers(0, 301, n),
    )


@pytest.mark.parametrize(
    ("hue", "value", "grade"),
    [
        (0, 59, 3),
        (0, 60, 2),
        (0, 104, 2),
        (0, 105, 1),
        (129, 10, 3),
        (130, 10, 0),
        (300, 10, 0),
        (301, 10, 3),
        (359, 255, 1),
        (220, 0, 0),
    ],
)
def test_edges_of_hue_and_value(hue: int, value: int, grade: int) -> None:
    assert grades_by_hue_value(hue, value, T) == grade


@pytest.mark.parametrize(("centi", "grade"), [(0, 0), (19, 0), (20, 1), (39, 1), (40, 2), (59, 2), (60, 3), (300, 3)])
def test_edges_of_density(centi: int, grade: int) -> None:
    assert grades_by_density(centi, DensityThresholds(weak=20, moderate=40, strong=60)) == grade


@pytest.mark.parametrize(
    ("hue", "left", "right"),
    [(0, 60, 105), (301, 60, 105), (130, 105, 60), (130, 60, 60), (130, -1, 60), (130, 60, 256)],
)
def test_thresholds_that_make_no_sense_are_refused(hue: int, left: int, right: int) -> None:
    with pytest.raises(Refused, match="PROFILE_INVALID"):
        HueValueThresholds(hue=hue, left=left, right=right)


def test_density_cut_offs_must_ascend() -> None:
    with pytest.raises(Refused, match="20, 20, 60"):
        DensityThresholds(weak=20, moderate=20, strong=60)


hue_value = st.builds(
    lambda hue, values, colour: HueValueThresholds(hue=hue, left=min(values), right=max(values), colour=colour),
    st.integers(1, 300),
    st.sets(st.integers(0, 255), min_size=2, max_size=2),
    st.sampled_from(Colour),
)
density = st.builds(
    lambda c, colour: DensityThresholds(weak=c[0], moderate=c[1], strong=c[2], colour=colour),
    st.sets(st.integers(1, 300), min_size=3, max_size=3).map(sorted),
    st.sampled_from(Colour),
)


@settings(max_examples=40)
@given(st.one_of(hue_value, density), st.integers(0, 400), st.integers(0, 99))
def test_histograms_and_cells_give_the_same_counts_under_any_criteria(criteria: Criteria, n: int, seed: int) -> None:
    cells = random_nuclei(n, seed)
    by_hand = np.bincount(NUCLEAR.group_of(cells, criteria), minlength=len(NUCLEAR.groups))
    assert (NUCLEAR.counts(histograms_of(cells, NUCLEAR.histograms), criteria) == by_hand).all()


@given(st.one_of(hue_value, density), st.integers(0, 99))
def test_a_nucleus_group_names_its_compartment_and_its_grade(criteria: Criteria, seed: int) -> None:
    cells = random_nuclei(50, seed)
    assert isinstance(criteria, HueValueThresholds | DensityThresholds)
    grade = graded_by(cells, criteria)
    names = [f"{COMPARTMENTS[c]} {g}" for c, g in zip(cells["compartment"], grade, strict=True)]
    assert [NUCLEAR.groups[i].name for i in NUCLEAR.group_of(cells, criteria)] == names


@given(st.one_of(hue_value, density))
def test_criteria_come_back_from_what_they_say_of_themselves(criteria: Criteria) -> None:
    values = criteria_values(criteria)
    assert criteria_of(str(values.pop("method")), values) == criteria


def test_the_file_gives_back_what_was_written_and_its_fields_add_up(tmp_path: Path) -> None:
    parts = [random_nuclei(n, n) for n in (0, 1, 70_000, 3, 500)]
    histograms = Histograms.empty(NUCLEAR.histograms)
    with CellWriter(tmp_path / "n.parquet", NUCLEAR.schema, mpp=0.25) as writer:
        for part in parts:
            writer.add(part)
            histograms.add(part, NUCLEAR.histograms)
    back, whole = joined(list(read_cells(tmp_path / "n.parquet", NUCLEAR.schema, rows=1000))), joined(parts)
    np.testing.assert_array_equal([back.x, back.y], [whole.x, whole.y])
    for name in NUCLEAR.schema.names:
        assert back[name].dtype == whole[name].dtype
        np.testing.assert_array_equal(back[name], whole[name])
    fields = fields_of(tmp_path / "n.parquet", NUCLEAR, T, mpp=0.25).of_side(FIELD_UM)
    assert (fields.counts.sum(axis=0) == NUCLEAR.counts(histograms, T)).all()
    assert len(fields.place) == 100  # 20,000 px of 0.25 µm are 5 mm: 10 x 10 fields of 500 µm
    assert fields.place.max() == 9


def test_the_file_says_of_which_schema_it_is_and_is_read_as_no_other(tmp_path: Path) -> None:
    with CellWriter(tmp_path / "n.parquet", NUCLEAR.schema, mpp=0.5) as writer:
        writer.add(random_nuclei(10, 1))
    assert pq.read_schema(tmp_path / "n.parquet").metadata[SCHEMA_KEY] == b"nuclear/2"
    for other in (replace(NUCLEAR.schema, version=3), replace(NUCLEAR.schema, name="membrane")):
        with pytest.raises(Refused, match=f"CELLS_INVALID.*nuclear/2, not of {other.name}/{other.version}"):
            list(read_cells(tmp_path / "n.parquet", other))


def test_a_file_that_names_no_schema_or_is_no_cells_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x_px": [1.0], "y_px": [2.0]}), tmp_path / "n.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    for name in ("n.parquet", "text.parquet", "absent.parquet"):
        with pytest.raises(Refused, match=f"CELLS_INVALID.*{name}"):
            list(read_cells(tmp_path / name, NUCLEAR.schema))


def test_a_file_whose_writing_fails_leaves_nothing(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with CellWriter(tmp_path / "n.parquet", NUCLEAR.schema, mpp=0.5) as writer:
            writer.add(random_nuclei(10, 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []
