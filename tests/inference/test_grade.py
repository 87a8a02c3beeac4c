"""Grades: edges of both methods, and that histograms and nuclei give the same counts under any thresholds."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inference.nuclei import Histograms, Nuclei, NucleiWriter, joined, read_nuclei

from inference.errors import Refused
from inference.fields import fields_of
from inference.grade import (
    DensityThresholds,
    HueValueThresholds,
    Thresholds,
    counts,
    grades,
    grades_by_density,
    grades_by_hue_value,
)

T = HueValueThresholds(hue=130, left=60, right=105)


def random_nuclei(n: int, seed: int) -> Nuclei:
    r = np.random.default_rng(seed)
    return Nuclei(
        x=np.floor(r.uniform(0, 20_000, n)),
        y=np.floor(r.uniform(0, 20_000, n)),
        compartment=r.integers(0, 2, n).astype(np.uint8),
        confidence=r.random(n).astype(np.float32),
        hue=r.integers(0, 360, n).astype(np.uint16),
        value=r.integers(0, 256, n).astype(np.uint8),
        dab_od_centi=r.integers(0, 301, n).astype(np.uint16),
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
    lambda hue, values: HueValueThresholds(hue=hue, left=min(values), right=max(values)),
    st.integers(1, 300),
    st.sets(st.integers(0, 255), min_size=2, max_size=2),
)
density = (
    st.sets(st.integers(1, 300), min_size=3, max_size=3)
    .map(sorted)
    .map(lambda c: DensityThresholds(weak=c[0], moderate=c[1], strong=c[2]))
)


@settings(max_examples=40, deadline=None)
@given(st.one_of(hue_value, density), st.integers(0, 400), st.integers(0, 99))
def test_histograms_and_nuclei_give_the_same_counts_under_any_thresholds(t: Thresholds, n: int, seed: int) -> None:
    nuclei = random_nuclei(n, seed)
    histograms = Histograms.empty()
    histograms.add(nuclei)
    by_hand = np.zeros((2, 4), np.int64)
    np.add.at(by_hand, (nuclei.compartment, grades(nuclei, t)), 1)
    assert (counts(histograms, t) == by_hand).all()


def test_the_file_gives_back_what_was_written_and_its_fields_add_up(tmp_path: Path) -> None:
    parts = [random_nuclei(n, n) for n in (0, 1, 70_000, 3, 500)]
    histograms = Histograms.empty()
    with NucleiWriter(tmp_path / "n.parquet", mpp=0.25) as writer:
        for part in parts:
            writer.add(part)
            histograms.add(part)
    back = joined(list(read_nuclei(tmp_path / "n.parquet", rows=1000)))
    for name in Nuclei.__dataclass_fields__:
        assert (getattr(back, name) == getattr(joined(parts), name)).all(), name
    fields = fields_of(tmp_path / "n.parquet", T, mpp=0.25)
    assert (fields.counts.sum(axis=0) == counts(histograms, T)).all()
    assert len(fields.place) == 100  # 20,000 px of 0.25 µm are 5 mm: 10 x 10 fields of 500 µm
    assert fields.place.max() == 9


def test_a_file_whose_writing_fails_leaves_nothing(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with NucleiWriter(tmp_path / "n.parquet", mpp=0.5) as writer:
            writer.add(random_nuclei(10, 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []
