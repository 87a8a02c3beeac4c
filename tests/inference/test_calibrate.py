"""Calibration on synthetic nuclei: hidden thresholds are found again, errors are told, doubts are said."""

from dataclasses import replace

import numpy as np
import pytest

from inference.analyzers.nuclear import COMPARTMENTS
from inference.calibrate import calibrate
from inference.calibration.concerns import Concern
from inference.calibration.doubts import misplaced
from inference.calibration.fit import HueBy, Objective, Settings, fit
from inference.calibration.observers import Observed, Pair, observer_agreement
from inference.calibration.sample import Annotated, Quantity, Sample, Target, graded_sample
from inference.cells.values import no_cells
from inference.errors import Reason, Refused
from inference.geometry import Region
from inference.grade import DensityThresholds, HueValueThresholds
from inference.keypoints import weighted_kappa
from inference.measures import ALL
from tests.inference.made_samples import MPP, annotated, graded, made_nuclei, made_samples

HIDDEN = HueValueThresholds(hue=110, left=72, right=118)
DENSITIES = DensityThresholds(weak=150, moderate=195, strong=230)
GRADES, H_SCORE = (Settings(by=by, draws=10) for by in (Objective.GRADES, Objective.H_SCORE))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return made_samples(HIDDEN, noise=0.05)


def test_by_grades_hidden_thresholds_are_found_within_three_levels_in_spite_of_noise(samples: list[Sample]) -> None:
    found = fit(samples, GRADES).criteria
    assert isinstance(found, HueValueThresholds)
    assert abs(found.left - HIDDEN.left) <= 3
    assert abs(found.right - HIDDEN.right) <= 3


def test_by_h_score_the_hidden_thresholds_lie_in_the_flat_set() -> None:
    found = fit(made_samples(HIDDEN), H_SCORE)
    assert found.loss < 0.5
    assert found.flat.boxes.holds((HIDDEN.hue, HIDDEN.right, HIDDEN.left))
    assert found.flat.ranges["left"][0] <= HIDDEN.left <= found.flat.ranges["left"][1]


@pytest.mark.parametrize("by", list(Objective))
def test_density_cut_offs_are_found_likewise(by: Objective) -> None:
    found = fit(made_samples(DENSITIES, noise=0.0), Settings(method="dab_od", by=by))
    assert found.loss < 0.5
    if by is Objective.GRADES:
        assert isinstance(found.criteria, DensityThresholds)
        assert abs(found.criteria.moderate - DENSITIES.moderate) <= 3


def test_the_error_on_slides_left_out_is_told_by_slide_and_compartment(samples: list[Sample]) -> None:
    found = calibrate(samples, H_SCORE)
    rows = found.chosen.left_out
    assert [(r.slide, r.part) for r in rows] == [(f"slide {i}", part) for i in range(5) for part in COMPARTMENTS]
    assert sum(r.n for r in rows) == sum(r.n for r in found.chosen.left_out_all) == found.n == 5 * 2 * 600
    assert found.chosen.mean_error == pytest.approx(np.mean([abs(r.fitted - r.annotated) for r in rows]))
    assert found.chosen.mean_error is not None
    assert found.chosen.mean_error < 8
    assert found.chosen.mean_error_of(ALL) is not None
    assert found.kappa is not None
    assert found.kappa > 0.8


def test_a_slide_left_out_is_not_fitted_to() -> None:
    """A slide annotated to another scale is scored as the others say."""
    samples = made_samples(HIDDEN, slides=4)
    odd = [replace(s, targets=tuple(replace(t, value=300.0) for t in s.targets)) for s in samples[:2]]
    rows = calibrate([*odd, *samples[2:]], H_SCORE).chosen.left_out
    assert all(r.error < -50 for r in rows if r.slide == "slide 0")


def test_both_ways_to_the_hue_threshold_are_given(samples: list[Sample]) -> None:
    found = calibrate(samples, GRADES)
    turned = calibrate(samples, replace(GRADES, hue_by=HueBy.PEAKS))
    assert found.other is not None
    assert turned.other is not None
    assert found.other.fit.criteria == turned.chosen.fit.criteria
    assert turned.other.fit.criteria == found.chosen.fit.criteria


def test_intervals_hold_the_fit_and_are_the_same_again(samples: list[Sample]) -> None:
    first, second = (calibrate(samples, GRADES).chosen for _ in range(2))
    assert first.intervals == second.intervals
    for name, value in first.fit.criteria.values().items():
        low, high = first.intervals[name]
        assert low - 3 <= float(value) <= high + 3


