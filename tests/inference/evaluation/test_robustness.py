"""Changes of pictures: one level of each curve changes nothing, the others do what their name says."""

import numpy as np
import pytest

from inference.evaluation.metric import Points
from inference.evaluation.robustness import CURVES, STRANGERS, Curve, changed, hue_shifted, restained
from inference.picture import PictureSlide
from inference.slide import Rgb
from tests.models import HALF_A_MICROMETRE

BLUE, BROWN = (120, 110, 180), (150, 100, 60)


def picture() -> Rgb:
    image = np.full((48, 64, 3), (235, 230, 236), np.uint8)
    image[8:24, 8:24], image[24:40, 36:52] = BLUE, BROWN
    return image


def keypoints() -> Points:
    return Points(xy=np.array([[15.5, 15.5], [43.5, 31.5]]), label=np.array([0, 1]), confidence=np.ones(2))


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: c.name)
def test_one_level_changes_nothing_and_every_other_something(curve: Curve) -> None:
    assert curve.unchanged in curve.levels
    for level in curve.levels:
        moved, _ = changed(curve, picture(), keypoints(), level)
        assert moved.dtype == np.uint8
        assert np.array_equal(moved, picture()) == (level == curve.unchanged)


def test_keypoints_stay_on_their_nuclei_when_the_scale_changes() -> None:
    scale = next(c for c in CURVES if c.scales)
    for level in scale.levels:
        moved, points = changed(scale, picture(), keypoints(), level)
        for (x, y), colour in zip(points.xy, (BLUE, BROWN), strict=True):
            assert np.abs(moved[round(y), round(x)].astype(int) - colour).max() <= 2


def test_a_stain_that_isnt_changed_comes_back_as_it_was() -> None:
    assert np.abs(restained(picture(), drift=0.0).astype(int) - picture()).max() <= 1


def test_more_haematoxylin_darkens_blue_more_than_brown() -> None:
    dark = restained(picture(), haematoxylin=1.6)
    loss = picture().astype(int) - dark
    assert loss[15, 15].sum() > 2 * abs(loss[31, 43].sum())


def test_a_hue_that_goes_round_the_circle_comes_back() -> None:
    assert np.abs(hue_shifted(hue_shifted(picture(), 30), -30).astype(int) - picture()).max() <= 4


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_keep_the_shape(name: str) -> None:
    assert STRANGERS[name](picture()).shape == picture().shape


def test_a_picture_is_a_slide_on_its_own_grid_or_is_brought_near_half_a_micrometre() -> None:
    near, fine = (PictureSlide(picture(), HALF_A_MICROMETRE, mpp=mpp) for mpp in (0.5, 0.25))
    assert (near.working.size.width, near.working.mpp) == (64, 0.5)
    assert (fine.working.size.width, fine.working.mpp) == (32, 0.5)
    assert fine.working.to_base(10.0) == pytest.approx(20.5)
