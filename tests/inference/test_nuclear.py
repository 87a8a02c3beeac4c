"""What the analyzer of nuclear stains makes of counts."""

from dataclasses import replace

import numpy as np

from inference.analyzers.nuclear import H_SCORE, NUCLEAR, PERCENT_POSITIVE
from inference.measures import find

FIELDS = np.array([(10, 0, 0, 0, 0, 0, 0, 90), (0, 20, 0, 0, 70, 0, 30, 0), (0, 0, 5, 5, 20, 20, 20, 20)], np.int64)


def test_no_measure_bears_the_interval_of_another() -> None:
    percent = replace(PERCENT_POSITIVE, interval=True)
    rows = NUCLEAR.scores((H_SCORE, percent), FIELDS.sum(axis=0), FIELDS)
    h_score, positive = find(rows, H_SCORE), find(rows, percent)
    assert h_score is not None
    assert h_score.interval is not None
    assert positive is not None
    assert positive.interval is None
