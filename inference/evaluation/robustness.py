"""Pictures as another laboratory would have made them: one property at a time, and all together as a stand-in for its
slides.

Each curve is a property of staining or scanning with the levels at which a detector is measured; one level of each
changes nothing. `STRANGERS` are four fixed mixtures of strong changes: no training augmentation repeats them, none of
them is real.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from inference.evaluation.metric import Points
from inference.slide import Rgb
from inference.stain import DAB, HAEMATOXYLIN

Floats = npt.NDArray[np.floating[Any]]

HAEMATOXYLIN_DRIFT = (0.08, -0.06, 0.10)
DAB_DRIFT = (0.06, 0.05, -0.10)
"""How a stain vector moves at level 1: haematoxylin to violet, DAB to red-brown, about as far as published vectors
differ.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A property, its levels, and `change(picture, level)` of (h, w, 3) uint8 RGB, to the same
    shape unless `scales`.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    unchanged: float
    change: Callable[[Rgb, float], Rgb]
    scales: bool = False


def changed(curve: Curve, picture: Rgb, points: Points, level: float) -> tuple[Rgb, Points]:
    """The picture at this level, and its keypoints where they then lie."""
    if level == curve.unchanged:
        return picture, points
    if not curve.scales:
        return curve.change(picture, level), points
    xy = (points.xy + 0.5) * level - 0.5
    return curve.change(picture, level), Points(xy=xy, label=points.label, confidence=points.confidence)


def restained(
    picture: Rgb, *, haematoxylin: float = 1.0, dab: float = 1.0, residual: float = 1.0, drift: float = 0.0
) -> Rgb:
    """Unmix into haematoxylin, DAB and the rest, scale each density, mix again with vectors moved by `drift`."""
    old = _vectors(np.array(HAEMATOXYLIN), np.array(DAB))
    new = _vectors(old[0] + drift * np.array(HAEMATOXYLIN_DRIFT), old[1] + drift * np.array(DAB_DRIFT))
    density = -np.log10((picture.reshape(-1, 3).astype(np.float64) + 1) / 256)
    amounts = density @ np.linalg.inv(old) * (haematoxylin, dab, residual)
    return _pixels(256 * 10 ** -(amounts @ new) - 1).reshape(picture.shape)


def hue_shifted(picture: Rgb, degrees: float) -> Rgb:
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] = (hsv[..., 0].astype(np.int32) + round(degrees * 256 / 360)) % 256
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def brightened(picture: Rgb, factor: float) -> Rgb:
    return _pixels(picture * factor)


def gamma(picture: Rgb, exponent: float) -> Rgb:
    return _pixels(255 * (picture / 255) ** exponent)


def blurred(picture: Rgb, sigma_px: float) -> Rgb:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.uint8)


def compressed(picture: Rgb, quality: float) -> Rgb:
    done, code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    assert done
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def rescaled(picture: Rgb, factor: float) -> Rgb:
    """A scanner whose pixels are smaller by `factor` than it says."""
    h, w = picture.shape[:2]
    size = (round(w * factor), round(h * factor))
    return np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR), np.uint8
    )


CURVES = (
    Curve(
        name="stain_density",
        unit="factor",
        levels=(0.5, 0.7, 1.0, 1.3, 1.6),
        unchanged=1.0,
        change=lambda p, v: restained(p, haematoxylin=v, dab=v, residual=v),
    ),
    Curve(
        name="haematoxylin_density",
        unit="factor",
        levels=(0.5, 0.7, 1.0, 1.3, 1.6),
        unchanged=1.0,
        change=lambda p, v: restained(p, haematoxylin=v),
    ),
    Curve(
        name="dab_density",
        unit="factor",
        levels=(0.5, 0.7, 1.0, 1.3, 1.6),
        unchanged=1.0,
        change=lambda p, v: restained(p, dab=v),
    ),
    Curve(
        name="stain_vectors",
        unit="drift",
        levels=(-2.0, -1.0, 0.0, 1.0, 2.0),
        unchanged=0.0,
        change=lambda p, v: restained(p, drift=v),
    ),
    Curve(name="hue", unit="degrees", levels=(-30, -15, 0, 15, 30), unchanged=0, change=hue_shifted),
    Curve(name="brightness", unit="factor", levels=(0.7, 0.85, 1.0, 1.1, 1.2), unchanged=1.0, change=brightened),
    Curve(name="gamma", unit="exponent", levels=(0.7, 0.85, 1.0, 1.2, 1.4), unchanged=1.0, change=gamma),
    Curve(name="blur", unit="sigma, px", levels=(0, 0.5, 1.0, 1.5, 2.0), unchanged=0, change=blurred),
    Curve(name="jpeg", unit="quality", levels=(100, 90, 70, 50, 30), unchanged=100, change=compressed),
    Curve(name="scale", unit="factor", levels=(0.8, 0.9, 1.0, 1.1, 1.25), unchanged=1.0, change=rescaled, scales=True),
)


def _pale_violet(picture: Rgb) -> Rgb:
    return compressed(gamma(restained(picture, haematoxylin=0.6, dab=0.8, drift=1.5), 1.15), 50)


def _dark_red(picture: Rgb) -> Rgb:
    return brightened(restained(picture, haematoxylin=1.5, dab=1.5, residual=0.7, drift=1.0), 0.9)


def _soft_green(picture: Rgb) -> Rgb:
    return compressed(blurred(hue_shifted(restained(picture, haematoxylin=1.2, dab=0.6, drift=-1.5), -15), 0.8), 70)


def _hard_yellow(picture: Rgb) -> Rgb:
    return compressed(
        gamma(hue_shifted(restained(picture, haematoxylin=0.8, dab=1.6, residual=1.4, drift=-1.0), 12), 0.8), 50
    )


STRANGERS: dict[str, Callable[[Rgb], Rgb]] = {
    "pale violet": _pale_violet,
    "dark red": _dark_red,
    "soft green": _soft_green,
    "hard yellow": _hard_yellow,
}


def _vectors(haematoxylin: Floats, dab: Floats) -> Floats:
    h, d = haematoxylin / np.linalg.norm(haematoxylin), dab / np.linalg.norm(dab)
    residual = np.cross(h, d)
    return np.stack([h, d, residual / np.linalg.norm(residual)])


def _pixels(values: Floats) -> Rgb:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
