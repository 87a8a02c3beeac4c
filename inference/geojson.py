"""Cells as QuPath reads them: GeoJSON in px of the largest level, counted from the corner of the first pixel.

Cells without outlines are one MultiPoint annotation a group. Those with outlines are one detection each, a polygon with
its class and measurements.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from inference.analyzers.analyzer import Analyzer, Group
from inference.cells.file import columns_of, read_cells
from inference.cells.values import Cells, IntArray
from inference.contour import CONTOUR, rings_of
from inference.criteria import Criteria
from inference.outline import OUTLINE, RAYS, polygons

_CORNER = "[%.1f,%.1f]"
_RING = "[" + ",".join([_CORNER] * (RAYS + 1)) + "]"


def write_geojson(
    path: Path, cells_file: Path, analyzer: Analyzer, criteria: Criteria, counts: IntArray, *, mpp: float
) -> None:
    """Write a FeatureCollection; `counts` (G,) says which groups hold cells, `mpp` is that of the largest level."""
    part = path.with_name(path.name + ".part")
    with part.open("w") as out:
        out.write('{"type":"FeatureCollection","features":[')
        if {OUTLINE, CONTOUR} & columns_of(cells_file):
            _write_detections(out.write, cells_file, analyzer, criteria, mpp)
        else:
            _write_annotations(out.write, cells_file, analyzer, criteria, counts)
        out.write("]}\n")
    part.replace(path)


def detections(cells: Cells, analyzer: Analyzer, criteria: Criteria, *, mpp: float) -> Iterator[str]:
    """The features of cells that have outlines, each as text."""
    scalars = [column for column in cells.schema.columns if column.scalar]
    measures = ",".join(f'"{c.name}":{"%.4g" if c.dtype.startswith("float") else "%d"}' for c in scalars)
    template = '{"type":"Feature","geometry":{"type":"Polygon","coordinates":[%s]},"properties":{'
    classes = ['"objectType":"detection","classification":' + json.dumps(_class(group)) for group in analyzer.groups]
    rest = ',"measurements":{' + measures + "}}}"
    rings = _exact_rings(cells, mpp) if CONTOUR in cells.columns else _rays(cells, mpp)
    numbers = zip(*(cells[c.name].tolist() for c in scalars), strict=True)
    for ring, group, of in zip(rings, analyzer.group_of(cells, criteria).tolist(), numbers, strict=True):
        yield template % ring + classes[group] + rest % of


def _rays(cells: Cells, mpp: float) -> Iterator[str]:
    """The closed ring of each outline."""
    corners = polygons(cells[OUTLINE], cells.x + 0.5, cells.y + 0.5, mpp=mpp)
    closed = np.concatenate([corners, corners[:, :1]], axis=1)
    for ring in closed.reshape(len(cells), 2 * closed.shape[1]).tolist():
        yield _RING % tuple(ring)


def _exact_rings(cells: Cells, mpp: float) -> Iterator[str]:
    """The closed ring of each contour; whole numbers where the corners are those of the largest level's pixels."""
    found = rings_of(cells[CONTOUR], cells.x + 0.5, cells.y + 0.5, mpp=mpp)
    corners = np.round(found.corners, 2)
    whole = np.rint(corners)
    points = (whole.astype(np.int64) if np.array_equal(whole, corners) else corners).tolist()
    for first, count in zip(found.first.tolist(), found.lengths.tolist(), strict=True):
        ring = points[first : first + count]
        yield str([*ring, ring[0]]).replace(" ", "")


def _class(group: Group) -> dict[str, object]:
    return {"name": group.title, "color": group.colour}


def _write_detections(
    write: Callable[[str], object], cells_file: Path, analyzer: Analyzer, criteria: Criteria, mpp: float
) -> None:
    comma = ""
    for cells in read_cells(cells_file, analyzer.schema, rows=16_384):
        write(comma + ",".join(detections(cells, analyzer, criteria, mpp=mpp)))
        comma = ","


def _write_annotations(
    write: Callable[[str], object], cells_file: Path, analyzer: Analyzer, criteria: Criteria, counts: IntArray
) -> None:
    for i, group in enumerate(np.flatnonzero(counts).tolist()):
        properties = {"objectType": "annotation", "classification": _class(analyzer.groups[group])}
        write("," * (i > 0) + '{"type":"Feature","properties":' + json.dumps(properties))
        write(',"geometry":{"type":"MultiPoint","coordinates":[')
        _write_points(write, cells_file, analyzer, criteria, group)
        write("]}}")


def _write_points(
    write: Callable[[str], object], cells_file: Path, analyzer: Analyzer, criteria: Criteria, group: int
) -> None:
    comma = ""
    for cells in read_cells(cells_file, analyzer.schema):
        these = analyzer.group_of(cells, criteria) == group
        points = np.stack([cells.x[these] + 0.5, cells.y[these] + 0.5], axis=1).tolist()
        if points:
            write(comma + ",".join(f"[{x:.2f},{y:.2f}]" for x, y in points))
            comma = ","
