"""From what a model's graphs answer to the answer for one tile: which peaks are kept, and what was found at them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.errors import Failed, Reason
from inference.infer import TileAnswer
from inference.model import COUNT, Model, Tensor, along_side

Array = npt.NDArray[Any]
Answers = Mapping[str, Array]
"""A graph's outputs by name."""


def kept(columns: Answers, probability: str, faintest: float) -> npt.NDArray[np.intp]:
    """Which places of one tile hold a peak whose `probability` is at least `faintest`, from top to bottom: engines
    differ in how they order equals.

    Raises Failed ENGINE_FAILED for numbers that aren't finite: a comparison with NaN is false, and would lose the cell.
    """
    if not all(np.isfinite(column).all() for column in columns.values() if column.dtype.kind == "f"):
        raise Failed(Reason.ENGINE_FAILED, "the network answered with numbers that aren't finite")
    likely = columns[probability]
    keep = np.flatnonzero((likely >= faintest) & (likely > 0))
    return keep[np.lexsort((columns["x"][keep], columns["y"][keep]))]


def found(count: int, keep: int, places: int) -> int:
    """All peaks, of which `keep` are kept: those beyond the places are only of interest where the places are full."""
    return keep + (max(count - places, 0) if keep == places else 0)


def tile_answer(model: Model, answers: Answers, faintest: float, *, height: int, width: int) -> TileAnswer:
    """Of what graphs answered for one tile (no batch axis): the kept peaks in its first `height` x `width` px, and
    maps.

    Outputs that `answers` lacks are left out.
    """
    shown = {t.name: cropped(answers[t.name], t, height, width) for t in model.maps if t.name in answers}
    finder = model.finder
    if finder is None:
        return TileAnswer(columns={}, found=0, maps=shown)
    columns = {t.name: answers[t.name] for t in model.columns if t.name in answers}
    keep = kept(columns, finder.probability, faintest)
    inside = keep[(columns["x"][keep] < width - 0.5) & (columns["y"][keep] < height - 0.5)]
    return TileAnswer(
        columns={name: column[inside] for name, column in columns.items()},
        found=found(int(answers[COUNT]), len(inside), len(columns["x"])),
        maps=shown,
    )


def cropped(answer: Array, tensor: Tensor, height: int, width: int) -> Array:
    """A map's first rows and columns; its axes of `side` are those of the tile's height and width, in this order."""
    axes = [i for i, entry in enumerate(tensor.shape) if isinstance(entry, str)]
    lengths = {
        axis: along_side(tensor.shape[axis], length) for axis, length in zip(axes, (height, width), strict=False)
    }
    return answer[tuple(slice(lengths.get(axis)) for axis in range(answer.ndim))]
