"""Nuclei from a network's maps: which pixels are nucleus, where in its nucleus each lies, and of which kind it is.

Two watersheds (after CN114627142A). The first floods from markers, pixels where the distance maps rise; where they
fall, one nucleus ends and the next begins. The second, where it is asked for, joins neighbours of a kind that the first
split, and parts them anew by their shape. All is in fixed units: what is found doesn't depend on what else a tile
shows. An instance is one piece of pixels that touch along their sides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import numpy.typing as npt

from inference.flood import flooded
from inference.instance_table import Runs, Table, runs_of, table_of, without_doubtful
from inference.second_watershed import parted_anew

Labels = npt.NDArray[np.int32]
"""(h, w): 0 outside of nuclei, 1 to n inside."""
Bytes = npt.NDArray[np.uint8]
KINDS = ("other", "inflammatory", "epithelial", "spindle")
"""Of nuclei, in the order of the maps."""
LEVELS = 8
"""Of falls, by which the first watershed floods."""
FULL_FALL = 254.0
"""From one nucleus' far side (127) to the next one's near side (-127)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostProcess:
    """`postprocess` of a model's manifest; areas in px of the maps.

    `nucleus_from`: probability from which a pixel is nucleus. `reach_px`: on how many pixels on each side a fall is
    measured, odd. `split_from`: share of a full fall from which pixels are in no marker. `open_px`: what is narrower
    is no marker. `least_marker_px`, `least_px`: smaller markers and nuclei are none. `hole_px`: holes up to this are
    nucleus. `sure_from`: nuclei of a lower mean probability are none (0: all are). `rescue`: nuclei without a marker
    are kept; `rescue_from`, where it is lower than `nucleus_from`: also pieces that stay below that and reach this.
    `majority`: the kind is the most frequent one, else the likeliest by the sum of probabilities. `join_below`: the
    second watershed joins neighbours of a kind between whom the fall is less (0: it isn't run); `part_from`: share of
    the greatest depth from which its markers are.
    """

    nucleus_from: float = 0.5
    reach_px: int = 3
    split_from: float = 0.06
    open_px: int = 3
    least_marker_px: int = 6
    least_px: int = 16
    hole_px: int = 64
    sure_from: float = 0.0
    rescue: bool = True
    rescue_from: float = 1.0
    majority: bool = False
    join_below: float = 0.0
    part_from: float = 0.6

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.reach_px % 2 == 0 or self.reach_px < 1:
            raise ValueError(f"reach_px {self.reach_px} isn't odd")
        if not 0 < self.nucleus_from < 1 or not 0 < self.split_from < 1:
            raise ValueError("nucleus_from and split_from lie between 0 and 1")

    @staticmethod
    def read(values: Mapping[str, float]) -> "PostProcess":
        """Raises ValueError for a name that is none of them."""
        usual = PostProcess()
        if unknown := set(values) - {field.name for field in fields(PostProcess)}:
            raise ValueError(f"postprocess has no {', '.join(sorted(unknown))}")
        return replace(usual, **{name: type(getattr(usual, name))(value) for name, value in values.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Of a tile of h x w px: `nucleus` (h, w) probability x 255; `distance` (2, h, w) int8, place in the nucleus from
    -127 (left, top) to 127; `kind` (4, h, w), probability x 255 of each of KINDS.
    """

    nucleus: Bytes
    distance: npt.NDArray[np.int8]
    kind: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """`labels`, a row of `table` for each in their order, and the runs of pixels that sums over them are made of."""

    labels: Labels
    table: Table
    runs: Runs


USUAL = PostProcess()


def instances(maps: Maps, how: PostProcess = USUAL) -> Instances:
    """The nuclei of a tile."""
    nucleus = _filled((maps.nucleus >= 255 * how.nucleus_from).astype(np.uint8), how.hole_px)
    falls = falls_of(maps.distance, how.reach_px)
    labels = _first_watershed(nucleus, falls, how)
    if how.rescue and how.rescue_from < how.nucleus_from:
        labels = _with_faint(labels, maps.nucleus, how)
    if how.join_below > 0:
        kinds = table_of(runs_of(labels), maps.kind, majority=how.majority).kind
        labels = parted_anew(labels, kinds, falls, join_below=255 * how.join_below, part_from=how.part_from)
    labels, runs = without_doubtful(labels, maps.nucleus, least_px=how.least_px, sure_from=how.sure_from)
    return Instances(labels, table_of(runs, maps.kind, majority=how.majority), runs)


def falls_of(distance: npt.NDArray[np.int8], reach: int) -> Bytes:
    """(h, w): how much the maps fall over a pixel, 255 for a full fall, the steeper of both directions.

    It is the mean of `reach` px before each pixel less that of as many after it.
    """
    across, down = (np.ascontiguousarray(place).view(np.uint8) ^ np.uint8(128) for place in distance)
    across, down = (_mean(place, reach) for place in (across, down))
    apart = (reach + 1) // 2
    falls = np.zeros(across.shape, np.uint8)
    height, width = distance.shape[1:]
    if width > 2 * apart:  # of a picture that is no wider nothing is seen to fall
        falls[:, apart:-apart] = cv2.subtract(across[:, : -2 * apart], across[:, 2 * apart :])
    if height > 2 * apart:
        rows = falls[apart:-apart]
        np.maximum(rows, cv2.subtract(down[: -2 * apart], down[2 * apart :]), out=rows)
    return falls


def _mean(plane: Bytes, reach: int) -> Bytes:
    return np.asarray(cv2.blur(plane, (reach, reach), borderType=cv2.BORDER_REPLICATE), np.uint8)


def _filled(mask: Bytes, hole_px: int) -> Bytes:
    """0 or 1, small holes closed."""
    around = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(around, None, (0, 0), 2)
    holes = (around[1:-1, 1:-1] == 0).astype(np.uint8)
    if not holes.any():
        return mask
    _, of = cv2.connectedComponents(holes, connectivity=4, ltype=cv2.CV_32S)
    places = np.flatnonzero(holes.view(bool))
    piece = of.ravel()[places]
    small = np.bincount(piece) <= hole_px
    filled = mask.copy()
    filled.ravel()[places[small[piece]]] = 1
    return filled


def _first_watershed(nucleus: Bytes, falls: Bytes, how: PostProcess) -> Labels:
    """Markers, and whatever of the same piece of mask floods to each first; pieces without a marker are nuclei too,
    where they are rescued.
    """
    pixels = np.flatnonzero(nucleus.view(bool))  # of bytes it takes four times as long
    marker, count = _markers(nucleus, falls, pixels, how)
    n, pieces = cv2.connectedComponents(nucleus, connectivity=4, ltype=cv2.CV_32S)
    labels = np.asarray(pieces, np.int32).ravel()
    piece = labels[pixels]
    piece_of = np.zeros(count + 1, np.intp)
    piece_of[marker] = piece
    held = np.bincount(piece_of[1:], minlength=n)
    whole = np.zeros(n, np.int32)
    whole[piece_of[1:]] = np.arange(1, count + 1)
    whole[held > 1] = 0
    if how.rescue:
        bare = held == 0
        bare[0] = False
        whole[bare] = count + np.arange(1, bare.sum() + 1)
    labels[pixels] = np.where(held[piece] > 1, marker, whole[piece])
    dry = pixels[(held[piece] > 1) & (marker == 0)]
    return flooded(labels.reshape(nucleus.shape), dry, falls.ravel()[dry] // (256 // LEVELS))


def _markers(
    nucleus: Bytes, falls: Bytes, pixels: npt.NDArray[np.intp], how: PostProcess
) -> tuple[npt.NDArray[np.int32], int]:
    """The marker of each of `pixels`, 1 to how many there are."""
    inner = nucleus & (falls < 255 * how.split_from).view(np.uint8)
    if how.open_px > 1:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (how.open_px, how.open_px))
        inner = np.asarray(cv2.morphologyEx(inner, cv2.MORPH_OPEN, disc), np.uint8)
    _, markers = cv2.connectedComponents(inner, connectivity=4, ltype=cv2.CV_32S)
    marker = markers.ravel()[pixels]
    kept = np.bincount(marker) >= how.least_marker_px
    kept[:1] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[marker], int(kept.sum())


def _with_faint(labels: Labels, nucleus: Bytes, how: PostProcess) -> Labels:
    """Pieces that are likely nucleus by `rescue_from` and hold no nucleus yet."""
    faint = (nucleus >= 255 * how.rescue_from).astype(np.uint8)
    n, pieces = cv2.connectedComponents(faint, connectivity=4, ltype=cv2.CV_32S)
    free = np.ones(n, bool)
    free[pieces[labels > 0]] = False
    free[0] = False
    added = np.where(free, labels.max() + np.cumsum(free), 0).astype(np.int32)
    return np.asarray(np.maximum(labels, added[pieces]), np.int32)
