"""The control gate: what is expected of a core beside what is found in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.analyzers.nuclear import CONTROLS, H_SCORE, NUCLEAR, PERCENT_POSITIVE
from inference.area import box_area
from inference.assay import assay_of
from inference.cells.values import Cells, made_cells
from inference.control import ABSENT, Control, ControlStatus, classes, control_of, core_found, cores_of
from inference.control_kind import ControlKind
from inference.errors import Refused
from inference.geometry import Region
from inference.grade import HueValueThresholds
from inference.measures import ALL, Measure, scored
from tests.made import both_colours

POSITIVE, NEGATIVE = CONTROLS
CRITERIA = HueValueThresholds(hue=130, left=60, right=105)
ER = assay_of("ER")
SCORE = Measure(code="MADEUP_HER2", display="Made up", categories=("0", "1+", "2+", "3+"))
THREE = ControlKind(name="3+", measure=SCORE, category="3+")


def nuclei(stained: int, blue: int, value: int = 80) -> Cells:
    n = stained + blue
    return made_cells(
        NUCLEAR.schema,
        np.arange(n),
        np.zeros(n),
        compartment=np.zeros(n),
        confidence=np.ones(n),
        **both_colours(
            [20] * stained + [220] * blue,
            np.full(n, value),
            np.zeros(n),
        ),
    )


def judged(kind: ControlKind, cells: Cells) -> tuple[str, bool]:
    found = core_found(kind, cells, NUCLEAR, ER.measures, CRITERIA)
    assert found.expected == kind.name
    return found.found, found.passed


@pytest.mark.parametrize(
    ("kind", "stained", "blue", "found", "passed"),
    [
        (POSITIVE, 10, 90, "positive", True),
        (POSITIVE, 9, 91, "9", False),  # neither: between the two
        (POSITIVE, 0, 100, "negative", False),
        (NEGATIVE, 5, 95, "negative", True),
        (NEGATIVE, 6, 94, "6", False),
        (NEGATIVE, 100, 0, "positive", False),
        (POSITIVE, 19, 0, "none", False),  # too few to judge
        (NEGATIVE, 0, 19, "none", False),
        (POSITIVE, 0, 0, "none", False),
    ],
)
def test_a_core_is_what_it_should_be_or_not(
    kind: ControlKind, stained: int, blue: int, found: str, passed: bool
) -> None:
    assert judged(kind, nuclei(stained, blue)) == (found, passed)


def test_a_laboratory_may_expect_a_range_of_another_measure() -> None:
    narrow = ControlKind(name="positive", measure=H_SCORE, low=150, high=210)
    assert judged(narrow, nuclei(90, 10)) == ("positive", True)
    faded = core_found(narrow, nuclei(90, 10, value=200), NUCLEAR, ER.measures, CRITERIA)
    assert (faded.passed, faded.value, faded.low, faded.high, faded.measure) == (False, 90.0, 150, 210, "HSCORE")


def test_one_core_that_fails_fails_the_control_and_says_why() -> None:
    good, bad = (core_found(k, nuclei(0, 100), NUCLEAR, ER.measures, CRITERIA) for k in (NEGATIVE, POSITIVE))
    assert control_of([good]) == Control(status=ControlStatus.PASSED, cores=(good,))
    failed = control_of([good, bad], {PERCENT_POSITIVE.code: "positive %"})
    assert failed.status is ControlStatus.FAILED
    assert (
        failed.detail == "the control expected positive was found negative: positive % 0.0, not 10 or more, 100 cells"
    )
    assert control_of([]) == ABSENT


def test_a_category_is_expected_as_a_category() -> None:
    rows = {name: scored(SCORE, ALL, 100, category=name) for name in SCORE.categories}
    assert [name for name, row in rows.items() if THREE.accepts(row)] == ["3+"]
    assert not THREE.accepts(scored(SCORE, ALL, 19, category="3+"))
    assert not THREE.accepts(scored(SCORE, ALL, 100))
    assert not THREE.accepts(None)


@given(st.floats(0, 100))
def test_the_kinds_of_an_assay_do_not_overlap(share: float) -> None:
    row = scored(PERCENT_POSITIVE, ALL, 1000, share)
    assert sum(kind.accepts(row) for kind in CONTROLS) <= 1


def test_annotations_name_kinds_by_their_class() -> None:
    assert classes(CONTROLS) == ("control positive", "control negative")
    area = box_area("control negative", Region(x=0, y=0, width=9, height=9))
    assert [core.kind for core in cores_of([area], CONTROLS)] == [NEGATIVE]


@pytest.mark.parametrize(
    "expected",
    [
        {"measure": H_SCORE},
        {"measure": H_SCORE, "low": 9.0, "high": 8.0},
        {"measure": H_SCORE, "category": "3+"},
        {"measure": SCORE, "category": "4+"},
        {"measure": SCORE, "low": 1.0},
    ],
)
def test_what_no_control_could_show_is_refused(expected: dict[str, object]) -> None:
    with pytest.raises(Refused, match="CONTROL_INVALID"):
        ControlKind(name="positive", **expected)  # type: ignore[arg-type]
