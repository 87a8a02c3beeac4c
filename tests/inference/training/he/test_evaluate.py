"""What the H&E network's figures are made of: pictures seen eight times, and each part of the post-processing."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

from inference.instances import Maps
from inference.training.he.data import Tile
from inference.training.he.evaluate import COLUMNS, PARTS, eightfold, maps_of, table
from tests.inference.he_maps import perfect_maps
from tests.inference.test_instances import CROWD, SIDE


def test_eight_answers_lie_on_one_another() -> None:
    """Of a network that answers alike whichever way a picture is turned, their mean is that answer."""
    picture = np.repeat(CROWD[..., None], 3, axis=2).astype(np.uint8)

    def answer(image: np.ndarray) -> Maps:
        return perfect_maps(image[..., 0].astype(np.int32), image[..., 0] % 4)

    once, mean = answer(picture), eightfold(answer)(picture)
    np.testing.assert_array_equal(mean.nucleus, once.nucleus)
    np.testing.assert_array_equal(mean.kind, once.kind)
    assert np.abs(mean.distance.astype(int) - once.distance).max() <= 1
    assert np.abs(once.distance).max() == 127


def test_a_picture_is_seen_with_a_border_and_answered_at_its_own_size() -> None:
    shapes: list[tuple[int, ...]] = []

    def answer(image: np.ndarray) -> Maps:
        shapes.append(image.shape)
        return perfect_maps(image[..., 0].astype(np.int32), image[..., 0] % 4)

    maps = maps_of(np.zeros((100, 130, 3), np.uint8), answer)
    assert shapes == [(256, 320, 3)]
    assert (maps.nucleus.shape, maps.distance.shape, maps.kind.shape) == ((100, 130), (2, 100, 130), (4, 100, 130))


def test_the_table_has_a_row_a_part_and_perfect_maps_need_the_first_watershed() -> None:
    labels = CROWD.astype(np.int32)
    kinds = np.full((SIDE, SIDE), 2)
    centre = np.array([np.argwhere(labels == i).mean(axis=0)[::-1] for i in range(1, 6)])
    tile = Tile(
        name="crowd",
        image=np.zeros((SIDE, SIDE, 3), np.uint8),
        labels=labels,
        kind=((labels > 0) * 3).astype(np.uint8),
        centre=centre,
        centre_kind=np.full(5, 2),
    )
    head, _, *rows = table([tile], [perfect_maps(labels, kinds)], {}).splitlines()
    assert len(head.split("|")) == len(COLUMNS) + 3
    pq = {cells[1].strip(): float(cells[2]) for cells in (row.split("|") for row in rows)}
    assert list(pq) == list(PARTS)
    assert pq["as shipped"] > 0.95 > 0.7 > pq["no first watershed: pieces of the mask"]
