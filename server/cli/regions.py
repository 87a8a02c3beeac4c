"""The regions of a manifest as samples: the model's nuclei of each, and what was annotated there."""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from inference.analyze import Options, Progress, analyze, working_region
from inference.annotations import Mark, Names, read_csv, read_geojson
from inference.assay import Assay
from inference.calibration.cleaning import Cleaned, cleaned
from inference.calibration.concerns import Advice, Concern
from inference.calibration.doubts import differing, doubtful
from inference.calibration.sample import Annotated, Sample, graded_sample
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined, no_cells
from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.infer import Engine
from inference.slide import Slide
from inference.tissue import Tissue, find_tissue
from server.cli.manifest import ManifestRow
from server.report.read_ann import read_ann
from server.slides.dicom_header import is_dicom
from server.slides.opening import open_slide
from server.slides.scanner import scanner_of

GEOJSON = (".geojson", ".json")
MPP_DIFFERS = 0.05
"""Share by which a manifest's pixel size may differ from the slide's own."""
OFF_TISSUE = 0.02
"""Share of a region's annotated nuclei."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Analysed:
    """The nuclei of a region of an image, found as `score` finds them."""

    cells: Cells
    mpp: float
    size: Size
    tissue: Tissue
    scale: float
    """Pixels of the largest level per pixel of the working grid."""

    def off_tissue(self, annotated: Annotated) -> int:
        x, y = ((annotated.xy[:, i] + 0.5) / self.scale - 0.5 for i in range(2))
        return int((~self.tissue.holds(x, y)).sum())


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What the lines of a manifest gave, in their order, and what was doubtful in it."""

    samples: list[Sample] = field(default_factory=list)
    mpps: list[float] = field(default_factory=list)
    doubts: dict[Concern, dict[str, int]] = field(default_factory=dict)
    """For each concern, nuclei by the line's name."""
    advice: list[Advice] = field(default_factory=list)

    def doubt(self, concern: Concern, row: ManifestRow, n: int) -> None:
        if n:
            self.doubts.setdefault(concern, {})[row.name] = n


def gather(rows: Sequence[ManifestRow], engine: Engine, assay: Assay, names: Names, progress: Progress) -> Gathered:
    """Raises Refused, naming the line."""
    for row in rows:
        _check_there(row)
    gathered = Gathered()
    analysed: dict[tuple[Path, Region | None], Analysed] = {}
    for done, row in enumerate(rows, 1):
        try:
            key = row.image, row.region
            if key not in analysed:
                analysed[key] = analyse(row, engine, assay)
            _add(gathered, row, analysed[key], names)
        except Refused as error:
            raise Refused(error.reason, f"{row.name}: {error.message}") from None
        progress(done / len(rows))
    scanners = map(scanner_of, dict.fromkeys(row.image for row in rows))
    gathered.advice = [*doubtful(gathered.doubts), *differing(scanners, gathered.mpps)]
    return gathered


def _check_there(row: ManifestRow) -> None:
    """Before any is analysed. Raises Refused NOT_A_SLIDE, ANNOTATION_INVALID."""
    if not row.image.exists():
        raise Refused(Reason.NOT_A_SLIDE, f"{row.name}: {row.image} isn't there: correct its path")
    if row.annotation is not None and not row.annotation.exists():
        raise Refused(Reason.ANNOTATION_INVALID, f"{row.name}: {row.annotation.name} isn't there: correct its path")


def analyse(row: ManifestRow, engine: Engine, assay: Assay) -> Analysed:
    """Find the nuclei of a line's region. Raises Refused as `open_slide` and `analyze` do."""
    found = opened(row.image, row.mpp, engine)
    with closing(found) as slide, tempfile.TemporaryDirectory(prefix="chromogen-") as folder:
        file = Path(folder) / "cells.parquet"
        analyze(slide, engine, assay.analyzer, file, Options(region=row.region))
        parts = list(read_cells(file, assay.analyzer.schema))
        return Analysed(
            cells=joined(parts) if parts else no_cells(assay.analyzer.schema),
            mpp=slide.facts.mpp,
            size=slide.facts.size,
            tissue=find_tissue(slide, working_region(slide, None)),
            scale=slide.working.scale,
        )


def opened(image: Path, mpp: float | None, engine: Engine) -> Slide:
    """By its own pixel size where it has one. Raises Refused MANIFEST_INVALID where the manifest has another `mpp`."""
    try:
        slide = open_slide(image, engine.model.resolution)
    except Refused as error:
        if error.reason is not Reason.NO_PIXEL_SIZE:
            raise
        if mpp is None:
            message = "the image has no pixel size: give it in the column mpp, in µm per pixel"
            raise Refused(Reason.NO_PIXEL_SIZE, message) from None
        return open_slide(image, engine.model.resolution, mpp=mpp)
    own = slide.facts.mpp
    if mpp is not None and abs(mpp - own) > MPP_DIFFERS * own:
        slide.close()
        message = f"mpp is {mpp:g} in the manifest and {own:g} in the slide: correct it, or leave it empty"
        raise Refused(Reason.MANIFEST_INVALID, message)
    return slide


def _add(gathered: Gathered, row: ManifestRow, analysed: Analysed, names: Names) -> None:
    found = _cleaned(row, analysed, names)
    annotated = found.annotated if found is not None else None
    if annotated is not None and found is not None:
        off = analysed.off_tissue(annotated)
        gathered.doubt(Concern.DUPLICATE_ANNOTATIONS, row, found.duplicates)
        gathered.doubt(Concern.CONTRADICTORY_ANNOTATIONS, row, found.contradictory)
        gathered.doubt(Concern.OFF_TISSUE, row, off if off > OFF_TISSUE * len(annotated) else 0)
        sample = graded_sample(row.slide, row.name, analysed.cells, annotated, mpp=analysed.mpp)
    elif row.targets:
        sample = Sample(slide=row.slide, name=row.name, cells=analysed.cells, targets=row.targets)
    else:
        message = "the annotation has no grades and the line no score: grade the nuclei, or give an H-score"
        raise Refused(Reason.ANNOTATION_INVALID, message)
    gathered.samples.append(sample)
    gathered.mpps.append(analysed.mpp)


def _cleaned(row: ManifestRow, analysed: Analysed, names: Names) -> Cleaned | None:
    """None where the line names no annotation."""
    if row.annotation is None:
        return None
    where = row.annotation.name
    marks = read_marks(row.annotation, names)
    if not marks:
        raise Refused(Reason.ANNOTATION_INVALID, f"{where} holds no nucleus; check the file, or leave the line out")
    found = cleaned(marks, analysed.size, row.region, mpp=analysed.mpp, where=where)
    if found.annotated is not None and len(found.annotated) == 0:
        message = f"{where} holds no nucleus within the region: check region and coordinates"
        raise Refused(Reason.ANNOTATION_INVALID, message)
    return found


def read_marks(path: Path, names: Names) -> list[Mark]:
    """By what the file is: DICOM, GeoJSON by its name, else CSV. Raises Refused ANNOTATION_INVALID."""
    try:
        if is_dicom(path):
            return read_ann(path, names)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise Refused(Reason.ANNOTATION_INVALID, f"{path.name} can't be read: is it there, and text?") from None
    read = read_geojson if path.suffix.lower() in GEOJSON else read_csv
    return read(text, names, path.name)
