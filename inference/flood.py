"""A watershed over part of a picture: only pixels that nobody has yet are visited, all at once, not one by one.

OpenCV's `watershed` floods by differences of colour, not by height, and leaves a line between basins; scipy's
`watershed_ift` holds 40 bytes for every pixel of the picture.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt


def flooded(
    markers: npt.NDArray[np.int32], dry: npt.NDArray[np.intp], level: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int32]:
    """`markers` (h, w), 0 where none is, grown along sides of pixels over all of `dry` (k,), flat places that no marker
    has, those of low `level` (k,) first. What no marker reaches stays 0.
    """
    if len(dry) == 0:
        return markers
    width = markers.shape[1]
    padded = np.pad(markers, 1)
    flat, order = padded.ravel(), np.argsort(level, kind="stable")
    places = (dry + width + 3 + 2 * (dry // width))[order]
    firsts = np.searchsorted(level[order], np.arange(257))
    waiting: npt.NDArray[Any] = places[:0]
    for first, last in pairwise(firsts.tolist()):
        if last > first:
            waiting = _level_flooded(flat, width + 2, np.concatenate([waiting, places[first:last]]))
    return np.ascontiguousarray(padded[1:-1, 1:-1])


def _level_flooded(flat: npt.NDArray[np.int32], width: int, waiting: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Flood as far as it goes (in place); those that stay dry."""
    while len(waiting):
        sides = np.maximum(flat[waiting - 1], flat[waiting + 1])
        found = np.maximum(sides, np.maximum(flat[waiting - width], flat[waiting + width]))
        wet = found > 0
        if not wet.any():
            break
        flat[waiting[wet]] = found[wet]
        waiting = waiting[~wet]
    return waiting
