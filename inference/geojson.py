"""Cells as QuPath reads them: GeoJSON, one MultiPoint annotation a group, in px of the largest level."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inference.analyzers.analyzer import Analyzer
from inference.cells.file import read_cells
from inference.cells.values import IntArray
from inference.criteria import Criteria


def write_geojson(path: Path, cells_file: Path, analyzer: Analyzer, criteria: Criteria, counts: IntArray) -> None:
    """Write a FeatureCollection; `counts` (G,) says which groups hold cells. QuPath counts from the pixel's corner."""
    part = path.with_name(path.name + ".part")
    with part.open("w") as out:
        out.write('{"type":"FeatureCollection","features":[')
        for i, group in enumerate(np.flatnonzero(counts).tolist()):
            shown = analyzer.groups[group]
            properties = {
                "objectType": "annotation",
                "classification": {"name": shown.title, "color": shown.colour},
            }
            out.write("," * (i > 0) + '{"type":"Feature","properties":' + json.dumps(properties))
            out.write(',"geometry":{"type":"MultiPoint","coordinates":[')
            _write_points(out.write, cells_file, analyzer, criteria, group)
            out.write("]}}")
        out.write("]}\n")
    part.replace(path)


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
