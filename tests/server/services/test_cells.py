"""Cells of a result as the doors give them: of a window and a region, in parts or counted in squares."""

from collections.abc import Iterator

import numpy as np
import pytest

from inference.analyzers.nuclear import NUCLEAR, REGIONS
from inference.assay import assay_of
from inference.cells.values import Cells, joined, made_cells
from inference.geometry import Region
from server.domain.errors import ChromogenError, ServiceReason
from server.services.cells import PART, Selection, points, squares
from tests.made import both_colours

CRITERIA = assay_of("ER").built_in.criteria
WIDTH, HEIGHT, MPP = 4_000, 3_000, 0.5
FIRST, SECOND, _ = (region.name for region in REGIONS)


def made(n: int, seed: int = 0) -> Cells:
    random = np.random.default_rng(seed)
    return made_cells(
        NUCLEAR.schema,
        random.uniform(0, WIDTH - 1, n),
        random.uniform(0, HEIGHT - 1, n),
        compartment=random.integers(0, 2, n),
        confidence=random.uniform(0.3, 1, n),
        **both_colours(
            random.integers(0, 360, n),
            random.integers(0, 256, n),
            random.integers(0, 301, n),
        ),
    )


def batches(cells: Cells, size: int = 7_000) -> Iterator[Cells]:
    for begin in range(0, len(cells), size):
        yield cells.taken(slice(begin, begin + size))


def selection(window: Region | None = None, region: str = "") -> Selection:
    return Selection(analyzer=NUCLEAR, criteria=CRITERIA, window=window, region=region)


def xs(parts: Iterator[Cells]) -> list[float]:
    return [float(x) for part in parts for x in part.x]


def test_points_are_every_cell_once_in_the_file_s_order_in_parts() -> None:
    cells = made(12_345)
    parts = list(points(batches(cells), selection()))
    assert max(len(part) for part in parts) <= PART
    found = joined(parts)
    np.testing.assert_array_equal([found.x, found.y], [cells.x, cells.y])
    for name in cells.schema.names:
        np.testing.assert_array_equal(found[name], cells[name])


def test_a_window_holds_the_cells_whose_centre_lies_in_it_and_a_region_those_of_its_groups() -> None:
    cells, window = made(9_000), Region(x=100, y=200, width=1_500, height=900)
    inside = (cells.x >= 99.5) & (cells.x < 1_599.5) & (cells.y >= 199.5) & (cells.y < 1_099.5)
    for region, wanted in (
        (FIRST, inside & (cells["compartment"] == 0)),
        (SECOND, inside & (cells["compartment"] == 1)),
    ):
        assert xs(points(batches(cells), selection(window, region))) == cells.x[wanted].tolist()


def test_all_is_every_region() -> None:
    cells = made(500)
    assert xs(points(batches(cells), selection(region="all"))) == xs(points(batches(cells), selection()))


def test_a_region_of_another_assay_is_refused() -> None:
    with pytest.raises(ChromogenError, match="region is none of this assay") as refused:
        selection(region="tumour")
    assert refused.value.reason == ServiceReason.ARGUMENT_INVALID


def test_squares_count_every_cell_once_by_group_row_by_row() -> None:
    cells = made(20_000)
    found = [s for part in squares(batches(cells), selection(), mpp=MPP, square_um=250) for s in part]
    total = np.array([list(s.counts) for s in found]).sum(axis=0)
    expected = np.bincount(NUCLEAR.group_of(cells, CRITERIA), minlength=len(NUCLEAR.groups))
    assert total.tolist() == expected.tolist()
    assert len(found) == (WIDTH * MPP / 250) * (HEIGHT * MPP / 250)
    assert [(s.y_um, s.x_um) for s in found] == sorted((s.y_um, s.x_um) for s in found)


def test_no_cells_are_no_parts_and_no_squares() -> None:
    assert list(points(batches(made(0)), selection())) == []
    assert list(squares(batches(made(0)), selection(), mpp=MPP, square_um=100)) == []
