"""Fields of a slide and how the score varies between them."""

import numpy as np
import pytest

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.fields import FIELD_UM, LEAST_CELLS, Fields, heterogeneity

NONE, ALL_STRONG, HALF = (0, 0, 0, 0), (0, 0, 0, 100), (50, 0, 0, 50)


def fields(*by_grade: tuple[int, int, int, int], place: list[tuple[int, int]] | None = None) -> Fields:
    """One field for each tuple of nuclei by grade, all of the second compartment, side by side."""
    counts = np.array([(0, 0, 0, 0, *grades) for grades in by_grade], np.int64).reshape(-1, len(NUCLEAR.groups))
    places = place or [(i, 0) for i in range(len(by_grade))]
    return Fields(np.array(places, np.int64).reshape(-1, 2), counts)


@pytest.mark.parametrize(
    ("by_grade", "compared", "spread", "hot", "cold"),
    [
        ((), 0, None, None, None),
        ((ALL_STRONG,), 1, None, None, None),
        ((ALL_STRONG, (0, 0, 0, LEAST_CELLS - 1)), 1, None, None, None),
        ((ALL_STRONG, (0, 0, 0, LEAST_CELLS)), 2, 0.0, 300.0, 300.0),
        ((ALL_STRONG, HALF), 2, 150 / 2**0.5, 300.0, 150.0),
        (((100, 0, 0, 0), HALF, ALL_STRONG), 3, 150.0, 300.0, 0.0),
        (((0, 100, 0, 0), (0, 0, 100, 0)), 2, 100 / 2**0.5, 200.0, 100.0),
    ],
)
def test_the_spread_is_of_the_fields_with_nuclei_enough(
    by_grade: tuple[tuple[int, int, int, int], ...],
    compared: int,
    spread: float | None,
    hot: float | None,
    cold: float | None,
) -> None:
    found = heterogeneity(fields(*by_grade), assay_of("ER"))
    assert found.fields == compared
    assert found.standard_deviation == (None if spread is None else pytest.approx(spread))
    assert (found.hot_spot and found.hot_spot.score) == hot
    assert (found.cold_spot and found.cold_spot.score) == cold


def test_a_spot_says_where_it_lies_and_of_how_many_nuclei_it_is() -> None:
    found = heterogeneity(fields(HALF, ALL_STRONG, place=[(3, 7), (5, 11)]), assay_of("ER"))
    assert found.hot_spot is not None
    assert (found.hot_spot.x_um, found.hot_spot.y_um, found.hot_spot.side_um) == (5 * FIELD_UM, 11 * FIELD_UM, FIELD_UM)
    assert found.hot_spot.n == 100


def test_a_stain_that_is_given_in_percent_only_is_compared_by_percent() -> None:
    found = heterogeneity(fields(ALL_STRONG, HALF), assay_of("P53"))
    assert found.hot_spot is not None
    assert found.cold_spot is not None
    assert (found.hot_spot.score, found.cold_spot.score) == (100.0, 50.0)
    p53 = assay_of("P53")
    assert p53.analyzer.spot_json(p53.measures, found.hot_spot.score) == {"percent_positive": 100.0}
