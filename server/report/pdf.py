"""A result on one page, for a person: made by reportlab, without a browser. The same result makes the same bytes."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from inference.analyzers.nuclear import table_of
from inference.assay import criteria_of, criteria_values
from inference.cells.histograms import Histograms
from inference.measures import NONE, value_text
from inference.slide import Rgb
from server.domain.order import Order
from server.domain.result import Result
from server.domain.views import ResultView
from server.report.control_text import control_notes
from server.report.identity import use_of
from server.report.quantities import regions
from server.report.scope_text import use_notes, whole_tissue_notes

WIDTH, HEIGHT = A4
MARGIN = 15 * mm
PICTURE_MM = (92, 96)
INK, DIM, LINE = HexColor("#171a20"), HexColor("#565c66"), HexColor("#c5cad3")
FONT, BOLD = "Helvetica", "Helvetica-Bold"
ENCODING = "cp1252"
USE = "It decides nothing: a pathologist does."
BINS = 64
WHOLE = "Patient"
"""Has two places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the page says; `picture` None where the slide can't be reached, `order` for a result of one, without its
    `patient` for who sees none.
    """

    view: ResultView
    order: Order | None
    picture: Rgb | None
    patient: bool = True


def pdf_of(report: Report) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, pageCompression=1)
    result = report.view.result
    canvas.setTitle(f"chromogen {result.marker} {result.id}")
    canvas.setAuthor("chromogen")
    _head(canvas, report)
    top = HEIGHT - 62 * mm
    _picture(canvas, report.picture, top)
    _scores(canvas, result, MARGIN + (PICTURE_MM[0] + 6) * mm, top)
    below = top - (PICTURE_MM[1] + 8) * mm
    _histograms(canvas, result, below)
    _lines(canvas, list(_said(report)), below - 46 * mm)
    _text(canvas, f"{use_of(result)}. {USE}", MARGIN, 10 * mm, size=8, colour=DIM)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _head(canvas: Canvas, report: Report) -> None:
    view, result = report.view, report.view.result
    _text(canvas, f"{result.marker}: {result.assay.measures[0].display}", MARGIN, HEIGHT - 20 * mm, size=17, font=BOLD)
    signed = f", by {view.signed_by} {_time(view.signed_at)}" if view.signed_by else ""
    _text(canvas, f"{view.state}{signed}", MARGIN, HEIGHT - 26 * mm, size=10, font=BOLD, colour=HexColor("#1f4fa3"))
    slot = 0
    for name, value in _identity(report):
        x, y = MARGIN + (slot % 4) * 45 * mm, HEIGHT - (34 + 9 * (slot // 4)) * mm
        slots = 2 if name == WHOLE else 1
        _text(canvas, name, x, y, size=7, colour=DIM)
        _text(canvas, value, x, y - 4 * mm, size=_fitting(value, (45 * slots - 2) * mm), font=BOLD)
        slot += slots


def _fitting(text: str, width: float) -> float:
    """Who it is must be read whole: smaller letters, and no end cut off."""
    return float(min(9.5, 9.5 * width / max(stringWidth(text, BOLD, 9.5), 1)))


def _identity(report: Report) -> Iterator[tuple[str, str]]:
    """Patient and order as the LIS sent them."""
    result, order = report.view.result, report.order
    if order is not None:
        asked = order.request
        if report.patient:
            name = ", ".join(filter(None, (asked.patient.family_name, asked.patient.given_name)))
            born = "" if asked.patient.birth_date is None else asked.patient.birth_date.isoformat()
            yield from ((WHOLE, printable(name)), ("Identifier", asked.patient.id), ("Born", born or NONE))
        yield "Order", asked.placer_order_number.identifier
        yield "Specimen", asked.specimen.id or NONE
        yield "Site", asked.specimen.site_text or asked.specimen.site_code or NONE
    yield "Slide", result.analysis.slide.container_id or NONE
    yield "Laboratory", report.view.lab


def printable(name: str) -> str:
    """A name is printed as it was sent, or not at all: another sign in its place would name somebody else."""
    try:
        name.encode(ENCODING)
    except UnicodeEncodeError:
        return "(signs that can't be printed here)"
    return name or NONE


def _picture(canvas: Canvas, picture: Rgb | None, top: float) -> None:
    width, height = (side * mm for side in PICTURE_MM)
    if picture is None:
        _text(canvas, "The archive doesn't answer: no picture of the slide.", MARGIN, top - 8 * mm, size=9, colour=DIM)
        return
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    scale = min(width / picture.shape[1], height / picture.shape[0])
    shown = picture.shape[1] * scale, picture.shape[0] * scale
    canvas.drawImage(ImageReader(io.BytesIO(data.tobytes())), MARGIN, top - shown[1], *shown)


def _scores(canvas: Canvas, result: Result, left: float, top: float) -> None:
    """Measures down, regions across, intervals below their value."""
    named = regions(result)
    step = (WIDTH - MARGIN - left - 30 * mm) / max(len(named), 1)
    for k, region in enumerate(named):
        _text(canvas, region, left + 30 * mm + k * step, top - 3 * mm, size=8, font=BOLD, most=step)
    y = top - 9 * mm
    for measure in result.assay.measures:
        _text(canvas, measure.title or measure.display, left, y, size=8, most=29 * mm)
        for k, region in enumerate(named):
            row = result.score(measure, region)
            if row is None:
                continue
            x = left + 30 * mm + k * step
            decimals = 0 if measure.whole else 1
            _text(canvas, value_text(row, decimals=decimals), x, y, size=8.5, font=BOLD, most=step)
            if row.interval is not None:
                _text(canvas, "{:.0f} to {:.0f}".format(*row.interval), x, y - 3 * mm, size=6.5, colour=DIM)
        y -= 7 * mm if measure.interval else 5 * mm


def _histograms(canvas: Canvas, result: Result, top: float) -> None:
    """Where the thresholds lie among the cells."""
    width = (WIDTH - 2 * MARGIN - 10 * mm) / 2
    for k, shown in enumerate(axes_of(result.analysis.histograms, criteria_values(result.profile.criteria))):
        left = MARGIN + k * (width + 10 * mm)
        _text(canvas, shown.title, left, top, size=8, font=BOLD)
        _axis(canvas, shown, left, top - 32 * mm, width, 28 * mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Cells by value, from 0 to `most`; `cuts` by name."""

    title: str
    counts: Sequence[int]
    most: float
    cuts: Sequence[tuple[str, float]]


