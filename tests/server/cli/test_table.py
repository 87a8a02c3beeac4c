"""Tables of scores by rows alone: what an assay gives decides which columns and lines there are."""

import numpy as np
import pytest

from inference.analyzers.nuclear import H_SCORE, NUCLEAR
from inference.assay import Assay, assay_of
from inference.measures import Interval, Score, scored
from server.cli.client import show_table
from server.cli.table import aligned, interval_text, score_lines

COUNTS = np.array([10, 20, 30, 40, 50, 60, 70, 80])


def scores_of(assay: Assay, fields: int = 0, counts: np.ndarray = COUNTS) -> tuple[Score, ...]:
    split = None if fields == 0 else np.stack([counts + k for k in range(fields)])
    return NUCLEAR.scores(assay.measures, counts, split)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_regions_are_lines_and_measures_with_a_title_are_columns_the_count_first_the_interval_beside_the_score() -> (
    None
):
    assay = assay_of("ER")
    header, *lines = score_lines(assay, scores_of(assay, fields=6))
    assert cells(header) == ["nuclei", "H-score", "95 %", "positive %", "Allred", "IRS"]
    assert [cells(line)[0] for line in lines] == [r.name for r in NUCLEAR.regions]
    assert cells(lines[0])[1:3] == ["100", "200"]
    assert len({len(line) for line in (header, *lines)}) == 1


def test_an_assay_that_gives_a_percentage_alone_has_no_column_of_a_score() -> None:
    assay = assay_of("P53")
    header, *lines = score_lines(assay, scores_of(assay, fields=6))
    assert cells(header) == ["nuclei", "positive %", "95 %"]
    assert cells(lines[-1])[:3] == ["all", "360", "83.3"]


def test_without_fields_there_is_no_column_of_intervals() -> None:
    assay = assay_of("ER")
    assert "95 %" not in cells(score_lines(assay, scores_of(assay))[0])


def test_of_no_cells_there_is_no_score_rather_than_zero() -> None:
    assay = assay_of("ER")
    for line in score_lines(assay, scores_of(assay, counts=np.zeros(8, np.int64)))[1:]:
        assert cells(line)[1:] == ["0", "none", "none", "none", "none"]


@pytest.mark.parametrize(("interval", "said"), [(None, "-"), ((12.4, 99.6), "12 to 100")])
def test_an_interval_that_is_not_known_is_a_dash(interval: Interval | None, said: str) -> None:
    assert interval_text(scored(H_SCORE, "all", 9, 50.0, interval=interval)) == said


def test_columns_are_as_wide_as_what_they_hold() -> None:
    assert aligned(["", "a title"], [["one", "1"], ["seventeen", "17"]]) == [
        "            a title",
        "one               1",
        "seventeen        17",
    ]


def test_a_table_obeys_no_markup_and_no_escape_sequence_of_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 12, 13: both come from whoever sends orders."""
    show_table(["NUMBER"], [["[red]P-1[/red]"], ["\x1b[2JP-2"], ["P\u202e-3"], ["P\n-4"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines[1:]] == ["[red]P-1[/red]", "[2JP-2", "P -3", "P -4"]
