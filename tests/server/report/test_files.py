"""What the files for people say of a result."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inference.analyzers.nuclear import NuclearAnalyzer
from inference.assay import assay_of, register, unregister
from inference.measures import ALL, Measure, scored
from server.report.files import title_of
from tests.made import made_result

VERDICT = Measure(code="VERDICT", display="Made-up verdict", categories=("dim", "bright"))


class VerdictAnalyzer(NuclearAnalyzer):
    measures = (VERDICT,)


@pytest.fixture
def verdict() -> Iterator[str]:
    """The marker of an assay whose first measure is a category."""
    register(replace(assay_of("ER"), marker="XY", names=frozenset(), analyzer=VerdictAnalyzer(), measures=(VERDICT,)))
    yield "XY"
    unregister("XY")


def test_an_overlay_s_title_says_the_first_measure_of_all_cells(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=500)
    (row,) = (s for s in result.scores if (s.measure, s.region) == ("HSCORE", ALL))
    assert title_of(result) == f"H-score {row.value:.0f}, 500 nuclei, profile built-in/2"
    assert title_of(made_result(tmp_path, n=0)) == "H-score none, 0 nuclei, profile built-in/2"


def test_an_overlay_s_title_says_a_category_in_its_words(tmp_path: Path, verdict: str) -> None:
    rows = (scored(VERDICT, ALL, 500, category="bright"),)
    result = replace(made_result(tmp_path, n=500), marker=verdict, scores=rows)
    assert title_of(result) == "Made-up verdict bright, 500 nuclei, profile built-in/2"
