"""A network's place taken by a threshold: `inference.infer.Engine` that answers with maps of what is blue in a tile."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.geometry import Grid, Region, Size
from inference.infer import TileAnswer
from inference.model import TILES, Dtype, Graph, Model, Resolution, Role, Runtime, Tensor
from inference.slide import Level, Rgb, SlideFacts
from inference.tile import TileShape
from tests.inference.he_maps import perfect_maps

DARK = 128
"""Red of nuclei is below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSlide:
    """`inference.slide.Slide` of pixels in memory, at the model's resolution."""

    pixels: Rgb
    mpp: float = 0.25

    @property
    def size(self) -> Size:
        return Size(width=self.pixels.shape[1], height=self.pixels.shape[0])

    @property
    def facts(self) -> SlideFacts:
        return SlideFacts(mpp=self.mpp, size=self.size, levels=(Level(size=self.size, mpp=self.mpp),))

    @property
    def working(self) -> Grid:
        return Grid(size=self.size, mpp=self.mpp, scale=1.0)

    def read(self, region: Region) -> Rgb:
        return self.pixels[region.y : region.bottom, region.x : region.right]

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        by = max(int(mpp / self.mpp), 1)
        size = Size(width=self.size.width // by, height=self.size.height // by)
        small = cv2.resize(self.pixels, (size.width, size.height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), Grid(size=size, mpp=self.mpp * by, scale=float(by))

    def close(self) -> None:
        """Nothing is open."""


MAPS = Graph(
    name="he_maps",
    role=Role.MAP,
    runtime=Runtime.ONNX_RUNTIME,
    inputs=(TILES,),
    outputs=(
        Tensor(name="nucleus", dtype=Dtype.UINT8, shape=("side", "side")),
        Tensor(name="distance", dtype=Dtype.INT8, shape=(2, "side", "side")),
        Tensor(name="kind", dtype=Dtype.UINT8, shape=(4, "side", "side")),
    ),
    fingerprint_output="he_fingerprint",
    sha256={"1": ""},
    fingerprint={"1": ""},
)


class ThresholdEngine:
    """Pieces of dark pixels are nuclei, their kind by their size."""

    workers = 2

    def __init__(self, core: int = 512) -> None:
        self.model = Model(
            repository=Path(),
            folder="he_threshold",
            name="threshold",
            version="1",
            cells="he/1",
            resolution=Resolution(working=0.25, finest=0.2, coarsest=0.625, enlarged_from=0.35),
            tile=TileShape(core=core, halo=64, stride=64),
            pixels_per_place=64,
            counting_threshold=0.0,
            graphs=(MAPS,),
        )
        self.facts = ModelFacts(
            name="threshold", version="1", sha256="0" * 64, graphs=(("he_maps", "0" * 64),), engine="test"
        )

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        return [self._one(tile) for tile in tiles]

    def _one(self, tile: Rgb) -> TileAnswer:
        blue = cv2.medianBlur(np.ascontiguousarray(tile[..., 0]), 5) < DARK
        _, labels, stats, _ = cv2.connectedComponentsWithStats(blue.astype(np.uint8), connectivity=4)
        kinds = np.digitize(stats[:, cv2.CC_STAT_AREA], (150, 500, 900))
        maps = perfect_maps(labels.astype(np.int32), kinds[labels])
        return TileAnswer({}, 0, {"nucleus": maps.nucleus, "distance": maps.distance, "kind": maps.kind})
