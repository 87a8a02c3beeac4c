"""Which rays of a contour are stained: hand-made contours, and the network's two ways of being computed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.analyzers.membrane_cells import THRESHOLDS
from inference.analyzers.membrane_contour import ANGLE, RAYS
from inference.analyzers.membrane_rays import OFFSETS_UM, PLANES, profiles, read, stained_rays, told
from inference.training.membrane_rays import Network, write

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
@pytest.mark.parametrize("off_um", [-0.8, -0.3, 0.0, 0.3, 0.8])
def test_a_whole_ring_is_stained_also_where_the_contour_lies_beside_it(density: float, off_um: float) -> None:
    assert stained(ring(density), off_um=off_um).mean() > 0.9


def test_nothing_is_stained_where_nothing_is() -> None:
    assert stained(ring(0.0)).mean() < 0.1


@pytest.mark.parametrize("gap", [0.25, 0.5])
def test_a_gap_stays_open(gap: float) -> None:
    assert stained(ring(0.4, gap=gap)).mean() == pytest.approx(1 - gap, abs=0.08)


def test_a_membrane_that_comes_in_from_the_side_is_none_of_the_cells() -> None:
    assert stained(ring(0.6, spoke=True) - ring(0.6)).mean() < 0.12


def test_the_network_is_computed_as_it_was_fitted(tmp_path: Path) -> None:
    """By torch, in units of the threshold; a threshold that isn't computed lies between its neighbours."""
    torch.manual_seed(2)
    network, values = Network(), len(OFFSETS_UM) * PLANES
    seen = np.random.default_rng(1).uniform(0, 0.4, (3, RAYS, values)).astype(np.float32)
    with torch.no_grad():
        network.out.bias -= network(torch.tensor(seen / THRESHOLDS[5]), torch.tensor(told(MPP, THRESHOLDS[5]))).median()
        logits = [network(torch.tensor(seen / t), torch.tensor(told(MPP, t))).numpy() for t in THRESHOLDS]
    write(network, tmp_path / "w.npz")
    found = stained_rays(seen, THRESHOLDS, MPP, read(tmp_path / "w.npz"))
    for k, wanted in ((6, logits[6]), (len(THRESHOLDS) - 1, logits[-1]), (5, logits[3] + 2 * logits[6])):
        sure = np.abs(wanted) > 1e-2
        assert sure.any()
        assert (found[..., k] == (wanted > 0))[sure].all()
