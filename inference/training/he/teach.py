"""What networks that were trained before answer of whole tiles, worked out once, for another to learn from."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inference.instances import Maps
from inference.training.he.data import Answer, Tile
from inference.training.he.evaluate import Answer as Answering
from inference.training.he.evaluate import eightfold, maps_of


def taught(tiles: Sequence[Tile], teachers: Sequence[Answering]) -> list[Tile]:
    """The tiles with the mean answer of the teachers, each over a tile's four turns and their mirror images."""
    each = [eightfold(teacher) for teacher in teachers]
    return [replace(tile, answer=_mean([maps_of(tile.image, answer) for answer in each])) for tile in tiles]


def _mean(answers: Sequence[Maps]) -> Answer:
    """(7, h, w): probability, distances in -1..1, probabilities of the kinds."""
    planes = [np.concatenate([m.nucleus[None] / 255, m.distance / 127, m.kind / 255]) for m in answers]
    return np.asarray(np.mean(planes, axis=0), np.float32)
