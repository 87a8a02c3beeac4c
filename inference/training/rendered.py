"""Invented tiles of nuclei that endometrium hasn't: 4 to 16 µm, pale, vesicular, dark, brown and blue on a continuum.

Training only. Every property is drawn for a tile and varies round it from nucleus to nucleus; textures are those of
`inference.draw`. Compartments mean nothing here: tiles say so, and only detection learns from them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.draw.texture import periodic
from inference.evaluation.metric import STROMA, Points
from inference.training.data import Tile
from inference.training.wide import DAB, HAEMATOXYLIN, Floats, field, pixels

SIDE = 224  # px at 0.5 µm/px
MARGIN = 24  # px round a tile in which nuclei are drawn too
TRIES = 900  # throws of a nucleus
PLASMA = np.array([0.42, 0.55, 0.70], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Of a tile: mean diameter and least distance (px), relative spread, elongation, stain amounts, shares in [0, 1].

    `hollow` is what a nucleus lacks inside against its rim, `coarse` the deviation of its chromatin, `overlap` the
    share of throws that may touch another nucleus, `positive` the share with DAB, `plasma`, `membrane` stain outside of
    nuclei.
    """

    diameter: float
    spread: float
    elongation: float
    distance: float
    overlap: float
    haematoxylin: float
    hollow: float
    coarse: float
    nucleoli: float
    positive: float
    dab: float
    plasma: float
    membrane: float
    blur: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Stain of a tile and how far nuclei cover it, each (side, side) float32."""

    blue: Floats
    brown: Floats
    cover: Floats


def look(random: np.random.Generator, diameter_um: tuple[float, float] = (4.0, 16.0)) -> Look:
    """The properties of one tile, at random."""
    u = random.uniform
    diameter = 2 * float(np.exp(u(*np.log(diameter_um))))
    return Look(
        diameter=diameter,
        spread=u(0.06, 0.22),
        elongation=u(1.0, 1.6),
        distance=u(0.95, 1.6),
        overlap=u(0, 0.15),
        haematoxylin=float(np.exp(u(np.log(0.10), np.log(0.75)))),
        hollow=u(0, 0.8),
        coarse=u(0.05, 0.4),
        nucleoli=u(0, 2),
        positive=u(0, 1),
        dab=float(np.exp(u(np.log(0.15), np.log(1.8)))),
        plasma=u(0.0, 0.22),
        membrane=u(0.05, 0.5) if random.random() < 0.15 else 0.0,
        blur=u(0.4, 1.1),
    )


def rendered(seed: int, diameter_um: tuple[float, float] = (4.0, 16.0), name: str = "drawn") -> Tile:
    """One tile (SIDE, SIDE, 3) with its keypoints; equal arguments give equal tiles."""
    random = np.random.default_rng((seed, 77))
    return drawn_as(look(random, diameter_um), random, f"{name}_{seed}")


def drawn_as(a: Look, random: np.random.Generator, name: str) -> Tile:
    """A tile of a given look."""
    side = SIDE + 2 * MARGIN
    centres = thrown(a, side, random)
    planes, hidden = _stamped(a, centres, side, random)
    density = _ground(a, planes, random)
    light = cv2.GaussianBlur(pixels(density).astype(np.float32), (0, 0), a.blur)
    light = light + random.uniform(0.5, 3) * random.standard_normal(light.shape)
    image = np.asarray(np.clip(light, 0, 255), np.uint8)[MARGIN:-MARGIN, MARGIN:-MARGIN].copy()
    xy = centres[~hidden] - MARGIN
    xy = xy[((xy > -0.5) & (xy < SIDE - 0.5)).all(axis=1)]
    points = Points(xy=xy, label=np.full(len(xy), STROMA, np.int64), confidence=np.ones(len(xy)))
    return Tile(name=name, image=image, points=points, compartments=False)


def thrown(a: Look, side: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """(n, 2) centres, no two nearer than `distance` diameters (some 0.75 of that), none where a smooth field is low."""
    density = field((side, side), random)
    kept = np.empty((0, 2))
    for x, y in random.uniform(0, side - 1, (TRIES, 2)):
        nearest = a.diameter * a.distance * (0.75 if random.random() < a.overlap else 1.0)
        if density[int(y), int(x)] > 0.3 and (len(kept) == 0 or np.hypot(*(kept - (x, y)).T).min() > nearest):
            kept = np.concatenate([kept, [[x, y]]])
    return kept


def _stamped(
    a: Look, centres: npt.NDArray[np.float64], side: int, random: np.random.Generator
) -> tuple[Planes, npt.NDArray[np.bool_]]:
    """All nuclei pressed into planes, and which of them lie for the most part below later ones."""
    blue, brown, cover = (np.zeros((side, side), np.float32) for _ in range(3))
    owner = np.full((side, side), -1)
    area = np.zeros(len(centres))
    chromatin = periodic(random, 256, 0.6 + a.diameter / 25)
    flow = random.uniform(0, np.pi)
    for i, (x, y) in enumerate(centres):
        reach = int(a.diameter * 1.2) + 4
        left, top = max(int(x) - reach, 0), max(int(y) - reach, 0)
        window = (slice(top, min(int(y) + reach, side)), slice(left, min(int(x) + reach, side)))
        rho, pixel = _radius(a, (x - left, y - top), blue[window].shape, flow, random)
        mask = np.clip(0.5 + (1 - rho) / pixel / random.uniform(1.2, 2.6), 0, 1)
        texture = _texture(a, rho, mask.shape, chromatin, random)
        vary = float(np.exp(random.normal(0, 0.25)))
        positive = random.random() < a.positive
        dab = a.dab * float(np.exp(random.normal(0, 0.5))) if positive else 0.0
        stain = a.haematoxylin * vary * (random.uniform(0.3, 0.9) if positive else 1.0)
        blue[window] = np.where(mask > 0.5, mask * texture * stain, np.maximum(blue[window], mask * texture * stain))
        brown[window] = np.where(mask > 0.5, mask * texture * dab, np.maximum(brown[window], mask * texture * dab))
        cover[window] = np.maximum(cover[window], mask)
        owner[window][mask > 0.5] = i
        area[i] = max((mask > 0.5).sum(), 1)
    seen = np.bincount(owner[owner >= 0], minlength=len(centres))
    return Planes(blue=blue, brown=brown, cover=cover), seen < 0.4 * area


def _radius(
    a: Look, centre: tuple[float, float], shape: tuple[int, ...], flow: float, random: np.random.Generator
) -> tuple[Floats, float]:
    """(h, w) distance from the centre, 1 at an irregular ellipse's outline, and what a pixel is in that measure."""
    mean = a.diameter / 2 * float(np.exp(random.normal(0, a.spread)))
    stretch = np.sqrt(max(a.elongation * float(np.exp(random.normal(0, 0.1))), 1.0))
    angle = flow + random.normal(0, 0.6)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    dx, dy = x - centre[0], y - centre[1]
    u = (np.cos(angle) * dx + np.sin(angle) * dy) / (mean * stretch)
    v = (np.cos(angle) * dy - np.sin(angle) * dx) / (mean / stretch)
    turn = np.arctan2(v, u)
    outline = 1 + sum(random.normal(0, 0.05) * np.cos(k * turn + random.uniform(0, 6.3)) for k in (2, 3, 4))
    return np.asarray(np.sqrt(u * u + v * v) / outline, np.float32), float(stretch / mean)


