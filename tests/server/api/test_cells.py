"""Cells as messages: in columns by the analyzer's groups. No server."""

import numpy as np

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from server.api.convert_result import cells_message, group_messages, region_names, square_messages
from server.services.cells import Square
from tests.made import made_nuclei

CRITERIA = assay_of("ER").built_in.criteria


def test_cells_are_told_in_single_precision_with_the_group_of_each() -> None:
    cells = made_nuclei(1_000)
    told = cells_message(cells, NUCLEAR, CRITERIA)
    np.testing.assert_array_equal([told.x_px, told.y_px], np.array([cells.x, cells.y], np.float32))
    np.testing.assert_array_equal(told.group, NUCLEAR.group_of(cells, CRITERIA))
    np.testing.assert_array_equal(told.confidence, cells["confidence"])


def test_every_column_of_the_schema_is_told_once() -> None:
    told = cells_message(made_nuclei(10), NUCLEAR, CRITERIA)
    assert [m.name for m in told.measurements] == [name for name in NUCLEAR.schema.names if name != "confidence"]
    assert all(len(m.values) == len(told.x_px) == 10 for m in told.measurements)
    assert {m.name: m.unit for m in told.measurements}["hue"] == "deg"


def test_a_square_is_told_by_its_corner_and_its_cells_by_group() -> None:
    (told,) = square_messages([Square(x_um=250.0, y_um=500.0, counts=(1, 0, 2))])
    assert (told.x_um, told.y_um, list(told.counts)) == (250.0, 500.0, [1, 0, 2])


def test_groups_and_regions_are_the_analyzer_s() -> None:
    assert [g.name for g in group_messages(NUCLEAR)] == [g.name for g in NUCLEAR.groups]
    assert region_names(NUCLEAR) == [r.name for r in NUCLEAR.regions]
