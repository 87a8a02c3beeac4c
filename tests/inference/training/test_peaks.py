"""Peaks of hand-made logits: where they are, what counts as one, and that nothing is lost in silence."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.training.model import HEAT_STRIDE
from inference.training.peaks import FURTHEST, Calibration, find_peaks

RAW = Calibration()


def flat(h: int = 16, w: int = 16) -> torch.Tensor:
    """Logits of nothing anywhere, stroma if it were."""
    logits = torch.full((1, 2, h, w), -12.0)
    logits[:, 1] = -3.0
    return logits


def test_an_isolated_peak_lies_in_the_middle_of_its_heat_map_pixel() -> None:
    logits = flat()
    logits[0, 0, 4, 6] = 3.0
    p = find_peaks(logits, 5, RAW)
    assert int(p.count) == 1
    assert float(p.x[0, 0]) == pytest.approx(6 * HEAT_STRIDE + 0.5, abs=1e-3)
    assert float(p.y[0, 0]) == pytest.approx(4 * HEAT_STRIDE + 0.5, abs=1e-3)
    assert p.nucleus[0].tolist()[1:] == [0, 0, 0, 0]


def test_a_peak_moves_towards_its_heavier_neighbour_but_stays_in_its_pixel() -> None:
    logits = flat()
    logits[0, 0, 4, 6:8] = torch.tensor([3.0, 2.9])
    shift = float(find_peaks(logits, 1, RAW).x) - (6 * HEAT_STRIDE + 0.5)
    assert 0.5 < shift <= FURTHEST * HEAT_STRIDE


def test_the_compartment_is_that_of_the_larger_probability_and_the_confidence_their_product() -> None:
    logits = flat()
    logits[0, 0, 4, 6] = 2.0
    logits[0, 1] = 1.0
    p = find_peaks(logits, 1, RAW)
    assert int(p.label) == 1
    assert float(p.confidence) == pytest.approx(
        float(torch.sigmoid(torch.tensor(2.0)) * torch.sigmoid(torch.tensor(1.0)))
    )


def test_peaks_beyond_the_places_are_counted() -> None:
    logits = flat()
    logits[0, 0, ::4, ::4] = 3.0
    p = find_peaks(logits, 5, RAW)
    assert (int(p.count), int((p.nucleus > 0).sum())) == (16, 5)


def test_a_picture_of_nothing_has_no_peak() -> None:
    p = find_peaks(flat(), 5, RAW)
    assert int(p.count) == 0
    assert all(float(v.abs().sum()) == 0 for v in (p.x, p.y, p.label, p.nucleus, p.confidence))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 4), st.floats(-2, 2), st.floats(0.3, 3))
def test_calibration_changes_neither_places_nor_order_nor_compartment(
    seed: int, slope: float, offset: float, share: float
) -> None:
    logits = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(seed)).double()
    raw = find_peaks(logits, 20, RAW, faintest=0)
    calibration = Calibration(nucleus_slope=slope, nucleus_offset=offset, compartment_slope=share)
    fitted = find_peaks(logits, 20, calibration, faintest=0)
    assert torch.equal(raw.x, fitted.x)
    assert torch.equal(raw.y, fitted.y)
    assert torch.equal(raw.label, fitted.label)
    assert int(raw.count) == int(fitted.count)