def _table_of(values: dict[str, Any]) -> str:
    """The histogram that criteria of a nuclear stain count by."""
    return table_of(criteria_of(values["method"], {name: v for name, v in values.items() if name != "method"}))


def axes_of(histograms: Histograms, criteria: dict[str, Any]) -> Iterator[Axis]:
    """None for criteria that aren't cuts of a histogram."""
    tables = histograms.of_region("").tables
    if criteria["method"] == "hue_value":
        joint = tables[_table_of(criteria)].sum(axis=0)
        hues = np.arange(len(joint))
        brown = joint[(hues < criteria["hue"]) | (hues > 300)].sum(axis=0)
        yield Axis(title="Hue, degrees", counts=joint.sum(axis=1).tolist(), most=360, cuts=[("brown", criteria["hue"])])
        cuts = [("strong", criteria["left"]), ("moderate", criteria["right"])]
        yield Axis(title="Brightness of brown nuclei", counts=brown.tolist(), most=256, cuts=cuts)
    elif criteria["method"] == "dab_od":
        cuts = [(name, criteria[name]) for name in ("weak", "moderate", "strong")]
        counts = tables[_table_of(criteria)].sum(axis=0).tolist()
        yield Axis(title="DAB optical density", counts=counts, most=3.01, cuts=cuts)


