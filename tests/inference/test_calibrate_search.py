"""The search of criteria is exact: as good as trying every combination, and its flat set is every one that is near."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.analyzers.nuclear import COMPARTMENTS
from inference.analyzers.nuclear import graded as graded_by
from inference.calibration.kappa import best_agreement
from inference.calibration.peaks import hue_threshold
from inference.calibration.sample import Quantity, Sample, Target
from inference.calibration.search import Boxes, search
from inference.calibration.surface import DensitySpace, HueValueSpace, Space
from inference.calibration.units import SHARES, Unit, pool_of, units_of
from inference.grade import Thresholds
from inference.keypoints import matched, pairs, similarity, weighted_kappa
from tests.inference.made_samples import made_nuclei


class FewHues(HueValueSpace):
    """A corner of the space, small enough to try every combination of."""

    lows = (1, 90, 89)
    highs = (17, 107, 106)


class FewDensities(DensitySpace):
    lows = (5, 6, 7)
    highs = (20, 21, 22)


def all_cuts(space: Space) -> list[tuple[int, int, int]]:
    axes = [range(a, b + 1) for a, b in zip(space.lows, space.highs, strict=True)]
    cuts = itertools.product(*axes)
    return [c for c in cuts if (c[2] < c[1] if space.rising else c[0] < c[1] < c[2])]


def members(boxes: Boxes) -> set[tuple[int, ...]]:
    """Every combination, none of them twice."""
    edges = zip(boxes.low.tolist(), boxes.high.tolist(), strict=True)
    listed = [c for low, high in edges for c in itertools.product(*map(range, low, [v + 1 for v in high]))]
    assert len(listed) == len(set(listed)) == len(boxes)
    return set(listed)


def random_samples(seed: int, quantity: Quantity) -> list[Sample]:
    random = np.random.default_rng(seed)
    samples = []
    for i in range(int(random.integers(1, 4))):
        cells = made_nuclei(int(random.integers(3, 40)), random, brown=0.9, dark=98)
        cells["hue"][:] = random.integers(0, 20, len(cells))
        cells["value"][:] = random.integers(88, 110, len(cells))
        cells["dab_od_centi"][:] = random.integers(0, 26, len(cells))
        highest = 300 if quantity is Quantity.H_SCORE else 100
        targets = tuple(Target(part=c, value=random.uniform(0, highest), quantity=quantity) for c in COMPARTMENTS)
        samples.append(Sample(slide=f"slide {i}", name="r", cells=cells, targets=targets))
    return samples


def loss_by_hand(units: list[Unit], criteria: Thresholds) -> float:
    """The weighted mean absolute error, each nucleus graded by the reference."""
    errors = []
    for unit in units:
        grade = graded_by(unit.cells, criteria)
        score = sum(SHARES[unit.quantity][k - 1] * (grade >= k).mean() for k in (1, 2, 3))
        errors.append(abs(score - unit.value))
    return float(np.average(errors, weights=[u.weight for u in units]))


@pytest.mark.parametrize("space", [FewHues(), FewDensities()], ids=["hue_value", "dab_od"])
@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), quantity=st.sampled_from(list(Quantity)), slack=st.sampled_from([0.0, 1.0, 20.0]))
def test_no_combination_has_a_smaller_h_score_error(
    space: HueValueSpace | DensitySpace, seed: int, quantity: Quantity, slack: float
) -> None:
    units = units_of(pool_of(random_samples(seed, quantity)))
    found = search(space.tables(units), space, slack=slack)
    every = {cuts: loss_by_hand(units, space.criteria(cuts)) for cuts in all_cuts(space)}
    best = min(every.values())
    assert found.loss == pytest.approx(best, abs=1e-9)
    assert every[found.best] == pytest.approx(best, abs=1e-9)
    near = members(found.near)
    assert near >= {cuts for cuts, loss in every.items() if loss < best + slack - 1e-6}
    assert near <= {cuts for cuts, loss in every.items() if loss < best + slack + 1e-6}


def kappa_by_hand(sample: Sample, annotated: np.ndarray, criteria: Thresholds) -> float:
    grade = graded_by(sample.cells, criteria)
    table = np.zeros((4, 4), np.int64)
    np.add.at(table, (grade, annotated), 1)
    return weighted_kappa(table)


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), hue=st.integers(1, 19))
def test_no_pair_of_value_thresholds_agrees_better_with_annotated_grades(seed: int, hue: int) -> None:
    sample = random_samples(seed, Quantity.H_SCORE)[0]
    annotated = np.random.default_rng(seed).integers(0, 4, len(sample.cells)).astype(np.uint8)
    annotated[:2] = 0, 3
    space = HueValueSpace(hue=hue)
    found = best_agreement(sample.cells, annotated, space, slack=0.05)
    tried = [(hue, right, left) for right in range(86, 112) for left in range(85, right)]
    every = {cuts: kappa_by_hand(sample, annotated, space.criteria(cuts)) for cuts in tried}
    best = max(every.values())
    assert 1 - found.loss == pytest.approx(best)
    near = members(found.near)
    assert {c for c, k in every.items() if k > best - 0.05 + 1e-6} <= near
    assert not {c for c, k in every.items() if k < best - 0.05 - 1e-6} & near


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_no_hue_threshold_agrees_better(seed: int) -> None:
    sample = random_samples(seed, Quantity.H_SCORE)[0]
    annotated = np.random.default_rng(seed).integers(0, 4, len(sample.cells)).astype(np.uint8)
    annotated[:2] = 0, 3
    by_hue = [best_agreement(sample.cells, annotated, HueValueSpace(hue=hue)).loss for hue in range(1, 23)]
    assert best_agreement(sample.cells, annotated, HueValueSpace()).loss == pytest.approx(min(by_hue))


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_no_density_cut_offs_agree_better(seed: int) -> None:
    sample = random_samples(seed, Quantity.H_SCORE)[0]
    annotated = np.random.default_rng(seed).integers(0, 4, len(sample.cells)).astype(np.uint8)
    annotated[:2] = 0, 3
    cuts = itertools.combinations(range(1, 28), 3)
    best = max(kappa_by_hand(sample, annotated, DensitySpace().criteria(c)) for c in cuts)
    assert 1 - best_agreement(sample.cells, annotated, DensitySpace()).loss == pytest.approx(best)


def test_of_equally_good_cut_offs_the_middle_one_is_taken() -> None:
    cuts = np.array([(5, 40, 30), (5, 42, 30), (5, 41, 30), (9, 41, 30)])
    assert Boxes(low=cuts, high=cuts).middle() == (5, 41, 30)
    assert Boxes(low=np.array([(5, 40, 30)]), high=np.array([(9, 46, 30)])).middle() == (7, 43, 30)


def test_the_hue_threshold_lies_in_the_valley_between_two_peaks() -> None:
    random = np.random.default_rng(1)
    hues = np.concatenate([random.normal(20, 12, 800), random.normal(225, 15, 500)]).round().astype(np.int64) % 360
    assert 70 < (hue_threshold(hues) or 0) < 185


@pytest.mark.parametrize("hues", [np.zeros(0, np.int64), np.full(50, 225), np.arange(200, 240)])
def test_without_two_peaks_there_is_no_hue_threshold(hues: np.ndarray) -> None:
    assert hue_threshold(hues) is None


@settings(max_examples=40)
@given(n=st.integers(0, 40), m=st.integers(0, 40), seed=st.integers(0, 10_000))
def test_matching_by_clusters_is_the_assignment_of_all(n: int, m: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.uniform(-30, 50, (n, 2)), random.uniform(-30, 50, (m, 2))
    s = similarity(a, b, mpp=0.5)
    rows, columns = matched(a, b, mpp=0.5)
    whole = pairs(s)
    assert len(set(columns.tolist())) == len(rows)
    assert s[rows, columns].sum() == pytest.approx(s[whole].sum())
