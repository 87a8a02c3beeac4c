"""What lies between nuclei: the stroma's grain and fibres, the epithelium's cytoplasm, lumens and glass."""

from dataclasses import dataclass

import cv2
import numpy as np

from inference.draw.texture import Plane, looked_up, periodic
from inference.draw.tissue import Tissue, enlarged

HALO_OF_DAB = 0.16  # share of the DAB that is seen round a nucleus, out of focus or diffused
HALO_BLUR = 4.0  # px
CYTOPLASM_PX = 4.0  # deviation of the blur that spreads a nucleus over its cell
UNEVEN_PX = 1100  # from one bright place to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Stain outside of nuclei, each (side, side)."""

    haematoxylin: Plane
    dab: Plane
    plasma: Plane


class Ground:
    """The ground of one slide; its textures are made once."""

    def __init__(self, tissue: Tissue, random: np.random.Generator) -> None:
        self._tissue = tissue
        self._grain = periodic(random, 503, 1.0)
        self._patches = periodic(random, 571, 4.5)
        self._web = periodic(random, 659, 6.0)
        self._strands = periodic(random, 743, 11.0)
        self._ragged = periodic(random, 541, 3.0)

    def drawn(self, x: int, y: int, side: int, dab: Plane, cover: Plane) -> Amounts:
        """The ground of the square (x, y, side) between nuclei that hold `dab` and cover it by `cover` (0-1)."""
        grain, patches, web, strands, ragged = (
            looked_up(field, x, y, side, side)
            for field in (self._grain, self._patches, self._web, self._strands, self._ragged)
        )
        inside, gland, depth, loose = (
            enlarged(field, x, y, side)
            for field in (self._tissue.inside, self._tissue.gland, self._tissue.depth, self._tissue.looseness)
        )
        tissue = _step(inside + 3.5 * patches, 4)
        within = _step(gland + 0.5 * ragged, 2.0)
        lumen = _step(gland - depth + 1.6 * ragged, 2.0)
        epithelium = within * (1 - lumen)
        stroma = tissue * (1 - within)
        plasma = stroma * _stroma(grain, patches, web, strands, loose)
        plasma += epithelium * np.clip(0.17 + 0.075 * grain + 0.02 * patches, 0, None)
        plasma += tissue * (0.12 * _line(gland + 1.5, 1.3) + 0.10 * _line(gland - depth + 1.6 * ragged, 1.0))
        haematoxylin = 0.012 * stroma + 0.042 * epithelium
        halo = cv2.GaussianBlur(dab, (0, 0), HALO_BLUR)
        between = 1 - cover
        return Amounts(
            haematoxylin=haematoxylin * between,
            dab=HALO_OF_DAB * halo * between * np.clip(1 + 0.6 * grain, 0, None) * (1 - lumen),
            plasma=plasma * (0.35 + 0.65 * between),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Veil:
    """What lies over a difficult slide: `tint`, the amount of plasma that all tissue holds more; `cytoplasm`, the DAB
    close round nuclei; `uneven`, the share of the light that is lost at the worst place, in waves of UNEVEN_PX.
    """

    tint: float = 0.0
    cytoplasm: float = 0.0
    uneven: float = 0.0

    def over(self, plasma: Plane, cover: Plane) -> tuple[Plane, Plane]:
        """DAB and plasma that it adds between nuclei and wherever tissue is, (side, side) each."""
        near = cv2.GaussianBlur(cover, (0, 0), CYTOPLASM_PX)
        there = np.clip((plasma + cover) * 12, 0, 1)
        return np.asarray(self.cytoplasm * near * (1 - cover), np.float32), np.asarray(self.tint * there, np.float32)

    def light(self, x: int, y: int, side: int) -> Plane:
        """Share of the lamp's light at each pixel of the square (x, y, side)."""
        across, down = (np.cos((2 * np.pi / UNEVEN_PX) * np.arange(v, v + side, dtype=np.float32)) for v in (x, y))
        return np.asarray(1 - self.uneven * (0.5 - 0.25 * (across[None] + down[:, None])), np.float32)


CLEAR = Veil()


def _stroma(grain: Plane, patches: Plane, web: Plane, strands: Plane, loose: Plane) -> Plane:
    """Plasma in stroma: a grainy ground where it is dense; gaps crossed by fibres where it is loose."""
    dense = np.clip(0.12 + 0.07 * grain + 0.04 * patches, 0, None)
    ground = dense * np.clip(1.15 - 1.1 * loose + 0.12 * patches, 0.06, 1)
    fibres = 0.17 * _line(web * 6.0, 0.75) + 0.13 * _line(strands * 11.0, 0.95)
    return np.asarray(ground + fibres * np.clip(1 + 0.45 * grain, 0.1, None) * (0.35 + 0.65 * loose), np.float32)


def _step(distance: Plane, width: float) -> Plane:
    """0 to 1 where a distance (px) goes from -width / 2 to width / 2."""
    return np.asarray(np.clip(0.5 + distance / width, 0, 1), np.float32)


def _line(distance: Plane, width: float) -> Plane:
    """1 at distance 0, fading over `width` px."""
    return np.asarray(np.exp(-((distance / width) ** 2)), np.float32)
