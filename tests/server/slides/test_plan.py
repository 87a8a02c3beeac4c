"""Which level and scaling is analysed (DESIGN, decision 1)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import Reason, Refused
from inference.geometry import Size
from inference.model import Resolution
from server.slides.frames import Layout
from server.slides.plan import OVERVIEW_SIDE, Source, coarser, level_scales, plan_overview, plan_working, sources
from tests.models import HALF_A_MICROMETRE


def found_in(found: list[Layout], mpp: float) -> list[Source]:
    return sources(found, level_scales([layout.size for layout in found]), mpp)


def layouts(*sizes: tuple[int, int], frame: int = 256) -> list[Layout]:
    return [Layout(size=Size(width=w, height=h), frame=Size(width=frame, height=frame)) for w, h in sizes]


def pyramid(*factors: int, side: int = 32768, frame: int = 256) -> list[Layout]:
    return layouts(*((side // f, side // f) for f in factors), frame=frame)


@pytest.mark.parametrize(
    ("mpp", "factors", "level", "shrink", "working"),
    [
        (0.5, (1,), 0, 1, 0.5),
        (0.25, (1,), 0, 2, 0.5),
        (0.125, (1,), 0, 4, 0.5),
        (0.0625, (1,), 0, 8, 0.5),
        (0.25, (1, 4, 16), 0, 2, 0.5),
        (0.25, (1, 2, 4), 1, 1, 0.5),  # both give 0.5: the smaller level has fewer pixels to decode
        (0.1, (1, 4), 1, 1, 0.4),
        (0.12, (1, 4), 1, 1, 0.48),
        (0.625, (1,), 0, 1, 0.625),
        (0.4, (1,), 0, 1, 0.4),
        (0.22, (1, 3), 0, 2, 0.44),  # nearer than 0.66, which is outside
    ],
)
def test_the_nearest_to_half_a_micrometre_is_taken_and_of_equals_the_cheapest(mpp, factors, level, shrink, working):
    plan = plan_working(found_in(pyramid(*factors), mpp), replace(HALF_A_MICROMETRE, kept_within=1.0))
    assert (plan.source.level, plan.source.shrink, plan.step) == (level, shrink, 1.0)
    assert plan.working.mpp == pytest.approx(working)
    assert plan.working.scale == pytest.approx(working / mpp)


@pytest.mark.parametrize("mpp", [0.4, 0.45, 0.55, 0.6249, 0.225])
def test_nuclei_are_seen_at_half_a_micrometre_exactly(mpp):
    plan = plan_working(found_in(pyramid(1), mpp), HALF_A_MICROMETRE)
    assert plan.working.mpp == 0.5
    assert plan.source.grid.mpp * plan.step == pytest.approx(0.5)


@pytest.mark.parametrize("mpp", [0.499, 0.5, 0.5031])
def test_what_is_off_by_a_hundredth_is_read_as_it_is(mpp):
    assert plan_working(found_in(pyramid(1), mpp), HALF_A_MICROMETRE).step == 1.0


@pytest.mark.parametrize(("mpp", "source"), [(0.37, 0.37), (0.17, 0.34), (0.38, 0.38)])
def test_where_none_is_near_the_coarsest_finer_one_is_resampled_to_half_a_micrometre(mpp, source):
    plan = plan_working(found_in(pyramid(1), mpp), HALF_A_MICROMETRE)
    assert plan.working.mpp == 0.5
    assert plan.source.grid.mpp == pytest.approx(source)
    assert plan.step == pytest.approx(0.5 / source)
    assert plan.working.scale == pytest.approx(plan.step * plan.source.grid.scale)


def test_coarser_than_the_limit_is_refused_with_the_value():
    with pytest.raises(Refused, match=r"TOO_COARSE: the best level has 0\.63 µm/px") as caught:
        plan_working(found_in(pyramid(1, 2), 0.63), HALF_A_MICROMETRE)
    assert caught.value.reason == Reason.TOO_COARSE


def test_a_model_of_a_finer_resolution_reads_a_finer_level_and_refuses_what_is_enough_for_another():
    membrane = Resolution(working=0.25, finest=0.2, coarsest=0.3)
    assert plan_working(found_in(pyramid(1, 2), 0.25), membrane).working.mpp == 0.25
    assert plan_working(found_in(pyramid(1), 0.19), membrane).working.mpp == 0.25
    with pytest.raises(Refused, match=r"TOO_COARSE: the best level has 0\.5 µm/px, coarser than 0\.3 .*40x or finer"):
        plan_working(found_in(pyramid(1, 2), 0.5), membrane)


def test_frames_that_would_not_meet_after_scaling_are_not_scaled():
    assert Layout(size=Size(width=900, height=900), frame=Size(width=300, height=300)).shrinks == (1, 2, 4)
    assert Layout(size=Size(width=301, height=301), frame=Size(width=301, height=301)).shrinks == (1, 2, 4, 8)
    assert Layout(size=Size(width=5, height=9), frame=Size(width=256, height=256)).shrinks == (1, 2, 4)


def test_scales_of_rounded_levels_are_whole():
    sizes = [Size(width=4443, height=3567), Size(width=2221, height=1783), Size(width=1110, height=891)]
    assert level_scales(sizes) == [1.0, 2.0, 4.0]
    assert level_scales([Size(width=1000, height=1000), Size(width=400, height=400)]) == [1.0, 2.5]


@settings(deadline=None)
@given(
    width=st.integers(1, 150_000),
    height=st.integers(1, 150_000),
    mpp=st.floats(0.1, 0.6),
    wanted=st.floats(0.2, 64),
)
def test_an_overview_is_fine_enough_unless_that_is_too_large(width, height, mpp, wanted):
    found = found_in(layouts((width, height)), mpp)
    source, factor = plan_overview(found, wanted)
    grid = coarser(source, factor)
    assert max(grid.size.width, grid.size.height) <= OVERVIEW_SIDE
    assert grid.mpp == pytest.approx(mpp * grid.scale)
    finest = min(s.grid.mpp for s in found)
    side = max(source.grid.size.width, source.grid.size.height)
    assert grid.mpp <= max(wanted * 1.02, finest) * 1.0001 or side / factor > OVERVIEW_SIDE / 2
