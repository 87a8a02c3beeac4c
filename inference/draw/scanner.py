"""How a laboratory stains and a scanner sees: what differs between slides of the same truth."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.draw.texture import Plane
from inference.slide import Rgb

Vector = tuple[float, float, float]
HAEMATOXYLIN: Vector = (0.65, 0.70, 0.29)
DAB: Vector = (0.27, 0.57, 0.78)
PLASMA: Vector = (0.44, 0.62, 0.58)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """`density_scale` is the share of the true DAB density that pictures show; `blur_um` the deviation of the optics'
    point spread; `sharpening` the share of fine detail that is added again; `noise` in grey levels; `jpeg` the quality,
    None for none; `granular` the relative spread of the stain from grain to grain.
    """

    density_scale: float = 1.0
    haematoxylin_scale: float = 1.0
    ground: float = 0.05
    blur_um: float = 0.30
    sharpening: float = 0.3
    noise: float = 2.0
    jpeg: int | None = 80
    granular: float = 0.2
    white: Vector = (244.0, 243.0, 242.0)
    haematoxylin: Vector = HAEMATOXYLIN
    dab: Vector = DAB
    mpp: float = 0.25

    @staticmethod
    def any(random: np.random.Generator, mpp: float) -> "Scanner":
        """Some laboratory's, far from one another."""
        return Scanner(
            density_scale=float(np.exp(random.uniform(np.log(1 / 2.7), 0))),
            haematoxylin_scale=float(random.uniform(0.6, 1.4)),
            ground=float(random.uniform(0.02, 0.09)),
            blur_um=float(random.uniform(0.2, 0.45)),
            sharpening=float(random.uniform(0, 0.7)),
            noise=float(random.uniform(1, 4)),
            jpeg=int(random.integers(70, 91)),
            granular=float(random.uniform(0.1, 0.3)),
            white=tuple(random.uniform(232, 252) + random.normal(0, 2.5, 3)),
            haematoxylin=turned(HAEMATOXYLIN, random),
            dab=turned(DAB, random),
            mpp=mpp,
        )


def turned(vector: Vector, random: np.random.Generator) -> Vector:
    moved = np.array(vector) / np.linalg.norm(vector) + random.normal(0, 0.03, 3)
    return tuple((moved / np.linalg.norm(moved)).tolist())


def photographed(haematoxylin: Plane, dab: Plane, plasma: Plane, noise: Plane, scanner: Scanner, factor: int) -> Rgb:
    """Pixels of true densities drawn `factor` times finer, (h, w) each; `noise` (h / factor, w / factor, 3) has
    deviation 1.
    """
    stains = np.array([scanner.haematoxylin, scanner.dab, PLASMA], np.float32)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    amounts = cv2.merge([haematoxylin * scanner.haematoxylin_scale, dab * scanner.density_scale, plasma])
    light = cv2.exp(cv2.transform(amounts, stains.T) * np.float32(-np.log(10)))
    fine_mpp = scanner.mpp / factor
    light = cv2.GaussianBlur(light, (0, 0), scanner.blur_um / fine_mpp)
    height, width = light.shape[0] // factor, light.shape[1] // factor
    light = np.asarray(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    if scanner.sharpening:
        soft = cv2.GaussianBlur(light, (0, 0), 1.2)
        light = (1 + scanner.sharpening) * light - scanner.sharpening * soft
    seen = light * np.array(scanner.white, np.float32) + noise * np.float32(scanner.noise)
    return np.asarray(np.clip(np.rint(seen), 0, 255), np.uint8)


def compressed(pixels: Rgb, quality: int | None) -> Rgb:
    """As JPEG gives the pixels back."""
    if quality is None:
        return pixels
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    found: npt.NDArray[np.uint8] = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(found[..., ::-1])