@pytest.mark.parametrize("quantity", list(Quantity))
def test_scores_of_regions_are_enough(quantity: Quantity) -> None:
    scores = {Quantity.H_SCORE: lambda g: 100 * g.mean(), Quantity.PERCENT_POSITIVE: lambda g: 100 * (g > 0).mean()}
    bare = []
    for s in made_samples(HIDDEN):
        assert s.annotated is not None
        target = Target(part=ALL, value=float(scores[quantity](s.annotated.grade)), quantity=quantity)
        bare.append(Sample(slide=s.slide, name=s.name, cells=s.cells, targets=(target,)))
    found = calibrate(bare, H_SCORE)
    assert found.chosen.fit.loss < 1
    assert found.kappa is None
    assert {r.part for r in found.chosen.left_out} == {ALL}
    assert found.chosen.mean_error is not None
    assert found.chosen.mean_error < 5
    with pytest.raises(Refused, match=r"CALIBRATION_IMPOSSIBLE.*fit by h_score"):
        calibrate(bare, GRADES)


def concerns_of(samples: list[Sample], settings: Settings = H_SCORE) -> set[Concern]:
    return {a.concern for a in calibrate(samples, settings).advice}


def test_a_good_set_of_regions_raises_no_concern() -> None:
    assert concerns_of(made_samples(HIDDEN, n=900, regions=3), GRADES) == set()


def test_too_few_and_one_sided_regions_are_warned_of() -> None:
    few = made_samples(HIDDEN, slides=1, n=100, regions=1)
    assert concerns_of(few) >= {Concern.ONE_SLIDE, Concern.FEW_REGIONS, Concern.FEW_NUCLEI, Concern.ONE_SIDED}
    assert calibrate(few, H_SCORE).chosen.mean_error is None
    assert Concern.FEW_SLIDES in concerns_of(made_samples(HIDDEN, slides=2))
    alike = [replace(s, slide=f"again {i}") for i, s in enumerate(made_samples(HIDDEN, slides=1) * 3)]
    assert Concern.ONE_SIDED in concerns_of(alike)


def test_two_ways_to_the_hue_threshold_that_lead_far_apart_are_warned_of() -> None:
    assert Concern.HUE_UNDECIDED not in concerns_of(made_samples(HIDDEN), GRADES)
    wide = HueValueThresholds(hue=226, left=72, right=118)  # a person who takes half of the blue nuclei for weak ones
    assert Concern.HUE_UNDECIDED in concerns_of(made_samples(wide), GRADES)


def only(part: int, grade: int | None, seed: int = 0) -> list[Sample]:
    """Five slides where the nuclei of compartment `part` are annotated, or all of them, that one's with one grade."""
    random, samples = np.random.default_rng(seed), []
    for i in range(5):
        cells = made_nuclei(300, random, brown=0.2 + 0.15 * i)
        marks = annotated(cells, graded(cells, HIDDEN, random))
        mine = marks.compartment == part
        marks = marks.taken(mine) if grade is None else replace(marks, grade=np.where(mine, grade, marks.grade))
        samples.append(graded_sample(str(i), f"region {i}", cells, marks, mpp=MPP))
    return samples


def test_one_class_alone_and_a_compartment_without_stained_nuclei_are_warned_of() -> None:
    assert Concern.ONE_COMPARTMENT in concerns_of(only(1, None))
    assert Concern.NO_STAINED_NUCLEI in concerns_of(only(0, 0))


def test_a_region_where_nothing_was_found_is_named() -> None:
    samples = made_samples(HIDDEN)
    bare = replace(samples[0], name="the bare one", cells=no_cells(samples[0].cells.schema), annotated=None)
    bare = replace(bare, compartment=None)
    said = {a.concern: a.text for a in calibrate([bare, *samples[1:]], H_SCORE).advice}
    assert "the bare one" in said[Concern.NOTHING_FOUND]


def test_annotations_that_lie_where_no_nucleus_was_found_are_refused_and_many_missed_ones_warned_of() -> None:
    random = np.random.default_rng(3)
    cells = made_nuclei(400, random)
    marks = annotated(cells, graded(cells, HIDDEN, random))
    doubled = graded_sample("a", "wrong pixel size", cells, replace(marks, xy=marks.xy * 1.7), mpp=MPP)
    with pytest.raises(Refused, match=r"wrong pixel size.*check the pixel size"):
        calibrate([doubled], H_SCORE)
    part = graded_sample("a", "half", cells.taken(slice(0, 150)), marks, mpp=MPP)
    assert Concern.FEW_MATCHED in concerns_of([part])


def test_a_fit_that_misses_what_was_annotated_is_warned_of() -> None:
    samples = made_samples(HIDDEN)
    strangers = [replace(s, targets=t.targets) for s, t in zip(samples, reversed(samples), strict=True)]
    assert Concern.POOR_FIT in concerns_of(strangers)
    assert Concern.POOR_FIT not in concerns_of(samples)
    assert Concern.POOR_FIT in concerns_of(made_samples(HIDDEN, noise=0.6), GRADES)


@pytest.mark.parametrize("settings", [H_SCORE, GRADES])
def test_one_grade_alone_decides_no_threshold_whatever_is_fitted(settings: Settings) -> None:
    cells = made_nuclei(200, np.random.default_rng(4))
    sample = graded_sample("a", "r", cells, annotated(cells, np.full(200, 2, np.uint8)), mpp=MPP)
    with pytest.raises(Refused, match="every annotated nucleus is moderate") as refused:
        calibrate([sample], settings)
    assert refused.value.reason is Reason.CALIBRATION_IMPOSSIBLE


