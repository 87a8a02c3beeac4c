"""An engine whose answers gain columns measured beside the network, in the threads that call it."""

import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.infer import Engine, TileAnswer
from inference.model import Model
from inference.slide import Rgb


class MeasuringEngine:
    """`inference.infer.Engine` around another; a subclass says in `measured` what each tile's answer gains."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def model(self) -> Model:
        return self._engine.model

    @property
    def facts(self) -> ModelFacts:
        return self._engine.facts

    @property
    def workers(self) -> int:
        return self._engine.workers

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        answers = self._engine.detect(tiles, faintest)
        return [self.measured(tile, answer) for tile, answer in zip(tiles, answers, strict=True)]

    def measured(self, tile: Rgb, answer: TileAnswer) -> TileAnswer:
        """The answer as it is."""
        return answer
