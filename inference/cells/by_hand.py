"""Cells whose group a person set: a column beside the schema's, in files of results that a person changed.

Such a cell stays in its group whatever the criteria; histograms count it apart, by group.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inference.cells.values import Cells, CellSchema, Column

BY_HAND = "by_hand"
NOT_BY_HAND = 255
_COLUMN = Column(name=BY_HAND, dtype="uint8", meaning="group that a person set, 255: none did")


def with_by_hand(schema: CellSchema) -> CellSchema:
    """The schema with the column, once."""
    return schema if BY_HAND in schema.names else replace(schema, columns=(*schema.columns, _COLUMN))


def is_by_hand(cells: Cells) -> npt.NDArray[np.bool_]:
    """(n,): did a person set its group?"""
    if BY_HAND not in cells.columns:
        return np.zeros(len(cells), bool)
    found: npt.NDArray[np.bool_] = cells[BY_HAND] != NOT_BY_HAND
    return found


def overruled(cells: Cells, groups: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The groups (n,) that the criteria give, or a person."""
    return groups if BY_HAND not in cells.columns else np.where(is_by_hand(cells), cells[BY_HAND], groups)