def observed(sample: Sample, region: Region | None, mpp: float = MPP, annotator: str = "A") -> Observed:
    return Observed(image="one", region=region, annotator=annotator, annotated=sample.annotated, mpp=mpp)


def test_regions_of_a_person_that_overlap_are_warned_of() -> None:
    samples = made_samples(HIDDEN, slides=1)
    left, right, apart = (Region(x=x, y=0, width=100, height=100) for x in (0, 99, 100))

    def said(*regions: tuple[Region | None, str]) -> list[Concern]:
        seen = [observed(samples[0], region, annotator=who) for region, who in regions]
        return [a.concern for a in misplaced(seen, samples)]

    assert said((left, "A"), (right, "A")) == [Concern.REGIONS_OVERLAP]
    assert said((left, "A"), (None, "A")) == [Concern.REGIONS_OVERLAP]
    assert said((left, "A"), (apart, "A")) == []
    assert said((left, "A"), (right, "B")) == []


@pytest.mark.parametrize(("mpp", "doubtful"), [(0.15, True), (0.25, False), (0.5, False), (0.6, True)])
def test_nuclei_nearer_or_farther_than_nuclei_lie_make_the_pixel_size_doubtful(mpp: float, doubtful: bool) -> None:
    (sample,) = made_samples(HIDDEN, slides=1, regions=1)  # 20 px apart
    for one in (sample, replace(sample, annotated=None)):
        concerns = [a.concern for a in misplaced([observed(one, None, mpp)], [one])]
        assert concerns == ([Concern.PIXEL_SIZE_DOUBTFUL] if doubtful else [])


def test_what_decides_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="no region is given"):
        calibrate([], H_SCORE)
    random = np.random.default_rng(4)
    cells = made_nuclei(200, random)
    missed = Annotated(xy=np.array([[9e4, 9e4]]), compartment=np.zeros(1, np.int64), grade=np.zeros(1, np.uint8))
    for grade, said in ((0, "no annotated nucleus is stained"), (2, "fewer than two grades")):
        marks = annotated(cells, np.full(200, grade, np.uint8))
        marks = Annotated(
            xy=np.concatenate([marks.xy, missed.xy]),
            compartment=np.concatenate([marks.compartment, missed.compartment]),
            grade=np.concatenate([marks.grade, missed.grade]),
        )
        with pytest.raises(Refused, match=said) as refused:
            calibrate([graded_sample("a", "r", cells, marks, mpp=MPP)], GRADES)
        assert refused.value.reason is Reason.CALIBRATION_IMPOSSIBLE
    blue = [
        Sample(
            slide="a",
            name="r",
            cells=cells.taken((cells["hue"] > 180) & (cells["hue"] < 270)),
            targets=(Target(part=ALL, value=50),),
        )
    ]
    with pytest.raises(Refused, match="no two peaks"):
        calibrate(blue, replace(H_SCORE, hue_by=HueBy.PEAKS))


def test_the_same_annotations_agree_wholly_and_a_grade_changed_shows() -> None:
    random = np.random.default_rng(5)
    cells = made_nuclei(300, random)
    first = annotated(cells, graded(cells, HIDDEN, random))
    same = observer_agreement([Pair(first=first, second=first, mpp=MPP)])
    assert (same.similarity, same.paired, same.kappa_grade, same.kappa_class) == (1, 1, 1, 1)
    assert set(same.h_score_difference.values()) == {0}
    second = replace(first, grade=np.minimum(first.grade + 1, 3).astype(np.uint8)).taken(np.arange(200))
    other = observer_agreement([Pair(first=first, second=second, mpp=MPP)])
    assert other.n == 200
    assert other.paired == pytest.approx(0.8)
    assert other.kappa_grade < other.kappa_grade_weighted < 1
    assert other.h_score_difference[ALL] < -20


def test_weighted_kappa_of_a_table_worked_out_by_hand() -> None:
    # observed 1 x 1 + 1 x 4 = 5 of 4 x expected (0 1 4; 1 0 1; 4 1 0) over rows 2 1 1 and columns 1 2 1, 4 nuclei
    table = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    expected = (2 * (0 * 1 + 1 * 2 + 4 * 1) + 1 * (1 * 1 + 1 * 1) + 1 * (4 * 1 + 1 * 2)) / 4
    assert weighted_kappa(table) == pytest.approx(1 - 1 / expected)
    assert np.isnan(weighted_kappa(np.diag([7, 0, 0])))


def test_annotators_of_nothing_in_common_have_no_figures() -> None:
    nothing = Annotated(xy=np.zeros((0, 2)), compartment=np.zeros(0, np.int64), grade=np.zeros(0, np.uint8))
    none = observer_agreement([Pair(first=nothing, second=nothing, mpp=MPP)])
    assert np.isnan([none.similarity, none.paired, none.kappa_grade]).all()
