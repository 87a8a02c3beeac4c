"""Drawn H&E tiles as CoNSeP's files hold them: ellipses of four types on a light ground."""

from pathlib import Path

import cv2
import numpy as np

from inference.training.he import data


def lay_tile(folder: Path, number: int, *, side: int = 448, nuclei: int = 40) -> None:
    """`train_N.png` and `train_N.npz`; ids aren't in a row, as in the real ones."""
    random = np.random.default_rng(number)
    image = np.full((side, side, 3), (236, 214, 232), np.uint8)
    labels, types = np.zeros((side, side), np.int32), np.zeros((side, side), np.uint8)
    for i in range(nuclei):
        kind = int(random.integers(1, 8))
        axes = [int(a) for a in random.integers(5, 14, 2)]
        place = [int(a) for a in random.integers(20, side - 20, 2)]
        shape = np.zeros((side, side), np.uint8)
        cv2.ellipse(shape, place, axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
        inside = (shape > 0) & (labels == 0)
        labels[inside], types[inside] = 3 * i + 2, kind
        image[inside] = (90 + 10 * kind, 60, 150 - 8 * kind)
    cv2.imwrite(str(folder / f"train_{number}.png"), image[..., ::-1])
    np.savez(folder / f"train_{number}.npz", inst_map=labels, type_map=types)


def lay_tiles(folder: Path, numbers: range = range(1, 4)) -> list[data.Tile]:
    for number in numbers:
        lay_tile(folder, number)
    return data.consep(folder)