def _axis(canvas: Canvas, axis: Axis, left: float, bottom: float, width: float, height: float) -> None:
    bars = [int(part.sum()) for part in np.array_split(np.array(axis.counts), BINS)]
    highest = max(*bars, 1)
    canvas.setFillColor(HexColor("#8fa3c7"))
    for k, n in enumerate(bars):
        tall = (n / highest) ** 0.5 * height * 0.85
        canvas.rect(left + k * width / BINS, bottom, width / BINS - 0.4, tall, stroke=0, fill=1)
    canvas.setStrokeColor(LINE)
    canvas.line(left, bottom, left + width, bottom)
    for name, cut in axis.cuts:
        x = left + cut / axis.most * width
        canvas.setStrokeColor(INK)
        canvas.line(x, bottom, x, bottom + height)
        _text(canvas, f"{name} {cut:g}", x + 1 * mm, bottom + height - 3 * mm, size=7)
    for k in range(5):
        value = f"{axis.most * k / 4:.3g}"
        _text(canvas, value, left + width * k / 4 - 2 * mm * (k > 0), bottom - 3.5 * mm, size=6.5, colour=DIM)


def _said(report: Report) -> Iterator[tuple[str, str]]:
    result = report.view.result
    model, slide, tiles = result.analysis.model, result.analysis.slide, result.analysis.tiles
    values = criteria_values(result.profile.criteria)
    yield "Profile", f"{result.profile.label}: " + ", ".join(f"{name} {value}" for name, value in values.items())
    yield "Controls", " ".join(control_notes(result.control)) or "no control tissue was measured"
    yield "Warnings", ", ".join(result.warnings) or "none"
    yield from (("Use", note) for note in use_notes(result))
    yield from (("Score of", note) for note in whole_tissue_notes(result))
    if result.change is not None:
        regions_, cells = len(result.change.regions), len(result.change.cells)
        yield "Changed", f"by {result.change.by}: {result.change.why} ({regions_} regions, {cells} single cells)"
    yield "Predecessor", str(result.predecessor or "none")
    yield "Result", f"{result.id}, made {_time(result.created_at)} by chromogen {result.software}"
    yield "Model", f"{model.name} {model.version}, {model.engine}, SHA-256 {model.sha256}"
    size = f"{slide.size.width} x {slide.size.height} px of {slide.mpp:g} µm"
    yield "Slide", f"{size}, {result.analysis.tissue_mm2:.1f} mm² of tissue, series {slide.series_uid or NONE}"
    yield "Tiles", f"{tiles.analysed} of {tiles.planned}, {tiles.unreadable} unreadable"


def _lines(canvas: Canvas, said: Sequence[tuple[str, str]], top: float) -> None:
    y = top
    for name, text in said:
        _text(canvas, name, MARGIN, y, size=8, colour=DIM)
        for line in _wrapped(text, WIDTH - 2 * MARGIN - 24 * mm):
            _text(canvas, line, MARGIN + 24 * mm, y, size=8)
            y -= 4 * mm
            if y < 14 * mm:
                return


def _wrapped(text: str, width: float) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and stringWidth(longer, FONT, 8) > width:
            yield line
            longer = word
        line = longer
    yield line


def _text(
    canvas: Canvas,
    text: str,
    x: float,
    y: float,
    *,
    size: float,
    font: str = FONT,
    colour: Color = INK,
    most: float | None = None,
) -> None:
    """Cut off where it is wider than `most`; signs that the font lacks as a question mark."""
    text = text.encode(ENCODING, "replace").decode(ENCODING)
    while most is not None and len(text) > 1 and stringWidth(text, font, size) > most:
        text = text[:-2] + "…"
    canvas.setFillColor(colour)
    canvas.setFont(font, size)
    canvas.drawString(x, y, text)


def _time(at: Any) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
