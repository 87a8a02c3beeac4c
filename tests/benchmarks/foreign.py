"""HER2 drawn in another way than what the network of rays was fitted on: in kind, not only in its figures.

Cells lie where random points push each other apart, and are longer than wide; a membrane's density falls off as a
Gaussian from its crest, of the same width at half; the optics' point spread has a wide foot; noise grows with light and
is smoother in colour than in brightness.
"""

import cv2
import numpy as np

from inference.draw.canvas import Canvas
from inference.draw.expression import INTENSE_FROM, MODERATE_FROM
from inference.draw.her2 import Her2Drawing
from inference.draw.scanner import PLASMA, Scanner
from inference.draw.tessellation import Floats, Tessellation, tessellated
from inference.draw.texture import Plane
from inference.slide import Rgb

CORE_UM = 0.25
"""The width of a line that a Gaussian is made of."""
FOOT, FOOT_WIDER = 0.22, 2.6
LONGER = 1.35
ROUNDS, NEIGHBOURS = 12, 7


class GaussianCanvas(Canvas):
    """Membranes without edges."""

    def draw_membranes(self, plane: Plane, cells: Tessellation, density: Floats, width_um: Floats) -> None:
        band = np.digitize(density, (MODERATE_FROM, INTENSE_FROM))
        for i in range(3):
            mine = (band == i) & (density > 0)
            if not mine.any():
                continue
            deviation = float(np.median(width_um[mine])) / 2.355
            line = self.plane()
            super().draw_membranes(
                line, cells, np.where(mine, density, 0), np.full(len(density), CORE_UM, dtype=np.float64)
            )
            soft = cv2.GaussianBlur(line, (0, 0), deviation / self.mpp)
            np.maximum(plane, soft * np.float32(self._crest(deviation)), out=plane)

    def _crest(self, deviation: float) -> float:
        """What a line's middle is lowered by."""
        wide = max(round(CORE_UM / self.mpp), 1) * self.mpp
        return float(max(deviation * np.sqrt(2 * np.pi) / wide, 1.0))


def photographed(haematoxylin: Plane, dab: Plane, plasma: Plane, noise: Plane, scanner: Scanner, factor: int) -> Rgb:
    """As `inference.draw.scanner.photographed`, of another camera."""
    stains = np.array([scanner.haematoxylin, scanner.dab, PLASMA], np.float32)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    amounts = cv2.merge([haematoxylin * scanner.haematoxylin_scale, dab * scanner.density_scale, plasma])
    light = cv2.exp(cv2.transform(amounts, stains.T) * np.float32(-np.log(10)))
    blur = 0.85 * scanner.blur_um * factor / scanner.mpp
    sharp, foot = (cv2.GaussianBlur(light, (0, 0), by) for by in (blur, FOOT_WIDER * blur))
    light = (1 - FOOT) * sharp + FOOT * foot
    height, width = light.shape[0] // factor, light.shape[1] // factor
    light = np.asarray(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    grey = noise.mean(axis=2, keepdims=True) * np.float32(1.7)
    colour = cv2.GaussianBlur(noise, (0, 0), 1.0) * np.float32(1.5)
    seen = light + (0.7 * grey + 0.7 * colour) * np.sqrt(light) * np.float32(scanner.noise / 255)
    soft = cv2.GaussianBlur(seen, (0, 0), 0.8)
    seen = seen + np.float32(0.8 * scanner.sharpening) * (seen - soft)
    return np.asarray(np.clip(np.rint(seen * np.array(scanner.white, np.float32)), 0, 255), np.uint8)


class ForeignDrawing(Her2Drawing):
    """See the module."""

    canvas = GaussianCanvas
    photographed = staticmethod(photographed)

    def _tessellated(self, random: np.random.Generator) -> Tessellation:
        return tessellated(self.plan.side_um, self.plan.cell_um, random, self._seeds(random))

    def _seeds(self, random: np.random.Generator) -> Floats:
        """Random points that push their nearest neighbours away, in a space pressed together along one way."""
        side, cell = self.plan.side_um, self.plan.cell_um
        margin, wide = 2 * cell, np.array([np.sqrt(LONGER), 1 / np.sqrt(LONGER)])
        extent = (side + 2 * margin) / wide
        points = random.uniform(0, 1, (int(np.prod(extent) / (0.866 * cell**2)), 2)) * extent
        for _ in range(ROUNDS):
            points = _apart(points, extent, cell)
        kept: Floats = points * wide - margin
        return kept


def _apart(points: Floats, extent: Floats, cell_um: float) -> Floats:
    away = points[:, None] - points[None]
    far = np.hypot(*np.moveaxis(away, -1, 0)) + 1e9 * np.eye(len(points))
    near = np.argpartition(far, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    every = np.arange(len(points))[:, None]
    push = np.clip(0.9 * cell_um - far[every, near], 0, None)[..., None]
    step = (push * away[every, near] / np.maximum(far[every, near], 1e-6)[..., None]).sum(axis=1)
    moved: Floats = np.clip(points + 0.35 * step, 0, extent)
    return moved
