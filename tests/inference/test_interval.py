"""95 % intervals hold the truth in at least 90 % of slides, few fields or many; blocks leave no cell and no sliver."""

import numpy as np
import pytest

from inference.analyzers.nuclear import H_SCORE_ERROR, NUCLEAR
from inference.fields import COUNTED_UM, FIELD_UM, LEAST_IN_BLOCK, Fields
from inference.interval import LEAST_FIELDS
from inference.score import PERCENT_AS_OF, h_score_interval, percent_interval

SLIDES = 300


def laid(columns: int, rows: int, a_square: int) -> Fields:
    """Tissue of columns x rows counted squares, each with so many nuclei of the first group."""
    place = np.array([(x, y) for y in range(rows) for x in range(columns)], np.int64)
    counts = np.zeros((len(place), len(NUCLEAR.groups)), np.int64)
    counts[:, 0] = a_square
    return Fields(place, counts, COUNTED_UM)


@pytest.mark.parametrize("k", [LEAST_FIELDS, 12, 60])
@pytest.mark.parametrize("error", [0.0, H_SCORE_ERROR["epithelium"]])
def test_of_slides_whose_fields_differ_nine_in_ten_intervals_hold_the_truth(k: int, error: float) -> None:
    random = np.random.default_rng(k)
    truth, held = 100.0, 0
    for _ in range(SLIDES):
        share = np.clip(random.beta(1.5, 3.0, k) + random.normal(0, error / 300), 0, 1)
        sizes = random.integers(LEAST_IN_BLOCK, 1500, k)
        strong = random.binomial(sizes, share)
        fields = np.stack([sizes - strong, np.zeros(k), np.zeros(k), strong], axis=1).astype(np.int64)
        low, high = h_score_interval(fields, error) or (0.0, 0.0)
        held += low <= truth <= high
    assert held >= 0.9 * SLIDES


@pytest.mark.parametrize("k", [LEAST_FIELDS, 12, 60])
@pytest.mark.parametrize("truth", [0.004, 0.1, 0.5, 0.97])
def test_nine_in_ten_intervals_of_percent_positive_hold_the_truth(k: int, truth: float) -> None:
    random = np.random.default_rng(k)
    held = 0
    for _ in range(SLIDES):
        measured = random.beta(truth * PERCENT_AS_OF, (1 - truth) * PERCENT_AS_OF)  # off by as much as was found
        share = random.beta(20 * measured + 1e-3, 20 * (1 - measured) + 1e-3, k)
        sizes = random.integers(LEAST_IN_BLOCK, 1500, k)
        positive = random.binomial(sizes, share)
        fields = np.stack([sizes - positive, positive, np.zeros(k), np.zeros(k)], axis=1).astype(np.int64)
        low, high = percent_interval(fields) or (0.0, 0.0)
        held += low <= 100 * truth <= high
    assert held >= 0.9 * SLIDES


@pytest.mark.parametrize(
    ("columns", "rows", "side_um"),
    [(48, 32, FIELD_UM), (17, 17, 250.0), (8, 8, 125.0), (4, 3, COUNTED_UM)],
)
def test_blocks_are_as_large_as_leaves_six_of_them(columns: int, rows: int, side_um: float) -> None:
    fields = laid(columns, rows, 30)
    blocks = fields.blocks()
    assert len(blocks) >= LEAST_FIELDS
    assert blocks.sum() == fields.counts.sum()
    assert np.median(blocks.sum(axis=1)) == 30 * (side_um / COUNTED_UM) ** 2


def test_a_sliver_is_joined_to_its_neighbour() -> None:
    fields = laid(6 * 8 + 1, 8, 2)  # six whole fields, and a strip of 16 nuclei beside the last
    assert fields.of_side(FIELD_UM).counts.sum(axis=1).tolist() == [128] * 6 + [16]
    assert fields.blocks().sum(axis=1).tolist() == [128] * 5 + [144]


def test_sparse_cells_have_larger_blocks() -> None:
    place = np.array([(x, y) for x in range(10) for y in range(6)], np.int64) * 8
    counts = np.full((60, len(NUCLEAR.groups)), 1, np.int64) * (np.arange(len(NUCLEAR.groups)) < 5)
    blocks = Fields(place, counts, COUNTED_UM).blocks()
    assert blocks.sum(axis=1).tolist() == [20] * 15


def test_a_compartment_has_blocks_of_its_own_cells() -> None:
    fields = laid(32, 32, 30)
    fields.counts[:64, 5] = 12  # epithelium, in two rows of squares only
    of_epithelium = np.arange(len(NUCLEAR.groups)) >= 4
    blocks = fields.blocks(of_epithelium)
    assert len(blocks) >= LEAST_FIELDS
    assert blocks[:, 5].sum() == 64 * 12 == blocks.sum()
    assert blocks.sum(axis=1).min() >= LEAST_IN_BLOCK


def test_too_few_cells_have_no_blocks() -> None:
    assert len(laid(5, 1, 900).blocks()) == 0
    assert len(laid(20, 20, 0).blocks()) == 0
    assert len(Fields(np.zeros((0, 2), np.int64), np.zeros((0, 8), np.int64), COUNTED_UM).blocks()) == 0
