"""Nuclei of a tile of H&E as cells: from the network's maps, with what is measured of each."""

import numpy as np
import numpy.typing as npt

from inference.cells.values import BYTES, Cells, CellSchema, Column, made_cells
from inference.contour import CONTOUR, contours_of, rounded
from inference.geometry import Region
from inference.infer import TileAnswer
from inference.instance_table import Runs
from inference.instances import KINDS, Instances, Maps, PostProcess, instances
from inference.slide import Rgb
from inference.stain import EOSIN, unmixing

SCHEMA = CellSchema(
    name="he",
    version=1,
    columns=(
        Column(name="confidence", dtype="float32", meaning="probability that it is of its class", low=0, high=1),
        Column(name="kind", dtype="uint8", meaning=f"class: {', '.join(KINDS)}", low=0, high=len(KINDS) - 1),
        Column(name="certainty", dtype="uint8", meaning="the probability in whole percent", unit="%", low=0, high=100),
        Column(name="area_um2", dtype="float32", meaning="area", unit="um2", low=0),
        Column(name="major_um", dtype="float32", meaning="major axis of the ellipse", unit="um", low=0),
        Column(name="minor_um", dtype="float32", meaning="minor axis of the ellipse", unit="um", low=0),
        Column(
            name="angle", dtype="float32", meaning="of the major axis, from x towards y", unit="deg", low=0, high=180
        ),
        Column(name="haematoxylin_od", dtype="float32", meaning="mean optical density of haematoxylin"),
        Column(name="eosin_od", dtype="float32", meaning="mean optical density of eosin"),
        Column(name=CONTOUR, dtype=BYTES, meaning="corners of its pixels"),
    ),
)
_ABSORBED = -np.log10((np.arange(256) + 1) / 256).astype(np.float32)


def he_cells(answer: TileAnswer, mpp: float) -> Cells:
    """In px of the tile; only what the slide shows is looked at, nothing that a tile mirrors beyond its edge."""
    assert answer.tile is not None, "nuclei are made of a tile and its maps"
    maps = Maps(answer.maps["nucleus"], answer.maps["distance"], answer.maps["kind"])
    height, width = answer.tile.shape[:2]
    shown = answer.inside or Region(x=0, y=0, width=width, height=height)
    box = np.s_[shown.y : shown.bottom, shown.x : shown.right]
    cut = Maps(maps.nucleus[box], maps.distance[:, *box], maps.kind[:, *box])
    found = instances(cut, PostProcess.read(answer.postprocess))
    return _cells(found, answer.tile[box], shown, mpp)


def _cells(found: Instances, image: Rgb, shown: Region, mpp: float) -> Cells:
    table = found.table
    x, y = rounded(table.x), rounded(table.y)
    haematoxylin, eosin = stain_densities(image, found.runs)
    return made_cells(
        SCHEMA,
        x + shown.x,
        y + shown.y,
        confidence=table.probability,
        kind=table.kind,
        certainty=np.floor(100 * table.probability + 1e-6),
        area_um2=table.area * mpp**2,
        major_um=table.major * mpp,
        minor_um=table.minor * mpp,
        angle=table.angle,
        haematoxylin_od=haematoxylin,
        eosin_od=eosin,
        **{CONTOUR: contours_of(found.labels, found.runs, x, y, mpp=mpp)},
    )


def stain_densities(image: Rgb, runs: Runs) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean optical density of haematoxylin and of eosin along their unit vectors, (n,) each."""
    pixels = image.reshape(-1, 3)[runs.pixels]
    area = np.maximum(runs.of_runs(runs.length), 1)
    mean = np.stack([runs.summed(_ABSORBED[pixels[:, channel]]) / area for channel in range(3)], axis=1)
    parts = mean @ unmixing(EOSIN)
    return parts[:, 0], parts[:, 1]
