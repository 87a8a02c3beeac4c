"""The manifest of `chromogen calibrate`: a CSV with a line for each annotated region."""

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.analyzers.analyzer import Analyzer
from inference.calibration.sample import Quantity, Target
from inference.errors import Reason, Refused
from inference.geometry import Region
from server.cli.score import parse_region

NEEDED = ("slide", "image", "mpp", "annotation")
HIGHEST = {Quantity.H_SCORE: 300.0, Quantity.PERCENT_POSITIVE: 100.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One line: paths are absolute or as seen from here; `targets` are the scores that it gives in its columns."""

    line: int
    slide: str
    image: Path
    mpp: float | None
    annotation: Path | None
    region: Region | None
    annotator: str
    targets: tuple[Target, ...]

    @property
    def name(self) -> str:
        """As messages name it."""
        return f"line {self.line} ({self.image.name})"


def read_manifest(path: Path, analyzer: Analyzer) -> list[ManifestRow]:
    """Raises Refused MANIFEST_INVALID naming the line and what is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise Refused(Reason.MANIFEST_INVALID, f"{path} can't be read as CSV in UTF-8") from None
    lines = csv.DictReader(io.StringIO(text))
    lines.fieldnames = [name.strip() for name in lines.fieldnames or ()]
    scores = _score_columns(analyzer)
    _check_header(path, lines.fieldnames, scores)
    rows = [_row(path, lines.line_num, fields, scores) for fields in lines]
    if not rows:
        message = f"{path} names no region: add a line {','.join(NEEDED)} for each"
        raise Refused(Reason.MANIFEST_INVALID, message)
    _check_repeats(path, rows)
    return rows


def _score_columns(analyzer: Analyzer) -> dict[str, tuple[str, Quantity]]:
    return {
        f"{quantity}_{region.name}": (region.name, quantity) for quantity in Quantity for region in analyzer.regions
    }


def _check_header(path: Path, given: list[str], scores: Mapping[str, object]) -> None:
    missing = [name for name in NEEDED if name not in given]
    unknown = [name for name in given if name not in (*NEEDED, "region", "annotator", *scores)]
    if missing:
        message = f"{path} lacks {', '.join(missing)}; its first line begins {','.join(NEEDED)}"
        raise Refused(Reason.MANIFEST_INVALID, message)
    if unknown:
        optional = ", ".join(("region", "annotator", *scores))
        message = f"{path} has unknown columns: {', '.join(unknown)}; beside {', '.join(NEEDED)} may stand {optional}"
        raise Refused(Reason.MANIFEST_INVALID, message)


def _row(
    path: Path, line: int, fields: Mapping[str, str | None], scores: Mapping[str, tuple[str, Quantity]]
) -> ManifestRow:
    where = f"{path}, line {line}"
    if None in fields or None in fields.values():
        raise Refused(
            Reason.MANIFEST_INVALID,
            f'{where} has more or fewer fields than the first line; a region is quoted: "X,Y,W,H"',
        )
    text = {name: (value or "").strip() for name, value in fields.items()}
    if not text["slide"] or not text["image"]:
        raise Refused(Reason.MANIFEST_INVALID, f"{where} names no slide or no image")
    given = {of: _number(text[name], HIGHEST[of[1]], where, name) for name, of in scores.items() if text.get(name)}
    if not text["annotation"] and not given:
        message = f"{where} has neither an annotation nor a score ({', '.join(scores)})"
        raise Refused(Reason.MANIFEST_INVALID, message)
    return ManifestRow(
        line=line,
        slide=text["slide"],
        image=normal(path.parent / text["image"]),
        mpp=_number(text["mpp"], 1000.0, where, "mpp") if text["mpp"] else None,
        annotation=path.parent / text["annotation"] if text["annotation"] else None,
        region=_region(text["region"], where) if text.get("region") else None,
        annotator=text.get("annotator", ""),
        targets=tuple(Target(part=part, quantity=q, value=value) for (part, q), value in given.items()),
    )


def normal(path: Path) -> Path:
    """`./a` is `a`: the same image is known as the same."""
    return Path(os.path.normpath(path))


def _region(text: str, where: str) -> Region:
    try:
        return parse_region(text)
    except Refused as error:
        raise Refused(error.reason, f"{where}: {error.message}") from None


def _number(text: str, highest: float, where: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= highest or (name == "mpp" and value == 0):
        raise Refused(Reason.MANIFEST_INVALID, f"{where}: {name} {text!r} isn't a number up to {highest:g}")
    return value


def _check_repeats(path: Path, rows: list[ManifestRow]) -> None:
    """No region twice by one person, no image on two slides, and at most two persons."""
    seen: dict[object, int] = {}
    slides: dict[Path, str] = {}
    for row in rows:
        earlier = seen.setdefault((row.image, row.region, row.annotator), row.line)
        if earlier != row.line:
            message = f"{path}: line {row.line} repeats line {earlier}; name the annotator, or leave one out"
            raise Refused(Reason.MANIFEST_INVALID, message)
        if slides.setdefault(row.image, row.slide) != row.slide:
            message = f"{path}, line {row.line}: {row.image.name} is of slide {slides[row.image]} in an earlier line"
            raise Refused(Reason.MANIFEST_INVALID, message)
    if len({row.annotator for row in rows}) > 2:
        raise Refused(Reason.MANIFEST_INVALID, f"{path} names more than two annotators: compare two at a time")
