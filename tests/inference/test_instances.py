"""Nuclei from maps: from those of a network without fault, drawn here or made of CoNSeP's labels."""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from inference.instance_table import runs_of
from inference.instances import USUAL, Instances, Maps, PostProcess, instances
from tests.inference.he_maps import consep, panoptic_quality, perfect_maps

SIDE = 160
Labels = npt.NDArray[np.int32]


def drawn(*ellipses: tuple[int, int, int, int, float], side: int = SIDE) -> Labels:
    """Each x, y, half axes, angle in degrees; a later one lies on top."""
    labels = np.zeros((side, side), np.int32)
    for label, (x, y, a, b, angle) in enumerate(ellipses, start=1):
        cv2.ellipse(labels, (x, y), (a, b), angle, 0, 360, label, cv2.FILLED)
    return labels


def found(labels: Labels, how: PostProcess = USUAL, kind: int = 2) -> Instances:
    return instances(perfect_maps(labels, np.full(labels.shape, kind)), how)


def faded(maps: Maps, sigma: float = 1.5) -> Maps:
    """As a network that isn't sure of edges gives them."""
    planes = [cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigma) for plane in maps.distance]
    return replace(maps, distance=np.rint(np.stack(planes)).astype(np.int8))


CROWD = drawn((40, 40, 14, 9, 20), (62, 44, 11, 10, 0), (52, 62, 12, 9, 80), (110, 110, 30, 16, 45), (20, 120, 4, 4, 0))


def test_touching_nuclei_are_told_apart() -> None:
    got = found(CROWD)
    assert len(got.table) == 5
    assert panoptic_quality(CROWD, got.labels) > 0.95
    blurred = instances(faded(perfect_maps(CROWD, np.zeros(CROWD.shape))))
    assert panoptic_quality(CROWD, blurred.labels) > 0.85


@pytest.mark.parametrize("number", [1, 9, 14, 22])
def test_perfect_maps_of_real_nuclei_give_them_back(number: int) -> None:
    labels, kinds = consep(number)
    got = instances(perfect_maps(labels, kinds))
    assert panoptic_quality(labels, got.labels) > 0.95
    _, first = np.unique(labels, return_index=True)
    truth = np.bincount(kinds.ravel()[first[1:]], minlength=4)
    np.testing.assert_allclose(np.bincount(got.table.kind, minlength=4), truth, atol=0.04 * truth.sum())


def test_an_instance_is_one_piece_along_sides_and_labels_have_no_gaps() -> None:
    got = found(CROWD)
    assert np.unique(got.labels).tolist() == list(range(len(got.table) + 1))
    for label in range(1, len(got.table) + 1):
        pieces, _ = cv2.connectedComponents((got.labels == label).astype(np.uint8), connectivity=4)
        assert pieces == 2


def test_the_same_nuclei_are_found_whatever_else_a_tile_shows() -> None:
    whole = found(CROWD)
    maps = perfect_maps(CROWD, np.zeros(CROWD.shape))
    crop = np.s_[10:100, 5:100]
    part = instances(Maps(maps.nucleus[crop], maps.distance[:, *crop], maps.kind[:, *crop]))
    inside = whole.labels[crop][:70, :70]
    assert len(np.unique(inside)) == 4
    assert panoptic_quality(inside, part.labels[:70, :70]) == 1


def test_a_small_nucleus_without_a_marker_is_rescued_or_not() -> None:
    small = drawn((20, 20, 3, 3, 0), (80, 80, 12, 12, 0))
    sure = PostProcess(least_marker_px=30)
    assert len(found(small, sure).table) == 2
    assert len(found(small, replace(sure, rescue=False)).table) == 1


def test_a_faint_nucleus_is_rescued_where_that_is_asked_for() -> None:
    labels = drawn((20, 20, 6, 6, 0), (80, 80, 12, 12, 0))
    maps = perfect_maps(labels, np.zeros(labels.shape))
    maps = replace(maps, nucleus=np.where(labels == 1, 100, maps.nucleus).astype(np.uint8))
    assert len(instances(maps).table) == 1
    assert len(instances(maps, PostProcess(rescue_from=0.3)).table) == 2


