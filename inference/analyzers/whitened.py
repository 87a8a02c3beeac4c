"""Nuclear stains' colours by the slide's white point, measured beside the engine's own: in the threads that call it."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.analyzers.measuring import MeasuringEngine
from inference.grade import DENSITIES
from inference.ground import less_ground
from inference.infer import Engine, TileAnswer
from inference.slide import Rgb
from inference.stain import dab_density, hue_value_density, mean_rgb
from inference.white import White, WhitePoint, whitened

OF_OUTLINE = "nucleus_od_centi"


class WhiteningEngine(MeasuringEngine):
    """An engine whose answers hold `white_hue`, `white_value` and `white_od_centi` too: of the square of
    `inference.stain`, its colour divided by the white point; the hue without the brown of the ground. Where there are
    outlines their mean density, less that of the white point, is `white_nucleus_od_centi`.
    """

    def __init__(self, engine: Engine, white: WhitePoint) -> None:
        super().__init__(engine)
        self._white = white

    def measured(self, tile: Rgb, answer: TileAnswer) -> TileAnswer:
        columns = answer.columns
        more = white_columns(tile, columns["x"], columns["y"], self._white.rgb)
        if OF_OUTLINE in columns:
            ground = round(100 * float(dab_density(np.array([self._white.rgb]))[0]))
            less = columns[OF_OUTLINE].astype(np.int64) - ground
            more["white_nucleus_od_centi"] = np.clip(less, 0, DENSITIES - 1).astype(np.uint16)
        return replace(answer, columns={**columns, **more})


def white_columns(image: Rgb, x: npt.ArrayLike, y: npt.ArrayLike, white: White) -> dict[str, npt.NDArray[Any]]:
    """The three columns of nuclei at (x, y) px of a picture, (n,) each."""
    rgb = whitened(mean_rgb(image, x, y), white)
    (hue, _, _), (_, value, density) = hue_value_density(less_ground(rgb, image, white, x, y)), hue_value_density(rgb)
    return {"white_hue": hue, "white_value": value, "white_od_centi": density}
