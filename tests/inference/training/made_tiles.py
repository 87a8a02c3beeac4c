"""Invented tiles: dark discs on pale ground, blue ones stroma, brown ones epithelium.

Nothing of a real slide is in them.
"""

import cv2
import numpy as np

from inference.evaluation.metric import Points
from inference.training.data import Tile

COLOURS = ((90, 90, 160), (130, 80, 50))


def made_tile(seed: int, side: int = 200, nuclei: int = 24) -> Tile:
    random = np.random.default_rng(seed)
    image = np.full((side, side, 3), (225, 220, 228), np.uint8)
    cells = random.permutation((side // 20) ** 2)[:nuclei]
    xy = np.stack([cells % (side // 20), cells // (side // 20)], axis=1) * 20 + random.integers(6, 14, (nuclei, 2))
    label = random.integers(0, 2, nuclei)
    for (x, y), c in zip(xy, label, strict=True):
        cv2.circle(image, (int(x), int(y)), 5, COLOURS[c], -1)
    noisy = image.astype(np.int16) + random.integers(-6, 7, image.shape)
    points = Points(xy=xy.astype(np.float64), label=label.astype(np.int64), confidence=np.ones(nuclei))
    return Tile(name=str(seed), image=np.clip(noisy, 0, 255).astype(np.uint8), points=points)