def test_a_nucleus_that_the_network_doubts_is_none_where_that_is_asked_for() -> None:
    """By the mean of its probability: a faint one goes, one with faint edges stays whole."""
    maps = perfect_maps(CROWD, np.full(CROWD.shape, 2))
    edge = cv2.erode((CROWD == 4).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    maps.nucleus[(CROWD == 4) & edge] = 140
    maps.nucleus[CROWD == 5] = 160
    every = instances(maps)
    assert len(every.table) == 5
    sure = instances(maps, replace(USUAL, sure_from=0.65))
    assert len(sure.table) == 4
    assert not sure.labels[CROWD == 5].any()
    np.testing.assert_array_equal(sure.labels > 0, (every.labels > 0) & (CROWD != 5))


def test_the_second_watershed_joins_what_has_no_border_and_parts_it_by_shape() -> None:
    one = drawn((80, 80, 30, 20, 0))
    maps = perfect_maps(one, np.zeros(one.shape))
    torn = maps.distance.copy()
    torn[:, :, 78:82] = np.linspace(40, -40, 4).astype(np.int8)
    split = replace(maps, distance=torn)
    assert len(instances(split).table) == 2
    joined = instances(split, PostProcess(join_below=0.9))
    assert panoptic_quality(one, joined.labels) > 0.97
    dumbbell = drawn((50, 80, 20, 20, 0), (88, 80, 20, 20, 0))
    again = instances(perfect_maps(dumbbell, np.zeros(one.shape)), PostProcess(join_below=1.0))
    assert panoptic_quality(dumbbell, again.labels) > 0.9


def test_neighbours_of_two_kinds_are_never_joined() -> None:
    two = drawn((50, 80, 20, 20, 0), (86, 80, 20, 20, 0))
    got = instances(perfect_maps(two, np.where(two == 1, 1, 3)), PostProcess(join_below=1.0))
    assert sorted(got.table.kind.tolist()) == [1, 3]


def test_the_kind_is_voted_for() -> None:
    one = drawn((80, 80, 20, 20, 0))
    kind = np.zeros((4, SIDE, SIDE), np.uint8)
    kind[1, :, :], kind[2, :, :] = 115, 140
    kind[1, :, :74], kind[2, :, :74] = 255, 0
    maps = replace(perfect_maps(one, np.zeros(one.shape)), kind=kind)
    likely, frequent = instances(maps), instances(maps, PostProcess(majority=True))
    assert (likely.table.kind.tolist(), frequent.table.kind.tolist()) == ([1], [2])
    assert likely.table.probability[0] == pytest.approx(0.66, abs=0.05)


def test_measures_are_those_of_the_drawn_ellipse() -> None:
    table = found(drawn((90, 70, 30, 12, 30))).table
    assert (table.x[0], table.y[0]) == pytest.approx((90, 70), abs=0.1)
    assert (table.major[0], table.minor[0], table.angle[0]) == pytest.approx((60, 24, 30), rel=0.04)
    assert table.area[0] == pytest.approx(np.pi * 30 * 12, rel=0.07)


def test_sums_over_runs_are_sums_over_labels() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, (23, 17)).astype(np.int32)
    values = random.integers(0, 256, labels.shape).astype(np.uint8)
    runs = runs_of(labels)
    expected = np.bincount(labels.ravel(), values.ravel())[1:]
    np.testing.assert_array_equal(runs.summed(values.ravel()[runs.pixels]), expected)


def test_no_nuclei_are_none() -> None:
    got = found(np.zeros((64, 64), np.int32))
    assert (len(got.table), int(got.labels.max())) == (0, 0)


def test_a_name_that_is_none_and_an_even_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="no wisdom"):
        PostProcess.read({"wisdom": 1})
    with pytest.raises(ValueError, match="odd"):
        PostProcess.read({"reach_px": 4})
    assert PostProcess.read({"rescue": 0, "open_px": 5.0}) == PostProcess(rescue=False, open_px=5)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (4, 4), (4, 50), (50, 3), (9, 9)])
def test_a_picture_of_few_pixels_is_no_error(shape: tuple[int, int]) -> None:
    height, width = shape
    nucleus = np.full(shape, 255, np.uint8)
    maps = Maps(nucleus, np.zeros((2, height, width), np.int8), np.full((4, height, width), 60, np.uint8))
    assert len(instances(maps, replace(USUAL, least_px=1)).table.kind) == 1
