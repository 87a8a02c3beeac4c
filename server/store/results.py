"""Results as rows: a header, its scores, and the histograms that any other criteria score from."""

import json
import math
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, select

from inference.analysis import Analysis, AnalysisSummary, ModelFacts, TileCounts
from inference.cells.histograms import Histograms
from inference.cells.values import IntArray
from inference.geometry import Size
from inference.measures import Score
from inference.slide import Level, SlideFacts
from server.domain.artifact import Artifact
from server.domain.control import CoreCells
from server.domain.errors import Refused, ServiceReason
from server.domain.order import OrderId
from server.domain.ports import Delivery
from server.domain.result import Result, ResultId, ResultSummary
from server.report import choice_json
from server.store import artifacts, changes, control_json, profiles
from server.store.artifacts import Origin
from server.store.tables import histograms, results, scores

CORE = "control/"
"""Before the number of a core and the name, in names of histograms of control tissue."""


KEEP = """
SELECT chromogen_keep_result(%(result_id)s, %(lab)s, %(result)s, %(scores)s, %(histograms)s, %(packed)s, %(artifacts)s)
"""


def add(connection: Connection, result: Result, lab: str) -> None:
    """Keep a result with its scores, histograms and files."""
    connection.exec_driver_sql(KEEP, given(result, lab))


def given(result: Result, lab: str, deliveries: Sequence[tuple[Delivery, str]] = ()) -> dict[str, Any]:
    """What KEEP asks for; `deliveries` are sent at once, each with the digest of its file."""
    origin = Origin(lab=lab, order_id=result.order_id, result_id=result.id)
    return {
        "result_id": result.id,
        "lab": lab,
        "result": json.dumps(_header(result), default=_plain),
        "scores": json.dumps([_score_row(position, score) for position, score in enumerate(result.scores)]),
        "histograms": json.dumps([{"name": name, "shape": table.shape} for name, table in _tables(result)]),
        "packed": [packed(table) for _, table in _tables(result)],
        "artifacts": json.dumps(artifacts.rows_of(origin, result.artifacts, deliveries)),
    }


def _header(result: Result) -> dict[str, Any]:
    """Its own row, but for whose it is."""
    analysis = result.analysis
    return {
        "order_id": result.order_id,
        "predecessor": result.predecessor,
        "created_at": result.created_at,
        "marker": result.marker,
        "clinical_region": result.clinical_region,
        "profile": profiles.to_json(result.profile),
        "slide": analysis.slide,
        "model": analysis.model,
        "tiles": analysis.tiles,
        "seconds": {stage: float(seconds) for stage, seconds in analysis.seconds.items()},
        "tissue_mm2": float(analysis.tissue_mm2),
        "analysis_warnings": analysis.warnings,
        "warnings": result.warnings,
        "software": result.software,
        "control": control_json.control_to_json(result.control),
        "run": result.run,
        "change": None if result.change is None else changes.to_json(result.change),
        "choice": None if result.choice is None else choice_json.choice_json(result.choice),
    }


def _plain(value: Any) -> Any:
    """What JSON doesn't know: a moment, or a dataclass, whose fields `dataclasses.asdict` would copy."""
    return value.isoformat() if isinstance(value, datetime) else _named(value)


def _named(value: Any) -> dict[str, Any]:
    """A dataclass's fields, themselves."""
    return {name: getattr(value, name) for name in _field_names(type(value))}  # type: ignore[arg-type]


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    """Asked of each result for each of its parts: to look them up anew took a tenth of keeping one."""
    return tuple(field.name for field in fields(kind))


def _score_row(position: int, score: Score) -> dict[str, Any]:
    """But for whose it is, and for what isn't said: to read its names would cost the database more than to keep it."""
    row: dict[str, Any] = {
        "position": position,
        "measure": score.measure,
        "code": score.code,
        "scheme": score.scheme,
        "display": score.display,
        "region": score.region,
        "unit": score.unit,
        "n": score.n,
    }
    if score.value is not None:
        row["value"] = score.value
    if score.category is not None:
        row["category"] = score.category
    if score.interval is not None:
        row["interval_low"], row["interval_high"] = score.interval
    if score.comment:
        row["comment"] = score.comment
    if score.rule:
        row["rule"] = score.rule
    return row


def _tables(result: Result) -> Iterator[tuple[str, IntArray]]:
    """The case's histograms by name, then those of each core of its controls."""
    yield from result.analysis.histograms.tables.items()
    for i, core in enumerate(result.cores):
        yield from ((f"{CORE}{i}/{name}", table) for name, table in core.histograms.tables.items())


def get(connection: Connection, result_id: ResultId) -> Result:
    """The result as it was kept. Raises Refused RESULT_UNKNOWN."""
    try:
        uuid.UUID(result_id)
    except ValueError:
        raise Refused(ServiceReason.RESULT_UNKNOWN, "a result's identifier is a UUID") from None
    row = connection.execute(select(results).where(results.c.id == result_id)).mappings().first()
    if row is None:
        raise Refused(ServiceReason.RESULT_UNKNOWN, f"no result {result_id}")
    [result] = several(connection, [row])
    return result


