"""A result's files in its case's folder: pictures and texts for people and for QuPath, and what later work needs."""

import json
from pathlib import Path

from inference.fields import Fields, heterogeneity
from inference.geojson import write_geojson
from inference.measures import value_text
from inference.overlay import draw_overlay, write_png
from inference.slide import Slide
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.result import Result
from server.report.identity import use_of
from server.report.result_json import result_json, write_json

OVERLAY = "overlay.png"


def write_files(result: Result, slide: Slide, fields: Fields, folder: Path) -> None:
    """result.json, overlay.png, and the cells with their groups as GeoJSON."""
    analyzer, criteria, cells = result.assay.analyzer, result.profile.criteria, result.cells_file
    counts = analyzer.counts(result.analysis.histograms, criteria)
    write_geojson(
        folder / f"{analyzer.file_stem}.geojson", cells, analyzer, criteria, counts, mpp=result.analysis.slide.mpp
    )
    write_png(
        folder / OVERLAY, draw_overlay(slide, cells, analyzer, criteria, title=title_of(result), use=use_of(result))
    )
    write_json(folder / "result.json", result_json(result, heterogeneity(fields, result.assay)))


def rewrite_warnings(result: Result, folder: Path) -> None:
    """Put a result's warnings into its result.json, where reports added some."""
    path = folder / "result.json"
    said = json.loads(path.read_text())
    if said["warnings"] != list(result.warnings):
        write_json(path, said | {"warnings": list(result.warnings)})


def kept_files(cells: Path, header: Path) -> tuple[Artifact, ...]:
    """The cells, and the slide's header where there is one."""
    kept = [Artifact(kind=ArtifactKind.CELLS, path=cells)]
    return (*kept, *([Artifact(kind=ArtifactKind.HEADER, path=header)] if header.is_file() else []))


def title_of(result: Result) -> str:
    """What an overlay says of a result: the assay's first measure, and how many cells it is of."""
    measure, analyzer = result.assay.measures[0], result.assay.analyzer
    if result.control.withheld:
        return f"{result.control.withheld}: no score, profile {result.profile.label}"
    first = result.score(measure) or result.score(measure, result.clinical_region)
    n = 0 if first is None else first.n
    return (
        f"{measure.display} {value_text(first, decimals=0)}, {n} {analyzer.file_stem}, profile {result.profile.label}"
    )
