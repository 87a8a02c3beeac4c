"""CoNSeP's training tiles: loading, folds, crops turned, scaled and stained at random, targets."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.training.augment import Augmentation, Image, disturbed
from inference.training.data import read_image
from inference.training.he.targets import Labels, distances, evenness

KINDS = ("other", "inflammatory", "epithelial", "spindle")
KIND_OF_TYPE = np.array([0, 1, 2, 3, 3, 4, 4, 4], np.uint8)
"""CoNSeP's types to 1 + place in KINDS: healthy and malignant epithelium are one, fibroblast, muscle and endothelium
another."""
FOLDS_FILE = Path(__file__).with_name("folds.json")
Answer = npt.NDArray[np.float32]
SIDE = 384  # of a training crop, px, where a recipe says nothing else
MARGIN = 48  # px around a crop in which nuclei that it cuts are still whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """`image` (h, w, 3) RGB uint8 at 0.25 µm/px, `labels` (h, w) int32 with 0 for none, `kind` (h, w) uint8 with 0 for
    none, else 1 + place in KINDS. `centre` (n, 2) x, y and `centre_kind` (n,) of the nuclei. `answer` (7, h, w) of a
    teacher (`teach.taught`): probability of a nucleus, distances in -1..1, probability of each kind.
    """

    name: str
    image: Image
    labels: Labels
    kind: Image
    centre: npt.NDArray[np.float64]
    centre_kind: npt.NDArray[np.int64]
    answer: Answer | None = None


def consep(folder: Path) -> list[Tile]:
    """All tiles `train_N.png` with `train_N.npz`. Raises FileNotFoundError where there is none."""
    paths = sorted(folder.glob("train_*.png"), key=lambda p: int(p.stem.split("_")[1]))
    if not paths:
        raise FileNotFoundError(f"no train_N.png in {folder}")
    return [_tile(path) for path in paths]


def _tile(path: Path) -> Tile:
    maps = np.load(path.with_suffix(".npz"))
    ids, flat = np.unique(maps["inst_map"], return_inverse=True)
    labels = flat.reshape(maps["inst_map"].shape).astype(np.int32) + (0 if ids[0] == 0 else 1)
    kind = KIND_OF_TYPE[maps["type_map"]]
    rows, columns = np.nonzero(labels)
    of = labels[rows, columns] - 1
    n = np.bincount(of)
    centre = np.stack([np.bincount(of, columns) / n, np.bincount(of, rows) / n], axis=1)
    votes = np.bincount(of * 5 + kind[rows, columns], minlength=5 * len(n)).reshape(-1, 5)
    return Tile(
        name=path.stem,
        image=read_image(path),
        labels=labels,
        kind=kind,
        centre=centre,
        centre_kind=votes[:, 1:].argmax(axis=1),
    )


def split(tiles: list[Tile], fold: int) -> tuple[list[Tile], list[Tile]]:
    """Training and validation tiles of a fold of folds.json."""
    held = set(json.loads(FOLDS_FILE.read_text())["folds"][fold])
    return [t for t in tiles if t.name not in held], [t for t in tiles if t.name in held]


def counts(tiles: list[Tile]) -> npt.NDArray[np.int64]:
    """(4,) nuclei of each kind."""
    return np.bincount(np.concatenate([t.centre_kind for t in tiles]), minlength=len(KINDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """`image` (s, s, 3) uint8; `target` (5, s, s) float32: nucleus or not, horizontal and vertical
    distance, kind (0..3, -1 where no nucleus is), weight of a nucleus' pixel; `inside` (s, s) where the tile is.
    `answer` (8, s, s): the tile's under the same turn, and 1 where its distances mean something; zeros without one.
    """

    image: Image
    target: npt.NDArray[np.float32]
    inside: npt.NDArray[np.float32]
    answer: Answer


def sample(
    tiles: list[Tile], augmentation: Augmentation, focus: float, random: np.random.Generator, own_side: int = SIDE
) -> Crop:
    """A crop of `own_side` px anywhere on a tile; a share `focus` of them round a nucleus, each kind as often as the
    others.
    """
    tile, centre = _place(tiles, focus, random, own_side)
    side = own_side + 2 * MARGIN
    turn = _turn(centre, side, augmentation.scale, random)
    image = cv2.warpAffine(tile.image, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    warped = cv2.warpAffine(tile.labels.astype(np.float32), turn, (side, side), flags=cv2.INTER_NEAREST)
    labels: Labels = np.asarray(warped).astype(np.int32)
    own = slice(MARGIN, MARGIN + own_side)
    kind = np.r_[-1, tile.centre_kind][labels[own, own]]
    inside = cv2.warpAffine(np.ones(tile.kind.shape, np.uint8), turn, (side, side), flags=cv2.INTER_NEAREST)[own, own]
    nucleus = (labels[own, own] > 0).astype(np.float32)
    planes = [nucleus, *distances(labels)[:, own, own], kind.astype(np.float32), evenness(labels)[own, own]]
    picture = np.ascontiguousarray(np.asarray(image, np.uint8)[own, own])
    return Crop(
        image=disturbed(picture, augmentation, random),
        target=np.stack(planes),
        inside=inside.astype(np.float32),
        answer=_answer(tile.answer, turn, side)[:, own, own],
    )


def _answer(answer: Answer | None, turn: npt.NDArray[np.float64], side: int) -> Answer:
    """A tile's under a turn. Distances run along the sides of the picture, each to its own extent: they turn with it by
    right angles alone, and no others are known.
    """
    if answer is None:
        return np.zeros((8, side, side), np.float32)
    turned = np.stack([cv2.warpAffine(plane, turn, (side, side), flags=cv2.INTER_LINEAR) for plane in answer])
    way = turn[:, :2] / np.sqrt(abs(np.linalg.det(turn[:, :2])))
    straight = np.allclose(np.abs(way), np.abs(way).round(), atol=1e-6)
    turned[1:3] = np.einsum("ij,jhw->ihw", way, turned[1:3])
    return np.concatenate([turned, np.full((1, side, side), straight)]).astype(np.float32)


def _place(
    tiles: list[Tile], focus: float, random: np.random.Generator, side: int
) -> tuple[Tile, npt.NDArray[np.float64]]:
    """A tile and the middle of a crop of it; a tile with few nuclei is taken less often."""
    if random.random() < focus:
        kind = int(random.integers(len(KINDS)))
        number = np.array([int((t.centre_kind == kind).sum()) for t in tiles])
        if number.any():
            tile = tiles[int(random.choice(len(tiles), p=np.sqrt(number) / np.sqrt(number).sum()))]
            chosen = tile.centre[random.choice(np.flatnonzero(tile.centre_kind == kind))]
            return tile, chosen + random.uniform(-side / 3, side / 3, 2)
    often = np.array([len(t.centre) + 100.0 for t in tiles]) ** 0.5
    tile = tiles[int(random.choice(len(tiles), p=often / often.sum()))]
    h, w = tile.kind.shape
    return tile, random.uniform(side / 4, np.array([w, h]) - side / 4)


def _turn(
    centre: npt.NDArray[np.float64], side: int, scales: tuple[float, float], random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """(2, 3): a random turn, flip and scale that brings `centre` to the middle; half of the turns are right angles."""
    angle, scale = random.uniform(0, 2 * np.pi), np.exp(random.uniform(*np.log(scales)))
    if random.random() < 0.5:
        angle, scale = random.integers(4) * np.pi / 2, 1.0 if random.random() < 0.5 else scale
    turned = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turned @ np.diag([random.choice([-1.0, 1.0]), 1.0])
    return np.concatenate([matrix, ((side - 1) / 2 - matrix @ centre)[:, None]], axis=1)
