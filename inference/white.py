"""The white point of a slide: the colour of its glass, or where no glass shows, of the brightest ground between cells.

Each channel's own GLASS_PERCENTILE, so that a cast that scales a channel scales the white point alike and is gone when
colours are divided by it. It is estimated once for a slide, from its overview: the same whatever region, tiles or
engine are asked for. A brightest colour that can't be glass or ground (dark, or coloured as stain is) is no white
point: then colours stay as they are. Neither is the palest tissue of a picture whose glass was taken out, which is
exactly 255 where it was, as what was never scanned may be too.

What is graded by the white point is brightness and density so divided, and a hue (`white_hue`) from which the brown of
the ground is taken as well (`inference.ground`). Raw colours know of neither.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.slide import Rgb, Slide
from inference.tissue import GLASS_PERCENTILE, MASK_MPP

NO_CAST = (255.0, 255.0, 255.0)
SMALL_UM, FINE_MPP = 2000.0, 2.0
"""A picture no longer than this is looked at more finely: its gaps between nuclei show no glass at MASK_MPP."""
SMOOTH_PX = 3
"""What is brighter over less is noise, and differs between the levels of one slide."""
LEAST_PX = 100
DARKEST = 120.0
WIDEST_CAST = 1.45
"""Of the brightest channel over the darkest: a ground of DAB has more from a density of 0.3 on."""
LEAST_FILLED, GLASS_NEAR, LEAST_GLASS = 0.01, 0.97, 0.12
"""Where 255 fills at least such a share, the rest has glass if so much of it has this share of the white point's
colours: tissue alone has 0.02 to 0.10, with a little glass 0.20.
"""
CAST = 1.08
"""From this ratio on the slide is warned of (COLOUR_CAST): glass of common scanners has up to 1.05."""

White = tuple[float, float, float]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhitePoint:
    """Red, green, blue, 0 to 255; `found` is False where there is none, and `rgb` then changes nothing."""

    rgb: White
    found: bool = True

    @property
    def cast(self) -> bool:
        """Is there a strong cast, or none that could be told?"""
        return not self.found or max(self.rgb) > CAST * min(self.rgb)


def white_point(picture: Rgb) -> WhitePoint:
    """Of a picture in which a pixel is larger than the noise: an overview, or what it stands for."""
    pixels = picture.reshape(-1, 3)
    filled = (pixels == pixels[:, :1]).all(axis=1) & np.isin(pixels[:, 0], (0, 255))  # never scanned, or over-exposed
    scanned = pixels[~filled]
    if len(scanned) < LEAST_PX:
        return WhitePoint(rgb=NO_CAST, found=bool(len(pixels) and (pixels[filled] == 255).any()))
    found = np.percentile(scanned, GLASS_PERCENTILE, axis=0)
    red, green, blue = (round(float(v), 2) for v in found)
    darkest, brightest = min(red, green, blue), max(red, green, blue)
    if darkest < DARKEST or brightest > WIDEST_CAST * darkest:
        return WhitePoint(rgb=NO_CAST, found=False)
    if _taken_out(pixels) and (scanned >= GLASS_NEAR * found).all(axis=1).mean() < LEAST_GLASS:
        return WhitePoint(rgb=NO_CAST, found=False)
    return WhitePoint(rgb=(red, green, blue))


def _taken_out(pixels: Rgb) -> bool:
    """May the glass have been?"""
    return bool((pixels == 255).all(axis=1).sum() >= LEAST_FILLED * len(pixels))


def white_of(slide: Slide) -> WhitePoint:
    """Of a whole slide, whatever part of it is analysed."""
    side_um = max(slide.facts.size.width, slide.facts.size.height) * slide.facts.mpp
    mpp = FINE_MPP if side_um <= SMALL_UM else MASK_MPP
    overview, grid = slide.overview(mpp)
    by = grid.mpp / mpp  # a reader may give a finer picture than asked for, whose noise is brighter than its glass
    if by < 0.75:
        height, width = (max(round(n * by), 1) for n in overview.shape[:2])
        overview = np.asarray(cv2.resize(overview, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return white_point(np.asarray(cv2.blur(overview, (SMOOTH_PX, SMOOTH_PX)), np.uint8))


def brighter(one: WhitePoint, other: WhitePoint) -> WhitePoint:
    """Of two pictures by one light; `one` where they are alike."""
    return max(one, other, key=lambda white: (white.found, sum(white.rgb)))


def whitened(rgb: Floats, white: White) -> npt.NDArray[np.float64]:
    """Colours (n, 3), 0-255, as they would be if the white point were 255."""
    return np.minimum(rgb * (255 / np.asarray(white)), 255.0)
