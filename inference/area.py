"""Areas drawn on a slide, as QuPath exports them: GeoJSON polygons with a class. Text in, values out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from inference.cells.values import Mask
from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.json_text import read_json

Ring = tuple[tuple[float, float], ...]
"""Corners (x, y) in px of the largest level, the centre of the first pixel being (0, 0); closed without a repeat."""
LEAST_SIDE_PX = 1.0
_FINE = 8
"""Bits of a pixel that outlines are drawn to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """`name` is its class. Points are inside by the even-odd rule over all its `rings`: holes and parts alike."""

    name: str
    rings: tuple[Ring, ...]

    @property
    def box(self) -> Region:
        """The smallest box of whole pixels that holds it; its corners may lie half a pixel outside of the slide."""
        x, y = (np.array([corner[i] for ring in self.rings for corner in ring]) for i in range(2))
        left, top = (math.floor(v.min() + 0.5) for v in (x, y))
        right, bottom = (math.ceil(v.max() + 0.5) for v in (x, y))
        return Region(x=left, y=top, width=right - left, height=bottom - top)

    def holds(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Mask:
        """Which of the points (n,), px of the largest level, lie inside."""
        inside = np.zeros(len(x), bool)
        for ring in self.rings:
            for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True):
                if y0 != y1:
                    inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        return inside

    def drawn(self, shape: tuple[int, int], scale: float) -> Mask:
        """The area on a picture (rows, columns) with so many pixels of it per pixel of the largest level."""
        rings = [
            np.round(((np.array(ring) + 0.5) * scale - 0.5) * (1 << _FINE)).astype(np.int32) for ring in self.rings
        ]
        picture = np.zeros(shape, np.uint8)
        cv2.fillPoly(picture, rings, 1, shift=_FINE)
        return picture.astype(bool)


def box_area(name: str, box: Region) -> Area:
    """The pixels of a box."""
    left, top, right, bottom = box.x - 0.5, box.y - 0.5, box.right - 0.5, box.bottom - 0.5
    return Area(name=name, rings=(((left, top), (right, top), (right, bottom), (left, bottom)),))


def read_areas(text: str, names: Sequence[str], where: str) -> list[Area]:
    """Polygons of a FeatureCollection whose classes are all among `names`. Raises Refused ANNOTATION_INVALID, naming
    `where` and the feature, also for none.
    """
    try:
        read = read_json(text)
    except ValueError:
        raise _invalid(f"{where} isn't JSON: export it from QuPath again") from None
    features = read.get("features", [read]) if isinstance(read, dict) else read
    if not isinstance(features, list) or not features:
        raise _invalid(f"{where} holds no area: it must be a GeoJSON FeatureCollection of polygons")
    return [_area(feature, names, f"{where}, feature {i}") for i, feature in enumerate(features, 1)]


def check_inside(areas: Sequence[Area], size: Size, where: str) -> None:
    """Raises Refused ANNOTATION_INVALID for one that reaches outside of the slide."""
    for number, area in enumerate(areas, 1):
        if not area.box.inside(size):
            message = f"{where}, feature {number}: {area.name} reaches outside of the slide"
            raise _invalid(f"{message} ({size.width} x {size.height} px): draw it on this slide, in pixels of it")


def _area(feature: Any, names: Sequence[str], where: str) -> Area:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict):
        raise _invalid(f"{where} has no geometry")
    name = " ".join(_class_name(feature.get("properties")).lower().split())
    if name not in names:
        raise _invalid(f"{where}: class {name!r} is none of {', '.join(names)}: classify it in QuPath")
    return Area(name=name, rings=tuple(_rings(geometry, where)))


def _class_name(properties: Any) -> str:
    classification = properties.get("classification") if isinstance(properties, dict) else None
    name = classification.get("name") if isinstance(classification, dict) else None
    return name if isinstance(name, str) else ""


def _rings(geometry: dict[str, Any], where: str) -> Iterator[Ring]:
    kind: str = geometry.get("type", "nothing")
    at: Any = geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise _invalid(f"{where} is a {kind}; an area is a Polygon or MultiPolygon")
    try:
        for polygon in [at] if kind == "Polygon" else list(at):
            for ring in polygon:
                yield _ring(ring, where)
    except (TypeError, IndexError, KeyError, ValueError, OverflowError):
        raise _invalid(f"{where}: its coordinates aren't those of a {kind}") from None


def _ring(given: Any, where: str) -> Ring:
    corners = [(float(p[0]) - 0.5, float(p[1]) - 0.5) for p in given]
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
    if not all(math.isfinite(v) for corner in corners for v in corner):
        raise ValueError
    sides = np.ptp(np.array(corners), axis=0) if len(corners) > 2 else np.zeros(2)
    if sides.min() < LEAST_SIDE_PX:
        raise _invalid(f"{where} encloses nothing: draw an area")
    return tuple(corners)


def _invalid(message: str) -> Refused:
    return Refused(Reason.ANNOTATION_INVALID, message)
