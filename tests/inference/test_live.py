"""Fields of a microscope: laid on one another, counted once."""

import numpy as np
import pytest

from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.membrane_columns import COMPLETENESS, DENSITY, SCHEMA
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.cells.values import Cells, made_cells
from inference.live import LOOKED_AT, Running, shift
from inference.picture import PictureSlide
from inference.slide import Rgb
from tests.models import HALF_A_MICROMETRE

SIDE = 512


def tissue(seed: int = 1) -> Rgb:
    """Blots of about a nucleus' size, 1600 px a side."""
    import cv2

    noise = np.random.default_rng(seed).standard_normal((1600, 1600)).astype(np.float32)
    grey = cv2.GaussianBlur(noise, (0, 0), 9.0)
    return np.clip(150 + 600 * grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def field(picture: Rgb, x: int, y: int) -> Rgb:
    return np.ascontiguousarray(picture[y : y + SIDE, x : x + SIDE])


def cells_at(points: list[tuple[float, float]], percent: int = 100, density: int = 200) -> Cells:
    n = len(points)
    columns = {name: [percent] * n for name in COMPLETENESS} | {name: [density] * n for name in DENSITY}
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    yes = [True] * n
    return made_cells(SCHEMA, xs, ys, confidence=[1] * n, tumour=yes, scorable=yes, blush=[False] * n, **columns)


def running() -> Running:
    return Running(analyzer=MEMBRANE, criteria=MembraneCriteria(), measures=MEMBRANE.measures)


@pytest.mark.parametrize("moved", [(0, 0), (200, 0), (-180, 120), (300, -40), (0, 350)])
def test_fields_that_overlap_are_laid_on_one_another(moved: tuple[int, int]) -> None:
    import inference.live as live

    picture = tissue()
    first, _ = live._small(field(picture, 500, 500))
    second, scale = live._small(field(picture, 500 + moved[0], 500 + moved[1]))
    found = shift(first, second)
    assert found is not None
    assert (found[0] / scale, found[1] / scale) == pytest.approx(moved, abs=3)


def test_a_stream_has_the_brightest_white_that_it_has_shown() -> None:
    def shown(colour: tuple[int, int, int]) -> PictureSlide:
        return PictureSlide(np.full((128, 128, 3), colour, np.uint8), HALF_A_MICROMETRE)

    ground, glass, stain = shown((225, 200, 180)), shown((244, 242, 240)), shown((90, 60, 40))
    seen = running()
    assert not seen.white_with(stain).found
    assert seen.white_with(ground).rgb == (225, 200, 180)
    for slide in (glass, ground, stain):
        assert seen.white_with(slide).rgb == (244, 242, 240)


def test_fields_of_other_places_are_not() -> None:
    import inference.live as live

    assert shift(live._small(field(tissue(1), 0, 0))[0], live._small(field(tissue(2), 0, 0))[0]) is None


def test_what_two_fields_share_is_counted_once() -> None:
    seen, picture = running(), tissue()
    everywhere = [(float(x), float(y)) for x in range(16, SIDE, 32) for y in range(16, SIDE, 32)]
    seen.add(field(picture, 500, 500), cells_at(everywhere))
    new = seen.add(field(picture, 756, 500), cells_at(everywhere))
    assert len(new) == len(everywhere) // 2
    assert new.x.min() >= SIDE // 2
    again = seen.add(field(picture, 500, 500), cells_at(everywhere))
    assert len(again) == 0
    assert seen.fields == 3
    assert seen.totals.sum() == len(everywhere) * 3 // 2


def test_the_running_score_is_over_all_fields_and_has_an_interval() -> None:
    seen = running()
    points = [(float(x), 20.0) for x in range(10, SIDE, 5)]
    seen.add(tissue(1)[:SIDE, :SIDE], cells_at(points))
    assert {row.category for row in seen.scores() if row.code == "HER2_SCORE"} == {"3+"}
    for seed in range(2, 12):
        seen.add(tissue(seed)[:SIDE, :SIDE], cells_at(points, percent=0))
    rows = {row.code: row for row in seen.scores()}
    assert rows["HER2_SCORE"].category == "2+"  # 9 % intense complete
    share = rows["HER2_SHARE_INTENSE_COMPLETE"]
    assert share.value == pytest.approx(100 / 11)
    assert share.interval is not None
    assert share.interval[0] < 10 < share.interval[1]
    assert "NEAR_BOUNDARY" in seen.remarks(0.25)


def test_a_long_stream_holds_few_pictures() -> None:
    import tracemalloc

    seen, noise = running(), np.random.default_rng(5)
    nothing = cells_at([])

    def shown(fields: int) -> int:
        for _ in range(fields):
            seen.add(noise.integers(0, 255, (64, 64, 3), np.uint8), nothing)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = shown(LOOKED_AT)
        assert shown(30) - before < 5 * 64 * 64 * 4
    finally:
        tracemalloc.stop()
    assert seen.fields == LOOKED_AT + 30
