"""What guidelines make of a share, exactly at every edge; and the comment that stands beside it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.analyzers.nuclear import GRADES, NUCLEAR
from inference.assay import assay_of
from inference.control import ControlStatus
from inference.guideline import (
    ASCO_CAP,
    ER_STATUS,
    GUIDELINES,
    IKWG,
    KI67_GROUP,
    PGR_STATUS,
    category_of,
    commented,
)
from inference.measures import Score, find

NUCLEI = 10_000


def rows(marker: str, positive: int, n: int = NUCLEI) -> tuple[Score, ...]:
    """Of so many positive of n epithelial nuclei, and a stroma that is all positive."""
    counts = np.zeros(2 * GRADES, np.int64)
    counts[1], counts[GRADES], counts[GRADES + 2] = 500, n - positive, positive
    return NUCLEAR.scores(assay_of(marker).measures, counts, None)


@pytest.mark.parametrize(
    ("marker", "edges"),
    [
        ("ER", {0: "negative", 99: "negative", 100: "ER Low Positive", 1000: "ER Low Positive", 1001: "positive"}),
        ("ER", {10_000: "positive"}),
        ("PR", {0: "negative", 99: "negative", 100: "positive", 1000: "positive", 10_000: "positive"}),
        ("KI67", {0: "at most 5 %", 500: "at most 5 %", 501: "between", 2999: "between", 3000: "at least 30 %"}),
    ],
)
def test_each_edge_of_each_rule(marker: str, edges: dict[int, str]) -> None:
    """SCORING.md: 0.99, 1, 10, 10.01 %; 5, 5.01, 29.99, 30 %. The stroma doesn't count."""
    measure = {"ER": ER_STATUS, "PR": PGR_STATUS, "KI67": KI67_GROUP}[marker]
    for positive, category in edges.items():
        found = [row for row in rows(marker, positive) if row.measure == measure.code]
        assert [(row.region, row.category) for row in found] == [("epithelium", category)], positive


def test_edges_that_no_float_can_hold_are_exact() -> None:
    assert category_of("ER_STATUS", 7, 70) == "ER Low Positive"
    assert category_of("ER_STATUS", 3, 300) == "ER Low Positive"
    assert category_of("KI67_GROUP", 3 * 7, 10 * 7) == "at least 30 %"
    assert category_of("KI67_GROUP", 29, 580) == "at most 5 %"


@given(st.integers(1, 10**6), st.data())
def test_a_share_has_one_category_and_more_nuclei_never_a_lower_one(n: int, data: st.DataObject) -> None:
    one, other = sorted(data.draw(st.integers(0, n)) for _ in range(2))
    for code, guideline in GUIDELINES.items():
        order = [step.category for step in guideline.steps]
        lower, higher = category_of(code, one, n), category_of(code, other, n)
        assert lower is not None
        assert higher is not None
        assert order.index(lower) <= order.index(higher)
        assert set(order) == set(guideline.measure.categories)


def test_without_tumour_nuclei_there_is_no_category_and_no_comment() -> None:
    made = commented(rows("ER", 0, 0), control=ControlStatus.ABSENT, site_known=True)
    row = find(made, ER_STATUS, "epithelium")
    assert row is not None
    assert (row.category, row.comment, row.n) == (None, "", 0)


def comment(marker: str, positive: int, control: ControlStatus = ControlStatus.PASSED, *, breast: bool = True) -> str:
    made = commented(rows(marker, positive), control=control, site_known=breast)
    (row,) = [row for row in made if row.rule]
    assert row.rule == (IKWG if marker == "KI67" else ASCO_CAP)
    return row.comment


def test_er_low_positive_has_its_comment_and_up_to_ten_percent_the_controls_are_reported() -> None:
    for positive in (0, 99, 100, 1000):
        for status, word in (
            ("passed", "as expected"),
            ("failed", "not as expected"),
            ("absent", "no internal control"),
        ):
            assert word in comment("ER", positive, ControlStatus(status))
    assert "endocrine therapy" in comment("ER", 100)
    assert "endocrine therapy" not in comment("ER", 99)
    assert comment("ER", 1001) == ""
    assert "Controls" in comment("PR", 1000)
    assert comment("PR", 1001) == ""


def test_ki_67_between_says_that_it_is_not_to_be_used_alone() -> None:
    assert "not to be used alone" in comment("KI67", 501)
    assert comment("KI67", 500) == comment("KI67", 3000) == "May be used alone."


def test_where_the_specimen_is_not_known_to_be_of_the_breast_the_row_says_so() -> None:
    assert "cancer of the breast" in comment("KI67", 501, breast=False)
    assert "breast" not in comment("KI67", 501)


def test_rows_of_no_guideline_are_left_as_they_are() -> None:
    for row in rows("P53", 100):
        assert commented([row], control=ControlStatus.ABSENT, site_known=True) == (row,)
    made = commented(rows("ER", 100), control=ControlStatus.ABSENT, site_known=True)
    assert [replace(row, comment="", rule="") for row in made] == list(rows("ER", 100))
