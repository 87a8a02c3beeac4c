"""Difficult drawings are as true as the usual ones, and differ from them in what they are there for."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from inference.draw import Drawing, draw_difficult
from inference.draw.difficult import KINDS
from inference.draw.ground import CLEAR
from inference.geometry import Region, Size
from inference.slide import Rgb

SIZE = Size(width=700, height=600)
WHOLE = Region(x=0, y=0, width=700, height=600)
RAYS = 24


@cache
def drawing(name: str) -> Drawing:
    return draw_difficult(KINDS[name], size=SIZE, seed=2, h_score=120)


def picture(name: str) -> Rgb:
    return drawing(name).read(WHOLE)


def diameters_um(name: str) -> np.ndarray:
    """Of circles of the nuclei's areas."""
    radii = drawing(name).outlines(RAYS)
    return np.asarray(2 * np.sqrt((radii**2).mean(axis=1)) * 0.5)


def colours(name: str, grade: int) -> np.ndarray:
    """Mean colours of 5 x 5 px at the centres of one grade, (n, 3)."""
    truth, pixels = drawing(name).truth, picture(name).astype(float)
    at = zip(np.rint(truth.y).astype(int), np.rint(truth.x).astype(int), truth.grade, strict=True)
    return np.array([pixels[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1)) for y, x, g in at if g == grade])


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_the_asked_score_and_the_same_pixels_in_any_window(name: str) -> None:
    counts = drawing(name).truth.counts
    assert 100 * (counts.sum(axis=0) @ np.arange(4)) / counts.sum() == pytest.approx(120, abs=1)
    again = draw_difficult(KINDS[name], size=SIZE, seed=2, h_score=120)
    window = Region(x=490, y=333, width=150, height=222)
    assert np.array_equal(again.read(window), picture(name)[333:555, 490:640])


@pytest.mark.parametrize(("name", "low", "high"), [("small", 4, 6), ("pale", 6, 10), ("large", 10, 16)])
def test_nuclei_are_of_the_size_that_they_are_there_for(name: str, low: float, high: float) -> None:
    found = diameters_um(name)
    assert len(found) > 50
    assert low * 0.9 < np.percentile(found, 5)
    assert np.percentile(found, 95) < high * 1.1
    assert np.ptp(np.percentile(found, [10, 90])) > 0.5 * (high - low)


def test_pale_nuclei_are_paler() -> None:
    assert colours("pale", 0)[:, 0].mean() > colours("crowded", 0)[:, 0].mean() + 30


def test_hollow_nuclei_are_paler_within_than_at_their_rim() -> None:
    large, pixels, rim, middle = drawing("large"), picture("large").astype(float), [], []
    for i in np.flatnonzero(large.truth.grade == 0):
        x, y = large.truth.x[i], large.truth.y[i]
        reach = large.outlines(RAYS)[i] * 0.82
        turn = np.arange(RAYS) * 2 * np.pi / RAYS
        on = pixels[np.rint(y + reach * np.sin(turn)).astype(int), np.rint(x + reach * np.cos(turn)).astype(int), 0]
        rim.append(on.mean())
        middle.append(pixels[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3, 0].mean())
    assert np.mean(middle) > np.mean(rim) + 15


def test_brown_has_no_gap_between_two_grades() -> None:
    for lighter, darker in ((1, 2), (2, 3)):
        one, other = colours("large", lighter)[:, 0], colours("large", darker)[:, 0]
        assert np.percentile(one, 1) < np.percentile(other, 99)


def test_overlapping_nuclei_are_nearer_than_they_are_wide() -> None:
    truth = drawing("crowded").truth
    apart = np.hypot(truth.x[:, None] - truth.x, truth.y[:, None] - truth.y)
    np.fill_diagonal(apart, np.inf)
    assert (apart.min(axis=1) * 0.5 < 0.9 * np.median(diameters_um("crowded"))).mean() > 0.3


def test_light_is_uneven_and_ground_has_a_cast() -> None:
    glass = np.percentile(picture("uneven").reshape(-1, 20, 3), 90, axis=1).mean(axis=1)
    assert np.percentile(glass, 99) / np.percentile(glass, 10) > 1.15
    warm, cold = (np.percentile(picture(name).reshape(-1, 3), 99, axis=0) for name in ("carcinoma", "uneven"))
    assert warm[0] > 1.08 * warm[2]
    assert cold[2] > 1.05 * cold[0]


def test_large_nuclei_lie_in_nests_and_smaller_ones_between() -> None:
    compartment = drawing("carcinoma").truth.compartment
    assert np.median(diameters_um("carcinoma")[compartment == 1]) > 9
    assert np.median(diameters_um("carcinoma")[compartment == 0]) < 7.5


def test_cytoplasm_is_brown_round_nuclei() -> None:
    bare = draw_difficult(replace(KINDS["cytoplasm"], veil=CLEAR), size=SIZE, seed=2, h_score=120).read(WHOLE)
    darker = bare[..., 2].astype(int) - picture("cytoplasm")[..., 2]
    assert (darker > 25).mean() > 0.05
    assert np.median(darker) < 10


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="256"):
        draw_difficult(KINDS["large"], size=Size(width=100, height=100), seed=1, h_score=100)
