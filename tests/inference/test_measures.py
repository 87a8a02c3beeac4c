"""Measures are numbers with a unit or categories with their answers, and are said alike everywhere."""

import pytest

from inference.measures import ALL, PERCENT, SCORE_UNIT, Measure, scored, value_text

NUMBER = Measure(code="NUMBER", display="Made-up number", unit=PERCENT)
CATEGORY = Measure(code="CATEGORY", display="Made-up category", categories=("1+", "2+"))


def test_a_measure_with_categories_is_a_category_without_a_unit() -> None:
    assert (CATEGORY.categorical, CATEGORY.unit) == (True, "")
    assert not NUMBER.categorical


@pytest.mark.parametrize("faulty", [{"unit": SCORE_UNIT, "categories": ("1+",)}, {"unit": "", "categories": ()}])
def test_a_number_has_a_unit_and_a_category_has_none(faulty: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="MADE_UP needs a unit, or categories and none"):
        Measure(code="MADE_UP", display="Made up", **faulty)  # type: ignore[arg-type]


def test_a_category_is_one_of_the_measure_s_and_never_a_number() -> None:
    assert scored(CATEGORY, ALL, 3, category="2+").category == "2+"
    assert scored(CATEGORY, ALL, 0).absent
    for measure, value, category in ((CATEGORY, None, "4+"), (CATEGORY, 2.0, None), (NUMBER, None, "2+")):
        with pytest.raises(ValueError, match=f"{measure.code} can't be"):
            scored(measure, ALL, 3, value, category=category)


@pytest.mark.parametrize(
    ("value", "said", "whole"), [(None, "none", "none"), (12.34, "12.3", "12"), (7, "7", "7"), (0.0, "0", "0")]
)
def test_a_number_is_said_in_few_decimals(value: float | None, said: str, whole: str) -> None:
    row = scored(NUMBER, ALL, 9, value)
    assert (value_text(row), value_text(row, decimals=0)) == (said, whole)


def test_a_category_is_said_in_its_own_words() -> None:
    assert value_text(scored(CATEGORY, ALL, 9, category="2+"), decimals=0) == "2+"
    assert value_text(None) == "none"
