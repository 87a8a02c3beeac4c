"""What the nuclear analyzer makes of counts, also for an assay that asks for some of its measures alone."""

from dataclasses import replace

import numpy as np
import pytest

from inference.analyzers.nuclear import (
    ALLRED_TOTAL,
    GRADE_COUNTS,
    H_SCORE,
    MEASURES,
    NUCLEAR,
    PERCENT_POSITIVE,
    REGIONS,
)
from inference.measures import ALL, Measure, find

COUNTS = np.array([10, 20, 30, 40, 50, 60, 70, 80])
FIELDS = np.array([(10, 0, 0, 0, 0, 0, 0, 90), (0, 20, 0, 0, 70, 0, 30, 0), (0, 0, 5, 5, 20, 20, 20, 20)], np.int64)
WHOLE = NUCLEAR.extra_json(NUCLEAR.scores(MEASURES, COUNTS, None))["compartments"]


def compartment(*measures: Measure) -> dict[str, object]:
    """Of all cells, what is not null."""
    said = NUCLEAR.extra_json(NUCLEAR.scores(measures, COUNTS, None))["compartments"]
    assert list(said) == [region.name for region in REGIONS]
    assert list(said[ALL]) == list(WHOLE[ALL])
    return {name: value for name, value in said[ALL].items() if value is not None}


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.code)
def test_any_measure_may_be_the_only_one(measure: Measure) -> None:
    rows = NUCLEAR.scores([measure], COUNTS, None)
    regions = measure.regions or tuple(region.name for region in REGIONS)
    assert [(row.measure, row.region) for row in rows] == [(measure.code, region) for region in regions]
    assert compartment(measure).get("n") == (WHOLE[ALL]["n"] if ALL in regions else None)
    assert WHOLE[ALL]["n"] == COUNTS.sum()


def test_json_says_what_is_measured_and_null_for_the_rest() -> None:
    n = {"n": COUNTS.sum()}
    assert compartment(PERCENT_POSITIVE, H_SCORE) == n | {k: WHOLE[ALL][k] for k in ("percent_positive", "h_score")}
    assert compartment(*GRADE_COUNTS) == n | {"counts": WHOLE[ALL]["counts"]}
    assert compartment(GRADE_COUNTS[3]) == n
    total = {"ps": None, "is": None, "total": WHOLE[ALL]["allred"]["total"]}
    assert compartment(ALLRED_TOTAL) == n | {"allred": total}


def test_no_measure_bears_the_interval_of_another() -> None:
    total = replace(ALLRED_TOTAL, interval=True)
    fields = np.tile(FIELDS, (2, 1))
    rows = NUCLEAR.scores((H_SCORE, PERCENT_POSITIVE, total), fields.sum(axis=0), fields)
    h_score, positive, allred = (find(rows, measure) for measure in (H_SCORE, PERCENT_POSITIVE, total))
    assert h_score is not None
    assert h_score.interval is not None
    assert positive is not None
    assert positive.interval is not None
    assert positive.interval != h_score.interval
    assert 0 <= positive.interval[0] <= positive.value <= positive.interval[1] <= 100
    assert allred is not None
    assert allred.interval is None
