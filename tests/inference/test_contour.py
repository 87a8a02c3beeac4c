"""Outlines of pixels' corners: what is written as polygons and drawn again is the mask, to the pixel."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from inference.analyzers.he import HE
from inference.analyzers.he_cells import he_cells
from inference.analyzers.he_criteria import HeCriteria
from inference.cells.file import CellWriter, read_cells
from inference.cells.values import Cells, joined
from inference.contour import CONTOUR, contours_of, rings_of, rounded
from inference.geojson import write_geojson
from inference.infer import TileAnswer
from inference.instance_table import table_of, without_doubtful
from inference.instances import instances
from tests.inference.he_maps import consep, perfect_maps

Labels = npt.NDArray[np.int32]


def pieces(mask: npt.NDArray[np.bool_]) -> Labels:
    """Pieces along sides without holes, 1 to n."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return labels.astype(np.int32)


def drawn(shape: tuple[int, ...], polygons: list[npt.NDArray[np.float64]]) -> Labels:
    """Pixels whose centre lies in each polygon of corners, by crossings of the row through the centres."""
    labels = np.zeros(shape, np.int32)
    for label, ring in enumerate(polygons, start=1):
        closed = np.vstack([ring, ring[:1]])
        inside = np.zeros(shape, bool)
        for (x, a), (_, b) in pairwise(closed):
            low, high = sorted((round(a), round(b)))
            inside[max(low, 0) : high, max(round(x), 0) :] ^= True
        labels[inside] = label
    return labels


def outlined(labels: Labels, mpp: float = 0.25) -> list[npt.NDArray[np.float64]]:
    labels, runs = without_doubtful(labels, labels.astype(np.uint8), least_px=1)
    table = table_of(runs, np.zeros((4, *labels.shape), np.uint8))
    x, y = rounded(table.x), rounded(table.y)
    rings = rings_of(contours_of(labels, runs, x, y, mpp=mpp), x + 0.5, y + 0.5, mpp=mpp)
    return np.split(rings.corners, rings.first[1:]) if len(rings.first) else []


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (9, 11)))
def test_a_polygon_holds_its_pixels_and_no_other(mask: npt.NDArray[np.bool_]) -> None:
    around = np.pad(mask, 1)
    holes = pieces(~around)
    filled = (around | ((holes != holes[0, 0]) & (holes > 0)))[1:-1, 1:-1]
    labels = pieces(filled)
    np.testing.assert_array_equal(drawn(labels.shape, outlined(labels)), labels)


def test_corners_of_one_pixel_are_its_four() -> None:
    labels = np.zeros((5, 6), np.int32)
    labels[2, 3] = 1
    (ring,) = outlined(labels)
    assert ring.tolist() == [[3, 2], [4, 2], [4, 3], [3, 3]]


def test_a_side_longer_than_a_move_is_one_outline_all_the_same() -> None:
    labels = np.zeros((300, 420), np.int32)
    labels[5:290, 7:411] = 1
    (ring,) = outlined(labels)
    np.testing.assert_array_equal(drawn(labels.shape, [ring]), labels)


def test_outlines_in_px_of_another_size_are_scaled_round_the_slides_corner() -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[2:4, 2:6] = 1
    labels, runs = without_doubtful(labels, labels.astype(np.uint8), least_px=1)
    contours = contours_of(labels, runs, [3.5], [2.5], mpp=0.25)
    base = rings_of(contours, [(3.5 + 0.5) / 2], [(2.5 + 0.5) / 2], mpp=0.5)
    assert base.corners.tolist() == [[1, 1], [3, 1], [3, 2], [1, 2]]


@pytest.mark.parametrize("number", [3, 19])
def test_what_is_written_of_real_nuclei_and_drawn_again_is_the_mask(number: int, tmp_path: Path) -> None:
    labels, kinds = consep(number)
    maps = perfect_maps(labels, kinds)
    found = instances(maps)
    tile = np.zeros((*labels.shape, 3), np.uint8)
    cells = he_cells(
        TileAnswer({}, 0, {"nucleus": maps.nucleus, "distance": maps.distance, "kind": maps.kind}, tile=tile), 0.25
    )
    with CellWriter(tmp_path / "cells.parquet", HE.schema, mpp=0.25) as writer:
        writer.add(cells)
    counts = np.bincount(HE.group_of(cells, HeCriteria()), minlength=len(HE.groups))
    write_geojson(tmp_path / "he.geojson", tmp_path / "cells.parquet", HE, HeCriteria(), counts, mpp=0.25)
    features = json.loads((tmp_path / "he.geojson").read_text())["features"]
    rings = [np.array(f["geometry"]["coordinates"][0][:-1], float) for f in features]
    np.testing.assert_array_equal(drawn(labels.shape, rings), found.labels)
    read: Cells = joined(list(read_cells(tmp_path / "cells.parquet", HE.schema)))
    assert read[CONTOUR].tolist() == cells[CONTOUR].tolist()
