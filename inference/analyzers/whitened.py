"""Nuclear stains' colours by the slide's white point, measured beside the engine's own: in the threads that call it."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.analyzers.measuring import MeasuringEngine
from inference.grade import DENSITIES
from inference.infer import Engine, TileAnswer
from inference.slide import Rgb
from inference.stain import dab_density, hue_value_density, mean_rgb
from inference.white import WhitePoint, whitened

OF_OUTLINE = "nucleus_od_centi"


class WhiteningEngine(MeasuringEngine):
    """An engine whose answers hold `white_hue`, `white_value` and `white_od_centi` too: of the square of
    `inference.stain`, its colour divided by the white point. Where there are outlines their mean density, less that of
    the white point, is `white_nucleus_od_centi`.
    """

    def __init__(self, engine: Engine, white: WhitePoint) -> None:
        super().__init__(engine)
        self._white = white

    def measured(self, tile: Rgb, answer: TileAnswer) -> TileAnswer:
        columns = answer.columns
        rgb = whitened(mean_rgb(tile, columns["x"], columns["y"]), self._white.rgb)
        named = ("white_hue", "white_value", "white_od_centi")
        more: dict[str, npt.NDArray[Any]] = dict(zip(named, hue_value_density(rgb), strict=True))
        if OF_OUTLINE in columns:
            ground = round(100 * float(dab_density(np.array([self._white.rgb]))[0]))
            less = columns[OF_OUTLINE].astype(np.int64) - ground
            more["white_nucleus_od_centi"] = np.clip(less, 0, DENSITIES - 1).astype(np.uint16)
        return replace(answer, columns={**columns, **more})
