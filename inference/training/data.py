"""Tiles and keypoints for training: loading, the fixed split, crops turned and scaled at random, targets."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.evaluation.metric import EPITHELIUM, STROMA, Points
from inference.training.augment import Augmentation, Image, disturbed
from inference.training.model import HEAT_STRIDE

SPLIT_FILE = Path(__file__).with_name("split.json")
SIZE = 192  # side of a training crop, px
SIGMA = 1.25  # of a target's Gaussian, heat-map px
REACH = 4  # heat-map px from its centre to which a Gaussian is drawn
SEAM = 4  # px on each side of a mosaic's seam in which the loss doesn't count
CONSEP_EPITHELIUM = (3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """An annotated tile: RGB (h, w, 3) uint8 at 0.5 µm/px.

    `compartments`: whether its labels mean anything. `answer`: a teacher's logits (2, h/2, w/2) float32 of the tile as
    it is, where there is one (`teach`).
    """

    name: str
    image: Image
    points: Points
    compartments: bool = True
    answer: npt.NDArray[np.float32] | None = None


def endonuke(folder: Path) -> list[Tile]:
    """All tiles of `images/N.png` with `labels/N.txt` (x y class a line; class 2, other, counts as stroma)."""
    tiles = []
    for path in sorted((folder / "images").glob("*.png"), key=lambda p: int(p.stem)):
        rows = np.loadtxt(folder / "labels" / f"{path.stem}.txt", ndmin=2).reshape(-1, 3)
        label = np.where(rows[:, 2] == 1, EPITHELIUM, STROMA).astype(np.int64)
        tiles.append(Tile(name=path.stem, image=read_image(path), points=_points(rows[:, :2], label)))
    return tiles


def consep(folder: Path) -> list[Tile]:
    """CoNSeP's training tiles (0.25 µm/px, H&E) at half size.

    A nucleus is its centroid, epithelium its types 3 and 4.
    """
    tiles = []
    for path in sorted(folder.glob("train_*.png"), key=lambda p: int(p.stem.split("_")[1])):
        maps = np.load(path.with_suffix(".npz"))
        instance, kind = maps["inst_map"], maps["type_map"]
        rows, columns = np.nonzero(instance)
        ids, index, n = np.unique(instance[rows, columns], return_inverse=True, return_counts=True)
        x = np.bincount(index, columns) / n / 2 - 0.25
        y = np.bincount(index, rows) / n / 2 - 0.25
        epithelial = np.bincount(index, np.isin(kind[rows, columns], CONSEP_EPITHELIUM)) / n > 0.5
        assert len(ids) == len(x)
        label = np.where(epithelial, EPITHELIUM, STROMA).astype(np.int64)
        image = cv2.resize(read_image(path), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        tiles.append(
            Tile(name=path.stem, image=np.asarray(image, np.uint8), points=_points(np.stack([x, y], 1), label))
        )
    return tiles


def split(tiles: list[Tile]) -> tuple[list[Tile], list[Tile]]:
    """Training and validation tiles, by the names in split.json."""
    validation = set(json.loads(SPLIT_FILE.read_text())["validation"])
    return [t for t in tiles if t.name not in validation], [t for t in tiles if t.name in validation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """`clean` and `image` (SIZE, SIZE, 3) uint8, before and after staining; `target` (7, SIZE/2, SIZE/2) float32.

    Planes 0 to 3 as of `target`, 4 and 5 a teacher's logits (nucleus, compartment), 6 where these are known.
    """

    clean: Image
    image: Image
    target: npt.NDArray[np.float32]


def sample(tile: Tile, other: Tile, augmentation: Augmentation, random: np.random.Generator) -> Crop:
    """A crop of `tile`, turned, scaled and stained at random; now and then a part of it is `other`'s."""
    clean, planes = _cut(tile, augmentation, random)
    if random.random() < augmentation.mosaic:
        second, second_planes = _cut(other, augmentation, random)
        seam = 2 * int(random.integers(SIZE // 8, 3 * SIZE // 8))
        clean, planes = clean.copy(), planes.copy()
        clean[:, seam:], planes[:, :, seam // 2 :] = second[:, seam:], second_planes[:, :, seam // 2 :]
        planes[[2, 3, 6], :, (seam - SEAM) // 2 : (seam + SEAM) // 2] = 0
    return Crop(clean=clean, image=disturbed(clean, augmentation, random), target=planes)


def _cut(tile: Tile, augmentation: Augmentation, random: np.random.Generator) -> tuple[Image, npt.NDArray[np.float32]]:
    turn, xy = _affine(tile, augmentation.scale, random)
    image = cv2.warpAffine(tile.image, turn, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    inside = cv2.warpAffine(np.ones(tile.image.shape[:2], np.uint8), turn, (SIZE, SIZE), flags=cv2.INTER_NEAREST)
    planes = target(xy, tile.points.label, np.asarray(inside, np.uint8))
    planes[2] *= tile.compartments
    return np.asarray(image, np.uint8), np.concatenate([planes, _answer(tile, turn, planes[3])])


def _answer(tile: Tile, turn: npt.NDArray[np.float64], inside: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(3, h/2, w/2): the teacher's logits under the crop's turn and where they are known; zeros without a teacher."""
    planes = np.zeros((3, *inside.shape), np.float32)
    if tile.answer is not None:
        shift = turn[:, 2] + (turn[:, :2].sum(axis=1) - 1) * (HEAT_STRIDE - 1) / 2  # heat pixel i lies at 2 i + 0.5
        matrix = np.concatenate([turn[:, :2], shift[:, None] / HEAT_STRIDE], axis=1)
        for plane, answer in zip(planes, tile.answer, strict=False):
            cv2.warpAffine(
                answer, matrix, inside.shape[::-1], dst=plane, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
        planes[2] = inside
    return planes


def target(xy: npt.NDArray[np.float64], label: npt.NDArray[np.int64], inside: Image) -> npt.NDArray[np.float32]:
    """Planes (4, h/2, w/2): nucleus Gaussian (peak 1), epithelium or not, weight of that, and where the loss counts."""
    h, w = (s // HEAT_STRIDE for s in inside.shape)
    planes = np.zeros((4, h, w), np.float32)
    planes[3] = inside[::HEAT_STRIDE, ::HEAT_STRIDE][:h, :w]
    for (x, y), c in zip((xy - 0.5) / HEAT_STRIDE, label, strict=True):
        if not (-0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5):
            continue
        column, row = min(max(round(x), 0), w - 1), min(max(round(y), 0), h - 1)
        top, bottom, left, right = (
            max(row - REACH, 0),
            min(row + REACH + 1, h),
            max(column - REACH, 0),
            min(column + REACH + 1, w),
        )
        yy, xx = np.mgrid[top:bottom, left:right]
        bump = np.exp(-((xx - column) ** 2 + (yy - row) ** 2) / (2 * SIGMA**2)).astype(np.float32)
        window = (slice(top, bottom), slice(left, right))
        nearest = bump > planes[0][window]
        planes[1][window][nearest] = float(c == EPITHELIUM)
        planes[0][window] = np.maximum(planes[0][window], bump)
    planes[2] = np.where(planes[0] > 0.2, planes[0], 0) * planes[3]
    return planes


def _affine(
    tile: Tile, scales: tuple[float, float], random: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A random turn, flip, scale and shift (2, 3) into the crop, and the keypoints under it."""
    h, w = tile.image.shape[:2]
    angle, scale = random.uniform(0, 2 * np.pi), np.exp(random.uniform(*np.log(scales)))
    if random.random() < 0.5:
        angle = random.integers(4) * np.pi / 2
    flip = np.diag([random.choice([-1.0, 1.0]), 1.0])
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ flip
    slack = np.maximum(np.array([w, h]) - SIZE / scale, 24) / 2
    centre = np.array([w - 1, h - 1]) / 2 + random.uniform(-1, 1, 2) * slack
    turn = np.concatenate([matrix, ((SIZE - 1) / 2 - matrix @ centre)[:, None]], axis=1)
    return turn, tile.points.xy @ matrix.T + turn[:, 2]


def zoomed(points: Points, factor: float) -> Points:
    """Keypoints where they lie once the picture is larger by `factor`."""
    return Points(xy=(points.xy + 0.5) * factor - 0.5, label=points.label, confidence=points.confidence)


def _points(xy: npt.NDArray[np.float64], label: npt.NDArray[np.int64]) -> Points:
    return Points(xy=xy.astype(np.float64), label=label, confidence=np.ones(len(label)))


def read_image(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(image[..., ::-1].copy(), np.uint8)
