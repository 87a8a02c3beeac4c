"""Tiles and keypoints for training: loading, the fixed split, augmentation in stain space, targets."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.metric import EPITHELIUM, STROMA, Points

SPLIT_FILE = Path(__file__).with_name("split.json")
SIZE = 192  # side of a training crop, px
HEAT_STRIDE = 2
SIGMA = 1.25  # of a target's Gaussian, heat-map px
SCALE = (0.8, 1.25)
STAIN_SCALE = (0.5, 1.7)  # of each stain's density
STAIN_SHIFT = 0.08  # added to each stain's density
STAIN_JITTER = 0.05  # of the stain vectors
HUE_SHIFT = 15  # degrees
VALUE_SCALE = (0.8, 1.12)
GAMMA = (0.8, 1.25)  # of a scanner
WHITE_BALANCE = 0.05  # gain of each channel
NOISE = 0.02
CONSEP_EPITHELIUM = (3, 4)

# Ruifrok & Johnston 2001: optical density of haematoxylin, eosin, DAB in red, green, blue.
STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], dtype=np.float32)
STAINS /= np.linalg.norm(STAINS, axis=1, keepdims=True)

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """An annotated tile: RGB (h, w, 3) uint8 at 0.5 µm/px."""

    name: str
    image: Image
    points: Points


def endonuke(folder: Path) -> list[Tile]:
    """All tiles of `images/N.png` with `labels/N.txt` (x y class a line; class 2, other, counts as stroma)."""
    tiles = []
    for path in sorted((folder / "images").glob("*.png"), key=lambda p: int(p.stem)):
        rows = np.loadtxt(folder / "labels" / f"{path.stem}.txt", ndmin=2).reshape(-1, 3)
        label = np.where(rows[:, 2] == 1, EPITHELIUM, STROMA).astype(np.int64)
        tiles.append(Tile(name=path.stem, image=_read(path), points=_points(rows[:, :2], label)))
    return tiles


def consep(folder: Path) -> list[Tile]:
    """CoNSeP's training tiles (0.25 µm/px, H&E) at half size; a nucleus is its centroid, epithelium its types 3 and 4."""
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
        image = cv2.resize(_read(path), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        tiles.append(Tile(name=path.stem, image=np.asarray(image, np.uint8), points=_points(np.stack([x, y], 1), label)))
    return tiles


def split(tiles: list[Tile]) -> tuple[list[Tile], list[Tile]]:
    """Training and validation tiles, by the names in split.json."""
    validation = set(json.loads(SPLIT_FILE.read_text())["validation"])
    return [t for t in tiles if t.name not in validation], [t for t in tiles if t.name in validation]


def sample(tile: Tile, random: np.random.Generator) -> tuple[Image, npt.NDArray[np.float32]]:
    """A crop (SIZE, SIZE, 3) uint8, turned, scaled and stained at random, and its target (4, SIZE/2, SIZE/2) float32."""
    turn, valid_points = _affine(tile, random)
    image = cv2.warpAffine(tile.image, turn, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    inside = cv2.warpAffine(np.ones(tile.image.shape[:2], np.uint8), turn, (SIZE, SIZE), flags=cv2.INTER_NEAREST)
    return _disturb(_restain(np.asarray(image, np.uint8), random), random), target(valid_points, tile.points.label, inside)


def target(xy: npt.NDArray[np.float64], label: npt.NDArray[np.int64], inside: Image) -> npt.NDArray[np.float32]:
    """Planes (4, h/2, w/2): nucleus Gaussian (peak 1), epithelium or not, weight of that, and where the loss counts."""
    h, w = (s // HEAT_STRIDE for s in inside.shape)
    planes = np.zeros((4, h, w), np.float32)
    planes[3] = inside[::HEAT_STRIDE, ::HEAT_STRIDE][:h, :w]
    reach = 4
    for (x, y), c in zip((xy - 0.5) / HEAT_STRIDE, label, strict=True):
        if not (-0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5):
            continue
        column, row = min(max(round(x), 0), w - 1), min(max(round(y), 0), h - 1)
        top, bottom, left, right = max(row - reach, 0), min(row + reach + 1, h), max(column - reach, 0), min(column + reach + 1, w)
        yy, xx = np.mgrid[top:bottom, left:right]
        bump = np.exp(-((xx - column) ** 2 + (yy - row) ** 2) / (2 * SIGMA**2)).astype(np.float32)
        window = (slice(top, bottom), slice(left, right))
        nearest = bump > planes[0][window]
        planes[1][window][nearest] = float(c == EPITHELIUM)
        planes[0][window] = np.maximum(planes[0][window], bump)
    planes[2] = np.where(planes[0] > 0.2, planes[0], 0) * planes[3]
    return planes


def _affine(tile: Tile, random: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A random turn, flip, scale and shift (2, 3) into the crop, and the keypoints under it."""
    h, w = tile.image.shape[:2]
    angle, scale = random.uniform(0, 2 * np.pi), np.exp(random.uniform(*np.log(SCALE)))
    if random.random() < 0.5:
        angle = random.integers(4) * np.pi / 2
    flip = np.diag([random.choice([-1.0, 1.0]), 1.0])
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ flip
    slack = np.maximum(np.array([w, h]) - SIZE / scale, 24) / 2
    centre = np.array([w - 1, h - 1]) / 2 + random.uniform(-1, 1, 2) * slack
    turn = np.concatenate([matrix, ((SIZE - 1) / 2 - matrix @ centre)[:, None]], axis=1)
    return turn, tile.points.xy @ matrix.T + turn[:, 2]


def _restain(image: Image, random: np.random.Generator) -> Image:
    """Unmix into haematoxylin, eosin, DAB; scale and shift each; mix again with jittered vectors."""
    if random.random() < 0.15:
        return image
    density = -np.log10((image.reshape(-1, 3).astype(np.float32) + 1) / 256)
    amounts = density @ np.linalg.inv(STAINS)
    amounts = amounts * random.uniform(*STAIN_SCALE, 3).astype(np.float32)
    amounts += random.uniform(-STAIN_SHIFT, STAIN_SHIFT, 3).astype(np.float32)
    vectors = STAINS + random.normal(0, STAIN_JITTER, (3, 3)).astype(np.float32)
    rgb = 256 * 10 ** -(amounts @ vectors) - 1
    return np.asarray(np.clip(rgb, 0, 255), np.uint8).reshape(image.shape)


def _disturb(image: Image, random: np.random.Generator) -> Image:
    """Hue, brightness, blur, noise and JPEG, each now and then."""
    if random.random() < 0.4:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL).astype(np.int32)
        hsv[..., 0] = (hsv[..., 0] + round(random.uniform(-HUE_SHIFT, HUE_SHIFT) * 256 / 360)) % 256
        image = np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB_FULL), np.uint8)
    if random.random() < 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 1.2)), np.uint8)
    if random.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 95))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    values = image.astype(np.float32)
    if random.random() < 0.3:
        values = 255 * (values / 255) ** np.float32(np.exp(random.uniform(*np.log(GAMMA))))
    if random.random() < 0.3:
        values *= random.uniform(1 - WHITE_BALANCE, 1 + WHITE_BALANCE, 3).astype(np.float32)
    values *= random.uniform(*VALUE_SCALE)
    if random.random() < 0.3:
        values += random.normal(0, NOISE * 255 * random.random(), image.shape).astype(np.float32)
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def _points(xy: npt.NDArray[np.float64], label: npt.NDArray[np.int64]) -> Points:
    return Points(xy=xy.astype(np.float64), label=label, confidence=np.ones(len(label)))


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(image[..., ::-1].copy(), np.uint8)
