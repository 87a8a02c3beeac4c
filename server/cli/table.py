"""Scores on a terminal: a line a region and a column a measure, or a line a row. By the rows alone, for every assay."""

from collections.abc import Callable, Sequence

from inference.assay import Assay
from inference.measures import ONE, Measure, Score, value_text

UNKNOWN = "-"
"""No interval."""

Column = tuple[str, Callable[[str], str]]
"""Title, and what stands below it for a region."""


def score_lines(assay: Assay, scores: Sequence[Score]) -> list[str]:
    """A header and a line a region; measures without a title have no column. Counts stand first."""
    titled = sorted((m for m in assay.measures if m.title), key=lambda m: m.unit != ONE)
    shown = {measure.code for measure in titled}
    columns = [column for measure in titled for column in _columns(measure, scores, assay.measures[0])]
    regions = [region.name for region in assay.analyzer.regions]
    rows = [
        [r, *(of(r) for _, of in columns)] for r in regions if any(s.region == r for s in scores if s.measure in shown)
    ]
    return aligned(["", *(title for title, _ in columns)], rows)


def guideline_lines(scores: Sequence[Score]) -> list[str]:
    """What guidelines say of the scores, a line each."""
    return [
        f"{row.display} ({row.region}): {' '.join([value_text(row), row.comment]).rstrip()} ({row.rule})"
        for row in scores
        if row.rule
    ]


def _columns(measure: Measure, scores: Sequence[Score], first: Measure) -> list[Column]:
    """The measure's values, and beside the assay's first measure its intervals, where any is known."""
    own = by_region(measure, scores)
    values: Column = (measure.title, lambda region: value_text(own.get(region)))
    intervals: Column = ("95 %", lambda region: interval_text(own.get(region)))
    return [values, intervals] if measure is first and any(s.interval for s in own.values()) else [values]


def by_region(measure: Measure, scores: Sequence[Score]) -> dict[str, Score]:
    """The rows of a measure."""
    return {score.region: score for score in scores if score.measure == measure.code}


def aligned(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text: the first column to the left, the others to the right, three spaces between."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    return [
        "   ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in (titles, *rows)
    ]


def interval_text(score: Score | None) -> str:
    return UNKNOWN if score is None or score.interval is None else "{:.0f} to {:.0f}".format(*score.interval)
