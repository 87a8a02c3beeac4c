"""A drawing is what it says: counts, places and pixels, the same again whatever is asked of it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.draw import Drawing, draw_slide
from inference.geometry import Region, Size

SMALL = Size(width=1100, height=900)
WINDOW = 9


def h_score(drawing: Drawing) -> float:
    counts = drawing.truth.counts.sum(axis=0)
    return float(100 * counts @ np.arange(4) / counts.sum())


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_slide(size=SMALL, seed=7, h_score=150)


@pytest.fixture(scope="module")
def whole(drawing: Drawing) -> np.ndarray:
    return drawing.read(Region(x=0, y=0, width=SMALL.width, height=SMALL.height))


@pytest.mark.parametrize("asked", [0, 20, 150, 280, 300])
def test_the_h_score_of_the_truth_is_the_one_asked_for(asked: float) -> None:
    assert h_score(draw_slide(size=SMALL, seed=3, h_score=asked)) == pytest.approx(asked, abs=1)


def test_counts_are_those_of_the_nuclei(drawing: Drawing) -> None:
    truth = drawing.truth
    for compartment in (0, 1):
        for grade in range(4):
            nuclei = (truth.compartment == compartment) & (truth.grade == grade)
            assert truth.counts[compartment, grade] == nuclei.sum()
    assert truth.counts.sum() == len(truth.x) == len(truth.y)
    assert (truth.counts.sum(axis=1) > 50).all(), "both compartments are drawn"


def test_the_same_seed_draws_the_same_slide(drawing: Drawing, whole: np.ndarray) -> None:
    again = draw_slide(size=SMALL, seed=7, h_score=150)
    for name in ("x", "y", "compartment", "grade"):
        assert np.array_equal(getattr(again.truth, name), getattr(drawing.truth, name))
    assert np.array_equal(np.concatenate(list(again.bands())), whole)


def test_another_seed_draws_another_slide(drawing: Drawing, whole: np.ndarray) -> None:
    other = draw_slide(size=SMALL, seed=8, h_score=150)
    assert not np.array_equal(other.truth.x[:50], drawing.truth.x[:50])
    assert (np.concatenate(list(other.bands())) != whole).mean() > 0.2


def test_another_h_score_stains_the_same_nuclei_otherwise(drawing: Drawing) -> None:
    other = draw_slide(size=SMALL, seed=7, h_score=40)
    assert np.array_equal(other.truth.x, drawing.truth.x)
    assert not np.array_equal(other.truth.grade, drawing.truth.grade)


@pytest.mark.parametrize("height", [64, 333, 512, 4096])
def test_pixels_are_the_same_whatever_the_height_of_bands(whole: np.ndarray, height: int) -> None:
    again = draw_slide(size=SMALL, seed=7, h_score=150)
    assert np.array_equal(np.concatenate(list(again.bands(height))), whole)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_region_is_that_part_of_the_whole(drawing: Drawing, whole: np.ndarray, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, SMALL.width - 1)), data.draw(st.integers(0, SMALL.height - 1))
    width, height = data.draw(st.integers(1, SMALL.width - x)), data.draw(st.integers(1, SMALL.height - y))
    assert np.array_equal(
        drawing.read(Region(x=x, y=y, width=width, height=height)), whole[y : y + height, x : x + width]
    )


@pytest.mark.parametrize(
    "region",
    [Region(x=-1, y=0, width=5, height=5), Region(x=1099, y=0, width=2, height=1), Region(x=4, y=4, width=0, height=3)],
)
def test_a_region_outside_or_empty_is_refused(drawing: Drawing, region: Region) -> None:
    with pytest.raises(ValueError, match="not within"):
        drawing.read(region)


@pytest.mark.parametrize(("side", "asked", "says"), [(100, 150, "256"), (1000, -1, "300"), (1000, 301, "300")])
def test_a_slide_too_small_or_an_impossible_score_is_refused(side: int, asked: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        draw_slide(size=Size(width=side, height=side), seed=1, h_score=asked)


def test_centres_lie_inside_and_apart(drawing: Drawing) -> None:
    x, y = drawing.truth.x, drawing.truth.y
    assert x.min() > 0
    assert y.min() > 0
    assert x.max() < SMALL.width - 1
    assert y.max() < SMALL.height - 1
    squared = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    np.fill_diagonal(squared, np.inf)
    assert squared.min() >= 9**2


def test_grades_look_apart_at_the_centres(drawing: Drawing, whole: np.ndarray) -> None:
    """Blue or brown, and the browns in order of depth with room between: what the drawing means by
    a grade can be seen.
    """
    truth = drawing.truth
    mean = cv2.blur(whole.astype(np.float32), (WINDOW, WINDOW))[
        np.rint(truth.y).astype(int), np.rint(truth.x).astype(int)
    ]
    red, blue = mean[:, 0], mean[:, 2]
    assert ((blue > red) == (truth.grade == 0)).mean() > 0.995
    weak, moderate, strong = (red[truth.grade == g] for g in (1, 2, 3))
    assert np.percentile(weak, 2) > np.percentile(moderate, 98)
    assert np.percentile(moderate, 2) > np.percentile(strong, 98)


def test_epithelium_stains_more_and_the_whole_holds(drawing: Drawing) -> None:
    by_compartment = drawing.truth.counts @ np.arange(4) / drawing.truth.counts.sum(axis=1)
    assert by_compartment[1] > by_compartment[0]


def test_a_good_part_is_tissue_and_the_edges_are_glass() -> None:
    drawing = draw_slide(size=Size(width=2048, height=2048), seed=5, h_score=100)
    small = np.concatenate(
        [cv2.resize(b, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA) for b in drawing.bands()]
    )
    glass = small.min(axis=2) > 236
    assert 0.2 < 1 - glass.mean() < 0.7
    assert glass[[0, -1]].all()
    assert glass[:, [0, -1]].all()
