"""How stain becomes colour: Beer-Lambert absorption, the scanner's blur, and its camera.

Stain vectors are optical densities in red, green and blue of one unit of stain. Their directions were measured on real
ER and PR slides of endometrium (EndoNuke, 0.5 µm/px): pixels of blue nuclei have (0.65, 0.64, 0.40), pale brown pixels
(0.36, 0.54, 0.75), darker ones turn towards (0.48, 0.59, 0.64) because haematoxylin lies below the DAB. So haematoxylin
and DAB are given apart and mix here as they do on glass.

Amounts: brown nuclei of those slides have density vectors 0.4 to 1.9 long, counterstain included, in one unbroken
range. The three positive grades are set apart within it by doubling: a moderate nucleus holds twice the DAB of a weak
one, a strong one twice that. So their colours hardly overlap, and a drawing is easier to grade than tissue.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from inference.draw.scanner import Vector, turned
from inference.draw.texture import Plane
from inference.slide import Rgb

WHITE = (248.0, 245.5, 243.5)
"""Bare glass under the lamp, 0-255; about the 97th percentile of the same tiles."""

HAEMATOXYLIN = (0.69, 0.62, 0.38)
DAB = (0.37, 0.56, 0.74)
PLASMA = (0.35, 0.53, 0.77)
"""What stains the ground between nuclei: proteins that hold a trace of both."""

BLUR = 0.55
"""Deviation of the point spread, px; chosen by eye beside real tiles."""

SHARPENING = 0.6
"""Share of the detail finer than twice the blur that the scanner adds again: real tiles have bright seams along dark
nuclei.
"""

NOISE = 1.6
"""Deviation of the camera's noise, of 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Stain in a nucleus of one grade: mean amounts, and their relative spread from nucleus to nucleus."""

    haematoxylin: float
    dab: float
    spread: float


LOADS = (
    Load(haematoxylin=0.43, dab=0.0, spread=0.14),
    Load(haematoxylin=0.07, dab=0.5, spread=0.06),
    Load(haematoxylin=0.14, dab=1.0, spread=0.04),
    Load(haematoxylin=0.24, dab=2.0, spread=0.05),
)
"""By grade: unstained, weak, moderate, strong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """A laboratory's stains and a scanner's optics: what stands above, unless said otherwise."""

    white: Vector = WHITE
    haematoxylin: Vector = HAEMATOXYLIN
    dab: Vector = DAB
    blur: float = BLUR
    sharpening: float = SHARPENING
    noise: float = NOISE

    @staticmethod
    def any(random: np.random.Generator) -> "Optics":
        """Some laboratory's: dyes of other hues and strengths, another lamp and lens."""
        return Optics(
            white=tuple(random.uniform(232, 252) + random.normal(0, 2.5, 3)),
            haematoxylin=_more_or_less(turned(HAEMATOXYLIN, random), random),
            dab=_more_or_less(turned(DAB, random), random),
            blur=float(random.uniform(0.45, 0.8)),
            sharpening=float(random.uniform(0, 0.8)),
        )


def _more_or_less(dye: Vector, random: np.random.Generator) -> Vector:
    """The density of one unit, from a fifth less to a fifth more."""
    strength = random.uniform(0.8, 1.2)
    return dye[0] * strength, dye[1] * strength, dye[2] * strength


USUAL = Optics()


def photographed(
    haematoxylin: Plane, dab: Plane, plasma: Plane, noise: Plane, optics: Optics, shade: Plane | None = None
) -> Rgb:
    """Pixels of amounts of stain (each (h, w)); `noise` has deviation 1 and the same shape, `shade` is the share of the
    lamp's light that reaches each pixel.
    """
    amounts = cv2.merge([haematoxylin, dab, plasma])
    density = cv2.transform(amounts, np.array([optics.haematoxylin, optics.dab, PLASMA], np.float32).T)
    light = cv2.exp(np.asarray(density, np.float32) * np.float32(-np.log(10)))
    light = cv2.GaussianBlur(light, (0, 0), optics.blur)
    light = (1 + optics.sharpening) * light - optics.sharpening * cv2.GaussianBlur(light, (0, 0), 2 * optics.blur)
    if shade is not None:
        light = light * shade[..., None]
    seen = light * np.array(optics.white, np.float32) + noise[..., None] * np.float32(optics.noise)
    return np.asarray(np.clip(np.rint(seen), 0, 255), np.uint8)
