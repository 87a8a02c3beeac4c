"""Nuclei as QuPath reads them: GeoJSON, one MultiPoint annotation a compartment and grade, in px of
the largest level.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inference.grade import Thresholds, grades
from inference.nuclei import COMPARTMENTS, IntArray, read_nuclei
from inference.overlay import GRADE_COLOURS, GRADE_NAMES


def write_geojson(path: Path, nuclei_file: Path, thresholds: Thresholds, counts: IntArray) -> None:
    """Write a FeatureCollection; `counts` (2, 4) says which groups hold nuclei.

    QuPath counts from the pixel's corner.
    """
    part = path.with_name(path.name + ".part")
    with part.open("w") as out:
        out.write('{"type":"FeatureCollection","features":[')
        for i, (compartment, grade) in enumerate(np.argwhere(counts).tolist()):
            properties = {
                "objectType": "annotation",
                "classification": {
                    "name": f"{COMPARTMENTS[compartment]}: {GRADE_NAMES[grade]}",
                    "color": GRADE_COLOURS[grade],
                },
            }
            out.write("," * (i > 0) + '{"type":"Feature","properties":' + json.dumps(properties))
            out.write(',"geometry":{"type":"MultiPoint","coordinates":[')
            _write_points(out.write, nuclei_file, thresholds, compartment, grade)
            out.write("]}}")
        out.write("]}\n")
    part.replace(path)


def _write_points(
    write: Callable[[str], object], nuclei_file: Path, thresholds: Thresholds, compartment: int, grade: int
) -> None:
    comma = ""
    for nuclei in read_nuclei(nuclei_file):
        these = (nuclei.compartment == compartment) & (grades(nuclei, thresholds) == grade)
        points = np.stack([nuclei.x[these] + 0.5, nuclei.y[these] + 0.5], axis=1).tolist()
        if points:
            write(comma + ",".join(f"[{x:.2f},{y:.2f}]" for x, y in points))
            comma = ","