def several(connection: Connection, found: Sequence[RowMapping]) -> list[Result]:
    """Of rows of `results`, whole: three statements, however many they are."""
    tables = _histograms(connection, [row["id"] for row in found])
    return [_whole(summary, tables[summary.id]) for summary in summaries(connection, found)]


def _whole(summary: ResultSummary, tables: Mapping[str, IntArray]) -> Result:
    own = Histograms({name: table for name, table in tables.items() if not name.startswith(CORE)})
    analysis = Analysis(**_named(summary.analysis), histograms=own)
    return Result(**(_named(summary) | {"analysis": analysis, "cores": _cores(summary, tables)}))


def _cores(summary: ResultSummary, tables: Mapping[str, IntArray]) -> tuple[CoreCells, ...]:
    """Those that were measured on its slide, with the histograms of each."""
    of = [(found, f"{CORE}{i}/") for i, found in enumerate(summary.control.own.cores)]
    return tuple(
        CoreCells(found, Histograms({k.removeprefix(at): t for k, t in tables.items() if k.startswith(at)}))
        for found, at in of
    )


def _histograms(connection: Connection, result_ids: Sequence[str]) -> dict[str, dict[str, IntArray]]:
    """Of each result its tables by name."""
    found: dict[str, dict[str, IntArray]] = {name: {} for name in result_ids}
    for row in connection.execute(select(histograms).where(histograms.c.result_id.in_(result_ids))).mappings():
        found[row["result_id"]][row["name"]] = unpacked(row["counts"], tuple(row["shape"]))
    return found


def summaries(connection: Connection, rows: Sequence[RowMapping]) -> list[ResultSummary]:
    """Of rows of `results`: two statements, however many they are."""
    ids = [row["id"] for row in rows]
    kept = artifacts.kept_with(connection, ids)
    scored: dict[str, list[Score]] = {name: [] for name in ids}
    for score in connection.execute(select(scores).where(scores.c.result_id.in_(ids)).order_by(scores.c.position)):
        scored[score.result_id].append(_score(score._mapping))
    return [_summary(row, scored[row["id"]], kept[row["id"]]) for row in rows]


def packed(histogram: IntArray) -> bytes:
    """zlib of little-endian unsigned integers, as narrow as the largest count allows: 1.3 ms where int64 takes 3 ms."""
    width = np.min_scalar_type(int(histogram.max(initial=0))).itemsize
    counts = np.ascontiguousarray(histogram, dtype=f"<u{width}").tobytes()
    compressor = zlib.compressobj(level=1, memLevel=5)  # a fifth quicker than with the usual memory, as small
    return compressor.compress(counts) + compressor.flush()


def unpacked(kept: bytes, shape: tuple[int, ...]) -> IntArray:
    """The histogram again; its integers' width shows in the length."""
    counts = zlib.decompress(kept)
    return np.frombuffer(counts, dtype=f"<u{len(counts) // math.prod(shape)}").astype(np.int64).reshape(shape)


def _summary(row: RowMapping, scored: Sequence[Score], kept: Sequence[Artifact]) -> ResultSummary:
    order_id, predecessor = row["order_id"], row["predecessor"]
    return ResultSummary(
        id=ResultId(row["id"]),
        order_id=None if order_id is None else OrderId(order_id),
        created_at=row["created_at"].astimezone(UTC),
        marker=row["marker"],
        clinical_region=row["clinical_region"],
        profile=profiles.from_json(row["profile"]),
        scores=tuple(scored),
        analysis=_analysis_summary(row),
        artifacts=tuple(kept),
        warnings=tuple(row["warnings"]),
        predecessor=None if predecessor is None else ResultId(predecessor),
        software=row["software"],
        control=control_json.control_from_json(row["control"]),
        run=row["run"],
        change=changes.from_json(row["change"]),
        choice=None if row["choice"] is None else choice_json.choice_in(row["choice"]),
    )


def _analysis_summary(row: RowMapping) -> AnalysisSummary:
    return AnalysisSummary(
        slide=_slide(row["slide"]),
        model=_model(row["model"]),
        tissue_mm2=row["tissue_mm2"],
        tiles=TileCounts(**row["tiles"]),
        seconds=dict(row["seconds"]),
        warnings=tuple(row["analysis_warnings"]),
    )


def _slide(kept: Mapping[str, Any]) -> SlideFacts:
    levels = tuple(Level(size=Size(**level["size"]), mpp=level["mpp"]) for level in kept["levels"])
    uids, notes, white = tuple(kept["sop_instance_uids"]), tuple(kept["notes"]), kept.get("white_point")
    return SlideFacts(
        **{
            **kept,
            "size": Size(**kept["size"]),
            "levels": levels,
            "sop_instance_uids": uids,
            "notes": notes,
            "white_point": None if white is None else tuple(white),
        }
    )


def _model(kept: Mapping[str, Any]) -> ModelFacts:
    return ModelFacts(**{**kept, "graphs": tuple((name, sha256) for name, sha256 in kept["graphs"])})


def _score(row: RowMapping) -> Score:
    low, high = row["interval_low"], row["interval_high"]
    same = ("measure", "code", "scheme", "display", "region", "value", "category", "unit", "n", "comment", "rule")
    return Score(**{name: row[name] for name in same}, interval=None if low is None else (low, high))
