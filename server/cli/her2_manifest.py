"""The manifest of `chromogen calibrate --marker HER2`: slides whose score is known, analysed."""

import csv
import io
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from inference.analyze import Options, Progress, analyze
from inference.analyzers.her2 import SCORES
from inference.assay import Assay
from inference.calibration.membrane import Known
from inference.control import Core
from inference.errors import Reason, Refused
from inference.infer import Engine
from server.cli.drawn import control_cores, drawn_regions
from server.cli.manifest import normal
from server.cli.regions import opened

NEEDED, OPTIONAL = ("slide", "image", "mpp", "her2_score"), ("region_file", "control_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Her2Row:
    """One line; paths as seen from here."""

    line: int
    slide: str
    image: Path
    mpp: float | None
    score: str
    region_file: Path | None
    control_file: Path | None


def read_her2_manifest(path: Path) -> list[Her2Row]:
    """Raises Refused MANIFEST_INVALID, naming the line."""
    try:
        lines = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError):
        raise Refused(Reason.MANIFEST_INVALID, f"{path} can't be read as CSV in UTF-8") from None
    lines.fieldnames = [name.strip() for name in lines.fieldnames or ()]
    given = set(lines.fieldnames)
    if not set(NEEDED) <= given or given - {*NEEDED, *OPTIONAL}:
        message = f"{path}: its first line must be {','.join(NEEDED)}, and optionally {','.join(OPTIONAL)}"
        raise Refused(Reason.MANIFEST_INVALID, message)
    rows = [_row(path, lines.line_num, fields) for fields in lines]
    if not rows:
        raise Refused(Reason.MANIFEST_INVALID, f"{path} names no slide: add a line {','.join(NEEDED)} for each")
    seen: dict[object, int] = {}
    for row in rows:
        earlier = seen.setdefault((row.image, row.region_file), row.line)
        if earlier != row.line:
            message = f"{path}: line {row.line} repeats line {earlier}: leave one out, or name a region_file of each"
            raise Refused(Reason.MANIFEST_INVALID, message)
    return rows


def _row(path: Path, line: int, fields: Mapping[str, str | None]) -> Her2Row:
    where = f"{path}, line {line}"
    if None in fields or None in fields.values():
        raise Refused(Reason.MANIFEST_INVALID, f"{where} has more or fewer fields than the first line")
    text = {name: (value or "").strip() for name, value in fields.items()}
    if not text["slide"] or not text["image"]:
        raise Refused(Reason.MANIFEST_INVALID, f"{where} names no slide or no image")
    if text["her2_score"] not in SCORES:
        message = f"{where}: her2_score {text['her2_score']!r} is none of {', '.join(SCORES)}"
        raise Refused(Reason.MANIFEST_INVALID, message)
    files = [path.parent / text[name] if text.get(name) else None for name in OPTIONAL]
    return Her2Row(
        line=line,
        slide=text["slide"],
        image=normal(path.parent / text["image"]),
        mpp=_mpp(text["mpp"], where),
        score=text["her2_score"],
        region_file=files[0],
        control_file=files[1],
    )


def _mpp(text: str, where: str) -> float | None:
    try:
        mpp = float(text) if text else None
    except ValueError:
        mpp = 0.0
    if mpp is not None and not 0 < mpp < 100:
        raise Refused(Reason.MANIFEST_INVALID, f"{where}: mpp {text!r} isn't a pixel size in µm")
    return mpp


def gather_known(rows: Sequence[Her2Row], engine: Engine, assay: Assay, progress: Progress) -> list[Known]:
    """The slides' cells, and those of their control cores. Raises Refused, naming the line."""
    known: list[Known] = []
    for done, row in enumerate(rows, 1):
        try:
            known += _known(row, engine, assay)
        except Refused as error:
            raise Refused(error.reason, f"line {row.line}, {row.slide}: {error.message}") from None
        progress(done / len(rows))
    return known


def _known(row: Her2Row, engine: Engine, assay: Assay) -> list[Known]:
    with closing(opened(row.image, row.mpp, engine)) as slide:
        size = slide.facts.size
        cores: Sequence[Core] = control_cores(row.control_file, assay, size) if row.control_file else ()
        drawn = drawn_regions(row.region_file, size) if row.region_file else Options()
        without = (*drawn.without, *(core.area for core in cores))
        asked = [(row.slide, row.score, Options(among=drawn.among, without=without))]
        asked += [
            (f"{row.slide}, {core.area.name}", core.kind.name, Options(region=core.area.box, within=core.area))
            for core in cores
        ]
        found = []
        for name, score, options in asked:
            with tempfile.TemporaryDirectory(prefix="chromogen-") as folder:
                analysis = analyze(slide, engine, assay.analyzer, Path(folder) / "cells.parquet", options)
            found.append(Known(name=name, histograms=analysis.histograms, score=score))
        return found
