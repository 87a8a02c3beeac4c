"""What training does to a picture: other stains (in optical density), other scanners, noise, blur, JPEG. Geometry is in
`data`.

Strengths: MILD (run a, from scratch), STRONG (its second part), WIDE (for tissue and scanners unlike the tiles). The
ablations switch single parts off.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.training.wide import Wide, scanned_otherwise, stained_otherwise

Image = npt.NDArray[np.uint8]
Range = tuple[float, float]

# Ruifrok & Johnston 2001: optical density of haematoxylin, eosin, DAB in red, green, blue.
STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], dtype=np.float32)
STAINS /= np.linalg.norm(STAINS, axis=1, keepdims=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Ranges are uniform; a share is how often a change is made. Hue in degrees, blur in px, noise in [0, 1] of white.

    `stain_scale`, `stain_shift` and `stain_jitter` move each stain's density and vector; `gamma`, `white_balance` and
    `brightness` are a scanner's; `mosaic` is how often two tiles share a crop; `wide` is what other organs and scanners
    do beyond that.
    """

    stain_share: float = 0.85
    stain_scale: Range = (0.5, 1.7)
    stain_shift: float = 0.08
    stain_jitter: float = 0.05
    hue_share: float = 0.4
    hue: float = 15
    blur_share: float = 0.2
    blur: Range = (0.3, 1.2)
    jpeg_share: float = 0.2
    jpeg: tuple[int, int] = (35, 95)
    gamma_share: float = 0.3
    gamma: Range = (0.8, 1.25)
    white_balance_share: float = 0.3
    white_balance: float = 0.05
    brightness: Range = (0.8, 1.12)
    noise_share: float = 0.3
    noise: float = 0.02
    scale: Range = (0.8, 1.25)
    mosaic: float = 0.0
    wide: Wide | None = None


STRONG = Augmentation()
MILD = Augmentation(
    stain_scale=(0.6, 1.5),
    stain_shift=0.06,
    stain_jitter=0.03,
    hue=10,
    jpeg=(40, 95),
    gamma_share=0,
    white_balance_share=0,
    brightness=(0.85, 1.12),
)  # fmt: skip
WIDE = Augmentation(
    stain_scale=(0.35, 1.8),
    stain_shift=0.06,
    blur=(0.3, 1.4),
    gamma_share=0,
    white_balance_share=0,
    brightness=(0.92, 1.06),
    scale=(0.6, 1.6),
    wide=Wide(),
)
STRENGTHS = {"mild": MILD, "strong": STRONG, "wide": WIDE}


def disturbed(image: Image, a: Augmentation, random: np.random.Generator) -> Image:
    """Stain, then scanner; (h, w, 3) RGB uint8 to the same."""
    if random.random() < a.stain_share:
        image = restained(image, a, random)
    if a.wide:
        image = stained_otherwise(image, a.wide, random)
    if random.random() < a.hue_share:
        image = _hue_shifted(image, random.uniform(-a.hue, a.hue))
    if random.random() < a.blur_share:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(*a.blur)), np.uint8)
    if a.wide:
        image = scanned_otherwise(image, a.wide, random)
    if random.random() < a.jpeg_share:
        image = _compressed(image, int(random.integers(*a.jpeg)))
    return _scanned(image, a, random)


def restained(image: Image, a: Augmentation, random: np.random.Generator) -> Image:
    """Unmix into haematoxylin, eosin, DAB; scale and shift each; mix again with jittered vectors."""
    density = -np.log10((image.reshape(-1, 3).astype(np.float32) + 1) / 256)
    amounts = density @ np.linalg.inv(STAINS)
    amounts = amounts * random.uniform(*a.stain_scale, 3).astype(np.float32)
    amounts += random.uniform(-a.stain_shift, a.stain_shift, 3).astype(np.float32)
    vectors = STAINS + random.normal(0, a.stain_jitter, (3, 3)).astype(np.float32)
    rgb = 256 * 10 ** -(amounts @ vectors) - 1
    return np.asarray(np.clip(rgb, 0, 255), np.uint8).reshape(image.shape)


def _scanned(image: Image, a: Augmentation, random: np.random.Generator) -> Image:
    values = image.astype(np.float32)
    if random.random() < a.gamma_share:
        values = 255 * np.power(values / 255, np.float32(np.exp(random.uniform(*np.log(a.gamma)))))
    if random.random() < a.white_balance_share:
        values *= random.uniform(1 - a.white_balance, 1 + a.white_balance, 3).astype(np.float32)
    values *= random.uniform(*a.brightness)
    if random.random() < a.noise_share:
        values += random.normal(0, a.noise * 255 * random.random(), image.shape).astype(np.float32)
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def _hue_shifted(image: Image, degrees: float) -> Image:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + round(degrees * 256 / 360)) % 256
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB_FULL), np.uint8)


def _compressed(image: Image, quality: int) -> Image:
    code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
