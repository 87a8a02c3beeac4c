"""A result as files for a person's own computer: made when they are asked for, in a folder that goes afterwards."""

import csv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from inference.cells.file import read_cells
from inference.fields import heterogeneity
from inference.geojson import write_geojson
from inference.geometry import Grid
from inference.overlay import draw_overlay, write_png
from inference.slide import Rgb, SlideFacts
from server.domain.access import Caller
from server.domain.artifact import NATURES, Nature
from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.domain.result import Result, ResultId
from server.domain.views import ResultView
from server.report.files import title_of
from server.report.identity import use_of
from server.report.pdf import Report, pdf_of
from server.report.result_json import result_json, write_json
from server.services.orders import OrderService
from server.services.results import ResultService, cells_file_of, known_fields
from server.services.slide_tiles import SlideTiles
from server.services.work import WorkService

log = structlog.get_logger()

Make = Callable[[Caller, ResultView, Path], None]


class DownloadService:
    """`make` writes one file by its name, into a folder that is the caller's to delete."""

    def __init__(self, results: ResultService, orders: OrderService, work: WorkService, tiles: SlideTiles) -> None:
        self._results, self._orders, self._work, self._tiles = results, orders, work, tiles
        self._makes: dict[str, Make] = {
            "report.pdf": self._pdf,
            "scores.csv": scores_csv,
            "cells.csv": cells_csv,
            "cells.geojson": cells_geojson,
            "overlay.png": self._overlay,
            "result.json": whole_json,
            "all.zip": self._zip,
        }

    def make(self, actor: Caller, result_id: ResultId, name: str, folder: Path) -> Path:
        """Raises Refused RESULT_UNKNOWN, ARGUMENT_INVALID for another name; Failed NUCLEI_MISSING, ARCHIVE_..."""
        view = self._results.get(actor, result_id)
        if name not in self._makes:
            raise Refused(ServiceReason.ARGUMENT_INVALID, f"a download is one of {', '.join(self._makes)}")
        self._work.note_read(actor, result_id, "report")
        self._makes[name](actor, view, folder / name)
        return folder / name

    def _pdf(self, actor: Caller, view: ResultView, path: Path) -> None:
        shown, order_id = actor.sees_patients, view.result.order_id
        order = order_id and self._orders.get(actor, order_id, patient=shown).order
        picture = self._picture(actor, view)
        path.write_bytes(pdf_of(Report(view=view, order=order or None, picture=picture, patient=shown)))

    def _picture(self, actor: Caller, view: ResultView) -> Rgb | None:
        """None, and a word in the log, where slide or cells are away."""
        try:
            return self._drawn(actor, view.result)
        except ChromogenError as error:
            log.warning("report_without_picture", result=view.result.id, reason=str(error.reason))
            return None

    def _overlay(self, actor: Caller, view: ResultView, path: Path) -> None:
        write_png(path, self._drawn(actor, view.result))

    def _drawn(self, actor: Caller, result: Result) -> Rgb:
        picture, grid = self._tiles.overview(actor, result.id)
        slide = _Overview(picture, grid, result.analysis.slide)
        analyzer, criteria = result.assay.analyzer, result.profile.criteria
        return draw_overlay(
            slide, cells_file_of(result), analyzer, criteria, title=title_of(result), use=use_of(result)
        )

    def _zip(self, actor: Caller, view: ResultView, path: Path) -> None:
        """What can be made of all of it, and the DICOM objects that were sent; what can't is named in a text."""
        missing = []
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name in self._makes.keys() - {"all.zip"}:
                file = path.with_name(name)
                try:
                    self._makes[name](actor, view, file)
                    out.write(file, name)
                except ChromogenError as error:
                    missing.append(f"{name}: {error.reason} {error.message}\n")
                file.unlink(missing_ok=True)
            if actor.sees_patients:
                for kind, file in _objects(view.result):
                    out.write(file, f"dicom/{kind}-{file.name}")
            else:
                missing.append(f"dicom: {ServiceReason.PERMISSION_DENIED} the objects name the patient\n")
            if missing:
                out.writestr("missing.txt", "".join(sorted(missing)))


def _objects(result: Result) -> Iterator[tuple[str, Path]]:
    for artifact in result.artifacts:
        if NATURES[artifact.kind] is Nature.OBJECT and artifact.path.is_file():
            yield artifact.kind.lower(), artifact.path


def scores_csv(_: Caller, view: ResultView, path: Path) -> None:
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["code", "scheme", "display", "region", "value", "category", "unit", "low", "high", "n"])
        for s in view.result.scores:
            low, high = s.interval or (None, None)
            rows.writerow([s.code, s.scheme, s.display, s.region, s.value, s.category, s.unit, low, high, s.n])


def cells_csv(_: Caller, view: ResultView, path: Path) -> None:
    """Places in px of the largest level, the first pixel's centre being 0; then what is kept of each cell."""
    result = view.result
    analyzer, criteria = result.assay.analyzer, result.profile.criteria
    names = [column.name for column in analyzer.schema.columns if column.scalar]
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["x_px", "y_px", *names, "class"])
        for cells in read_cells(cells_file_of(result), analyzer.schema):
            titles = [analyzer.groups[group].title for group in analyzer.group_of(cells, criteria).tolist()]
            rows.writerows(zip(cells.x, cells.y, *(cells[name].tolist() for name in names), titles, strict=True))


def cells_geojson(_: Caller, view: ResultView, path: Path) -> None:
    result = view.result
    analyzer, criteria, mpp = result.assay.analyzer, result.profile.criteria, result.analysis.slide.mpp
    counts = analyzer.counts(result.analysis.histograms, criteria)
    write_geojson(path, cells_file_of(result), analyzer, criteria, counts, mpp=mpp)


def whole_json(_: Caller, view: ResultView, path: Path) -> None:
    fields, _drawn = known_fields(view.result, view.result.profile)
    write_json(path, result_json(view.result, None if fields is None else heterogeneity(fields, view.result.assay)))


class _Overview:
    """A slide of which only its overview is read."""

    def __init__(self, picture: Rgb, grid: Grid, facts: SlideFacts) -> None:
        self._picture, self.facts, self.working = picture, facts, grid

    def read(self, region: object) -> Rgb:
        raise NotImplementedError

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        return self._picture, self.working

    def close(self) -> None:
        """It holds nothing."""
