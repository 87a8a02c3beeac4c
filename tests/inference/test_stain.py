"""Colour of a nucleus: the reference in numpy, and the shipped graph against it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engines.graphs import RunningGraph, loaded
from inference.stain import DAB, EOSIN, HAEMATOXYLIN, HE_STAINS, hue_value_density, mean_rgb, stain_picture
from tests.models import GRADER, IHC_TILE


def absorbed(vector: tuple[float, float, float], amount: float) -> tuple[float, float, float]:
    r, g, b = 256 * 10 ** (-amount * np.array(vector) / np.linalg.norm(vector)) - 1
    return float(r), float(g), float(b)


def colour(rgb: tuple[float, float, float]) -> tuple[int, int, int]:
    hue, value, density = hue_value_density(np.array([rgb], np.float64))
    return int(hue[0]), int(value[0]), int(density[0])


@pytest.mark.parametrize(
    ("rgb", "hue", "value"),
    [
        ((255, 0, 0), 0, 255),
        ((0, 255, 0), 120, 255),
        ((0, 0, 255), 240, 255),
        ((255, 255, 0), 60, 255),
        ((128, 128, 128), 0, 128),
        ((200, 0, 1), 0, 200),
        ((120, 80, 40), 30, 120),
        ((0, 0, 0), 0, 0),
    ],
)
def test_hue_and_value_of_known_colours(rgb: tuple[float, float, float], hue: int, value: int) -> None:
    assert colour(rgb)[:2] == (hue, value)


def test_density_of_pure_stains() -> None:
    assert colour(absorbed(DAB, 0.8))[2] == 80
    assert colour(absorbed(HAEMATOXYLIN, 0.8))[2] == 0
    assert colour((255, 255, 255))[2] == 0


def test_the_square_is_nine_pixels_wide_and_stays_in_the_picture() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    image[6:15, 6:15] = 90
    assert mean_rgb(image, [10.4], [9.6]).tolist() == [[90, 90, 90]]
    assert mean_rgb(image, [11], [10])[0, 0] == pytest.approx(80)
    assert mean_rgb(image, [0], [0])[0, 0] == 0


def graph() -> RunningGraph:
    return loaded(GRADER, IHC_TILE.graph_bytes(GRADER))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_shipped_graph_measures_as_the_reference(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (64, 96, 3)).astype(np.uint8)
    image = np.repeat(np.repeat(image[::16, ::16], 16, 0), 16, 1)  # patches: colours with a hue, not grey noise
    x, y = random.uniform(0, 95, n).astype(np.float32), random.uniform(0, 63, n).astype(np.float32)
    hue, value, density = (v.astype(int) for v in hue_value_density(mean_rgb(image, x, y)))
    found = [v[0].astype(int) for v in graph().answer(image[None], x[None], y[None], np.array([n], np.int32))[:3]]
    assert np.abs((found[0] - hue + 180) % 360 - 180).max() <= 1
    assert np.abs(found[1] - value).max() <= 1
    assert np.abs(found[2] - density).max() <= 1
    assert np.mean([(a == b).mean() for a, b in zip(found, (hue, value, density), strict=True)]) > 0.95


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 40), min_size=1, max_size=3))
def test_places_beyond_the_count_are_nothing_and_change_nothing(seed: int, counts: list[int]) -> None:
    """An ensemble's places are fixed: 30 here, of which the fullest tile's count, or all, are measured."""
    random, b, k = np.random.default_rng(seed), len(counts), 30
    tiles = random.integers(0, 256, (b, 40, 56, 3)).astype(np.uint8)
    x, y = random.uniform(-0.5, 55.5, (b, k)).astype(np.float32), random.uniform(-0.5, 39.5, (b, k)).astype(np.float32)
    everything = graph().answer(tiles, x, y, np.full(b, k, np.int32))
    measured = graph().answer(tiles, x, y, np.array(counts, np.int32))
    n = min(max(counts), k)
    for one, other in zip(everything[:3], measured[:3], strict=True):
        np.testing.assert_array_equal(other[:, :n], one[:, :n])
        assert not other[:, n:].any()
        assert other.shape == (b, k)


def test_each_stain_of_he_is_shown_where_it_is() -> None:
    image = np.array([[absorbed(HAEMATOXYLIN, 0.8), absorbed(EOSIN, 0.8), (255, 255, 255)]], np.uint8)
    blue, pink = (stain_picture(image, name, 0.1, 0.8, HE_STAINS)[0].sum(axis=1) for name in HE_STAINS)
    assert blue[0] < blue[1] == blue[2] == 765
    assert pink[1] < pink[0] == pink[2] == 765
