"""Tiles through an engine: reading, inference and what follows overlap; answers come back in the order of the tiles."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.geometry import Region
from inference.model import Model
from inference.slide import Rgb


@dataclass(frozen=True, slots=True, eq=False)
class TileAnswer:
    """What a model answered for one tile.

    `columns` (n, ...) by name are the numbers of its n peaks, `x` and `y` in px of the tile among them; a model that
    finds none has no columns. `maps` by name are whatever else it gives of the tile. `found` counts all peaks, also
    those beyond the places. `tile` is what it is an answer to, `inside` the part of that which isn't mirrored from
    within the slide, and `postprocess` the model's.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    found: int
    maps: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    tile: Rgb | None = None
    inside: Region | None = None
    postprocess: Mapping[str, float] = field(default_factory=dict)

    @property
    def overflowed(self) -> bool:
        """Were there more peaks than places?"""
        return self.found > len(self.columns.get("x", ()))


class Urgency(IntEnum):
    """How soon a tile is wanted, where tiles queue: one of a lower value goes first."""

    STAT = 1
    ASAP = 2
    ROUTINE = 3


class Engine(Protocol):
    """Runs one model. Safe to call from several threads; a batch changes no number of any tile's answer."""

    @property
    def model(self) -> Model:
        """Its manifest: tiles, resolution, counting threshold."""
        ...

    @property
    def facts(self) -> ModelFacts:
        """What a result says of it."""
        ...

    @property
    def workers(self) -> int:
        """How many calls are worth making at once."""
        ...

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        """Answers to (b, h, w, 3) RGB tiles; peaks are those whose probability is at least `faintest`.

        Raises Failed ENGINE_FAILED.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A tile's pixels, and which part of them the slide itself shows."""

    image: Rgb
    inside: Region


Made = TypeVar("Made")


def in_order(
    engine: Engine, groups: Iterator[list[Seen]], faintest: float, made: Callable[[TileAnswer], Made]
) -> Iterator[list[Made]]:
    """What is `made` of the answers of groups of tiles of one shape, in their order; a worker holds one group's pixels
    at a time, and makes of each answer what is made of it.

    A worker takes its own tiles from `groups`, one worker at a time: a thread that only reads would be one busy thread
    more than there are cores, and push the networks off them.
    """
    source, taking = enumerate(groups), threading.Lock()
    answered: dict[int, list[Made]] = {}
    waiting: deque[Future[tuple[int, list[Made]] | None]] = deque()

    def answer() -> tuple[int, list[Made]] | None:
        """A group's place in the order, and what was made of it."""
        with taking:
            taken = next(source, None)
        return None if taken is None else (taken[0], [made(a) for a in _detect(engine, taken[1], faintest)])

    with ThreadPoolExecutor(engine.workers, thread_name_prefix="infer") as pool:
        try:
            waiting.extend(pool.submit(answer) for _ in range(engine.workers + 2))
            for due in itertools.count():
                while due not in answered:
                    if not waiting:
                        return
                    if (found := waiting.popleft().result()) is not None:
                        answered[found[0]] = found[1]
                        waiting.append(pool.submit(answer))
                yield answered.pop(due)
        finally:
            for future in waiting:
                future.cancel()


def _detect(engine: Engine, group: list[Seen], faintest: float) -> list[TileAnswer]:
    if not group:
        return []
    images = [seen.image for seen in group]
    answers = engine.detect(images[0][None] if len(images) == 1 else np.stack(images), faintest)
    how = engine.model.postprocess
    return [
        replace(answer, tile=seen.image, inside=seen.inside, postprocess=how)
        for seen, answer in zip(group, answers, strict=True)
    ]
