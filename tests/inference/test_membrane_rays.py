"""Which rays of a contour are stained: hand-made contours, and the network's two ways of being computed."""

import numpy as np
import pytest

from inference.analyzers.membrane_cells import THRESHOLDS
from inference.analyzers.membrane_contour import ANGLE, RAYS
from inference.analyzers.membrane_rays import NEIGHBOURS, profiles, shipped, stained_rays, told

RADIUS_UM, MPP = 7.0, 0.25
Plane = np.ndarray


def ring(density: float, *, gap: float = 0.0, width_um: float = 0.6, spoke: bool = False) -> Plane:
    """A ring of 7 µm round the middle of 256 px, `gap` of its turn missing on the right; `spoke`: a membrane beyond it
    that comes in from the left.
    """
    y, x = np.mgrid[:256, :256].astype(np.float32) - 127.5
    radius, turn = np.hypot(x, y) * MPP, np.abs(np.arctan2(y, x)) / np.pi
    dab = density * np.exp(-(((radius - RADIUS_UM) / width_um) ** 2)) * (turn > gap)
    if spoke:
        dab = np.maximum(dab, density * np.exp(-((y * MPP / width_um) ** 2)) * (x < -RADIUS_UM / MPP))
    return np.asarray(dab, np.float32)


def stained(dab: Plane, step: int = 7, off_um: float = 0.0) -> np.ndarray:
    """(RAYS,) of a contour `off_um` beside the ring."""
    middle, radius = np.array([127.5], np.float32), np.full((1, RAYS), RADIUS_UM + off_um, np.float32)
    seen = profiles((dab, np.zeros_like(dab)), middle, middle, radius, ANGLE, MPP)
    return stained_rays(seen, THRESHOLDS, MPP)[0, :, step]


@pytest.mark.parametrize("density", [0.16, 0.4, 0.9])
@pytest.mark.parametrize("off_um", [-0.3, 0.0, 0.3])
def test_a_whole_ring_is_stained_also_where_the_contour_lies_beside_it(density: float, off_um: float) -> None:
    assert stained(ring(density), off_um=off_um).mean() > 0.9


def test_nothing_is_stained_where_nothing_is() -> None:
    assert stained(ring(0.0)).mean() < 0.1


@pytest.mark.parametrize("gap", [0.25, 0.5])
def test_a_gap_stays_open(gap: float) -> None:
    assert stained(ring(0.4, gap=gap)).mean() == pytest.approx(1 - gap, abs=0.08)


def test_a_membrane_that_comes_in_from_the_side_is_none_of_the_cells() -> None:
    assert stained(ring(0.6, spoke=True) - ring(0.6)).mean() < 0.12


def test_the_network_is_computed_as_it_was_fitted() -> None:
    """Every ray with its neighbours side by side, in units of the threshold: as in training."""
    w, seen = shipped(), np.random.default_rng(1).uniform(0, 0.4, (3, RAYS, 26)).astype(np.float32)
    threshold = THRESHOLDS[4]
    beside = np.stack([np.roll(seen, step, axis=1) for step in range(-NEIGHBOURS, NEIGHBOURS + 1)], axis=2)
    hidden = np.einsum("nrsv,svh->nrh", beside / threshold, w.across) + w.bias + told(MPP, threshold) @ w.told
    logits = np.maximum(hidden, 0) @ w.out + w.out_bias
    sure = np.abs(logits) > 1e-2
    assert (stained_rays(seen, THRESHOLDS, MPP)[..., 4] == (logits > 0))[sure].all()
