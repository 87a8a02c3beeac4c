"""The band of decoded frames: each decoded once in a sweep, within its limit of bytes."""

import numpy as np
import pytest

from inference.geometry import Region, Size
from inference.slide import Rgb
from server.slides.frames import FrameCache, Layout

LAYOUT = Layout(size=Size(width=1000, height=700), frame=Size(width=64, height=48))


def frame(column: int, row: int) -> Rgb:
    return np.full((48, 64, 3), (column, row, 7), np.uint8)


def sweep(cache: FrameCache, core: int, halo: int) -> None:
    for y in range(0, 700, core):
        for x in range(0, 1000, core):
            cache.read(Region(x=x, y=y, width=core, height=core).grown(halo).clipped(LAYOUT.size))


@pytest.mark.parametrize(("core", "halo"), [(100, 10), (37, 30), (512, 48), (64, 0)])
def test_in_a_sweep_with_halos_each_frame_is_decoded_exactly_once(core, halo):
    cache = FrameCache(frame, LAYOUT)
    sweep(cache, core, halo)
    assert cache.decoded == LAYOUT.rows * LAYOUT.columns


def test_memory_stays_within_the_limit_and_the_pixels_stay_right():
    limit = 20 * 48 * 64 * 3
    cache = FrameCache(frame, LAYOUT, limit=limit)
    for y in range(0, 700, 100):
        for x in range(0, 1000, 100):
            out = cache.read(Region(x=x, y=y, width=100, height=100))
            assert cache.held_bytes <= limit
            assert tuple(out[0, 0]) == (x // 64, y // 48, 7)
            assert tuple(out[-1, -1]) == ((x + 99) // 64, (y + 99) // 48, 7)


def test_frames_above_the_sweep_are_dropped():
    cache = FrameCache(frame, LAYOUT)
    cache.read(Region(x=0, y=0, width=1000, height=480))
    cache.read(Region(x=0, y=432, width=10, height=10))
    assert cache.held_bytes == LAYOUT.columns * 48 * 64 * 3


def test_a_new_strip_begins_without_the_frames_at_the_foot_of_the_last_one():
    cache = FrameCache(frame, LAYOUT)
    for y in range(0, 700, 100):
        cache.read(Region(x=0, y=y, width=512, height=100))
    cache.read(Region(x=512, y=0, width=64, height=48))
    assert cache.held_bytes == 48 * 64 * 3


def test_where_there_is_no_frame_it_is_white():
    cache = FrameCache(lambda column, row: None if column == 1 else frame(column, row), LAYOUT)
    out = cache.read(Region(x=60, y=0, width=70, height=10))
    assert (out[:, 4:68] == 255).all()
    assert tuple(out[0, 0]) == (0, 0, 7)
    assert tuple(out[0, 68]) == (2, 0, 7)