def _texture(a: Look, rho: Floats, shape: tuple[int, ...], chromatin: Floats, random: np.random.Generator) -> Floats:
    """Relative stain inside a nucleus: paler within by `hollow`, clumped by `coarse`, now and then nucleoli."""
    hollow = np.clip(a.hollow + random.normal(0, 0.1), 0, 0.9)
    texture = 1 - hollow * np.exp(-((rho / 0.75) ** 4))
    top, left = random.integers(0, 256 - max(shape), 2) if max(shape) < 256 else (0, 0)
    texture = texture * np.clip(1 + a.coarse * chromatin[top : top + shape[0], left : left + shape[1]], 0.3, 1.9)
    for _ in range(random.poisson(a.nucleoli) if a.diameter > 16 else 0):
        row, column = (random.uniform(0.35, 0.65) * s for s in shape)
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        size = random.uniform(0.9, 2.2)
        texture = texture + random.uniform(0.4, 1.2) * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * size**2))
    return np.asarray(texture, np.float32)


def _ground(a: Look, planes: Planes, random: np.random.Generator) -> Floats:
    """Density (side, side, 3) of nuclei, plasma between them, fibres, membranes, a tint over all."""
    side = planes.blue.shape[0]
    fine, coarse = (
        cv2.resize(periodic(random, 128, b), (side, side), interpolation=cv2.INTER_CUBIC) for b in (0.8, 3.0)
    )
    between = 1 - 0.7 * planes.cover
    plasma = np.clip(a.plasma * (1 + 0.35 * fine + 0.35 * coarse), 0, None) * between
    fibres = random.uniform(0, 0.2) * np.exp(-((coarse * random.uniform(3, 8)) ** 2)) * between
    ring = np.exp(-(((cv2.GaussianBlur(planes.cover, (0, 0), a.diameter / 5) - 0.28) / 0.1) ** 2))
    blue = planes.blue + random.uniform(0, 0.08) * (1 + 0.3 * coarse) * between
    brown = (
        planes.brown
        + random.uniform(0, 0.12) * cv2.GaussianBlur(planes.brown, (0, 0), 5.0)
        + a.membrane * ring * between
    )
    vectors = [v + random.normal(0, 0.03, 3).astype(np.float32) for v in (HAEMATOXYLIN, DAB, PLASMA)]
    layers = zip((blue, brown, plasma + fibres), vectors, strict=True)
    glass = np.abs(random.normal(0, 0.02, 3)).astype(np.float32)
    return np.asarray(sum((np.clip(amount, 0, None)[..., None] * v for amount, v in layers), glass), np.float32)
