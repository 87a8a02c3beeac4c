"""What a calibration is asked to fit, as values and as the JSON that its job is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.analyzers.nuclear import SCHEMA
from inference.annotations import Kind, Mark
from inference.calibration.fit import HueBy, Objective, Settings
from inference.calibration.sample import Quantity, Target
from inference.cells.values import Cells, made_cells
from inference.geometry import Region, Size
from server.domain.job import Json
from server.domain.result import ResultId


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Picture:
    """An uploaded region: its nuclei as they were found when it came, in px of the picture; `sha256` of its file."""

    cells: Cells
    size: Size
    mpp: float
    sha256: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AskedRegion:
    """The nuclei of a stored result, within `window` where there is one (px of the largest level), or of a picture; and
    what `annotator` said of them: `marks` one by one, `targets` as scores. `slide` is left out with its other regions.
    """

    slide: str
    source: "ResultId | Picture"
    window: Region | None = None
    annotator: str = ""
    marks: tuple[Mark, ...] = ()
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AskedCalibration:
    """`profile` names the profile that the outcome may become a revision of."""

    profile: str
    marker: str
    settings: Settings
    regions: tuple[AskedRegion, ...]


def asked_json(asked: AskedCalibration) -> Json:
    s = asked.settings
    return {
        "profile": asked.profile,
        "marker": asked.marker,
        "by": s.by.value,
        "method": s.method,
        "hue_by": s.hue_by.value,
        "regions": [_region_json(region) for region in asked.regions],
    }


def asked_in(given: Json) -> AskedCalibration:
    return AskedCalibration(
        profile=given["profile"],
        marker=given["marker"],
        settings=Settings(method=given["method"], by=Objective(given["by"]), hue_by=HueBy(given["hue_by"])),
        regions=tuple(map(_region, given["regions"])),
    )


def _region_json(region: AskedRegion) -> dict[str, Any]:
    w, source = region.window, region.source
    where = {"picture": _picture_json(source)} if isinstance(source, Picture) else {"result_id": source}
    return where | {
        "slide": region.slide,
        "window": None if w is None else [w.x, w.y, w.width, w.height],
        "annotator": region.annotator,
        "marks": [[m.x, m.y, m.kind.compartment, m.kind.grade] for m in region.marks],
        "targets": [[t.part, t.quantity.value, t.value] for t in region.targets],
    }


def _region(given: Mapping[str, Any]) -> AskedRegion:
    window = given["window"]
    return AskedRegion(
        slide=given["slide"],
        source=_picture(given["picture"]) if "picture" in given else ResultId(given["result_id"]),
        window=None if window is None else Region(x=window[0], y=window[1], width=window[2], height=window[3]),
        annotator=given["annotator"],
        marks=tuple(Mark(x=x, y=y, kind=Kind(compartment=c, grade=g)) for x, y, c, g in given["marks"]),
        targets=tuple(Target(part=p, quantity=Quantity(q), value=v) for p, q, v in given["targets"]),
    )


def _picture_json(picture: Picture) -> dict[str, Any]:
    cells = picture.cells
    columns = {name: np.asarray(cells[name]).tolist() for name in cells.schema.names}
    size = [picture.size.width, picture.size.height]
    said = {"size": size, "mpp": picture.mpp, "sha256": picture.sha256}
    return said | {"x": cells.x.tolist(), "y": cells.y.tolist(), "columns": columns}


def _picture(given: Mapping[str, Any]) -> Picture:
    width, height = given["size"]
    cells = made_cells(SCHEMA, given["x"], given["y"], **given["columns"])
    return Picture(cells=cells, size=Size(width=width, height=height), mpp=given["mpp"], sha256=given["sha256"])
