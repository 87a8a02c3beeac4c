"""Today's answers are the golden ones; and the comparison tells what isn't."""

from pathlib import Path

import pytest

from tests.golden import kept
from tests.golden.cases import CASES, documents
from tests.golden.compare import differences


@pytest.mark.postgres
@pytest.mark.parametrize("case", CASES)
def test_a_case_is_answered_as_it_was(case: str, tmp_path: Path) -> None:
    CASES[case](tmp_path)
    apart = differences(kept.read(case), documents(tmp_path))
    assert not apart, f"{case} is answered otherwise; `python -m tests.golden.make` rewrites what is kept\n{apart}"


NUCLEI = ("stroma: [nuclei 2000]", "histogram: [sha256 aa]")
MOVED = ("stroma: [nuclei 1999]", "histogram: [sha256 bb]")
"""A slide of 2000 nuclei, of which 10 are its tolerance; and where one of them wasn't found."""


@pytest.mark.parametrize(
    ("golden", "fresh"),
    [
        ("OBX|1|HSCORE|[points 150.25]|P", "OBX|1|HSCORE|[points 151.25]|P"),
        ("grade 3: [nuclei 100]", "grade 3: [nuclei 110]"),
        ("positive: [percent 70.0]", "positive: [percent 69.5]"),
        ("column sum [sum_px 1000.0], from [edge_px 9.0]", "column sum [sum_px 21000.0], from [edge_px 61.5]"),
    ],
)
def test_where_a_count_moved_numbers_may_be_off_by_the_tolerance(golden: str, fresh: str) -> None:
    assert differences({"oru.txt": [golden, *NUCLEI]}, {"oru.txt": [fresh, *MOVED]}) == ""


def test_where_no_count_moved_only_places_and_confidences_may_be_off_by_a_rounding() -> None:
    def told(golden: str, fresh: str) -> str:
        return differences({"ann.txt": [golden, *NUCLEI]}, {"ann.txt": [fresh, *NUCLEI]})

    assert not told("from [edge_px 9.0], [confidence 0.437]", "from [edge_px 9.1], [confidence 0.438]")
    assert told("from [edge_px 9.0]", "from [edge_px 9.5]")
    assert told("[points 150.25]", "[points 150.24]")
    assert told("histogram: [sha256 aa]", "histogram: [sha256 bb]")


@pytest.mark.parametrize(
    ("golden", "fresh"),
    [
        ("OBX|1|HSCORE|[points 150.25]|P", "OBX|1|HSCORE|[points 151.26]|P"),
        ("OBX|1|HSCORE|[points 150.25]|P", "OBX|1|HSCORE|[points 150.25]|F"),
        ("OBX|1|HSCORE|[points 150.25]|P", "OBX|1|HSCORE||P"),
        ("grade 3: [nuclei 100]", "grade 3: [nuclei 111]"),
        ("grade 3: [nuclei 100]", "grade 3: [percent 100]"),
        ("irs: 6", "irs: 7"),
    ],
)
def test_more_than_the_tolerance_or_another_text_is_told_with_its_line(golden: str, fresh: str) -> None:
    told = differences({"oru.txt": [*NUCLEI, golden]}, {"oru.txt": [*MOVED, fresh]})
    assert told.splitlines() == [
        "oru.txt: 1 line differs; the first:",
        f"  line 3 was {golden!r}",
        f"         is  {fresh!r}",
    ]


def test_a_line_or_a_document_more_or_less_is_told() -> None:
    golden = {"nuclei.txt": list(NUCLEI), "sr.txt": ["a"]}
    assert "(it had 2 lines and has 3)" in differences(golden, golden | {"nuclei.txt": [*NUCLEI, "more"]})
    assert differences(golden, {"nuclei.txt": list(NUCLEI)}) == "sr.txt is missing"
    assert differences({"nuclei.txt": list(NUCLEI)}, golden) == "sr.txt is new"
