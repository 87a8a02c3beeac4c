"""Results as rows: a header, its scores, and the histograms that any other criteria score from."""

import math
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, insert, select

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
from server.domain.result import Result, ResultId, ResultSummary
from server.report import choice_json
from server.store import artifacts, changes, control_json, profiles
from server.store.artifacts import Origin
from server.store.tables import histograms, results, scores

CORE = "control/"
"""Before the number of a core and the name, in names of histograms of control tissue."""


def add(connection: Connection, result: Result, lab: str) -> None:
    """Keep a result with its scores, histograms and files."""
    connection.execute(insert(results), header(result, lab))
    of = {"result_id": result.id, "lab": lab}
    if result.scores:  # a score that is withheld has no row
        connection.execute(insert(scores), [row | of for row in score_rows(result)])
    packed_ones = zip(histogram_rows(result), packed_counts(result), strict=True)
    connection.execute(insert(histograms), [row | of | {"counts": counts} for row, counts in packed_ones])
    artifacts.add(connection, artifacts.rows_of(origin_of(result, lab), result.artifacts))


def header(result: Result, lab: str) -> dict[str, Any]:
    """Its own row."""
    analysis = result.analysis
    return {
        "id": result.id,
        "lab": lab,
        "order_id": result.order_id,
        "predecessor": result.predecessor,
        "created_at": result.created_at,
        "marker": result.marker,
        "clinical_region": result.clinical_region,
        "profile": profiles.to_json(result.profile),
        "slide": _plain(analysis.slide),
        "model": _plain(analysis.model),
        "tiles": _plain(analysis.tiles),
        "seconds": {stage: float(seconds) for stage, seconds in analysis.seconds.items()},
        "tissue_mm2": float(analysis.tissue_mm2),
        "analysis_warnings": list(analysis.warnings),
        "warnings": list(result.warnings),
        "software": result.software,
        "control": control_json.control_to_json(result.control),
        "run": result.run,
        "change": None if result.change is None else changes.to_json(result.change),
        "choice": None if result.choice is None else choice_json.choice_json(result.choice),
    }


def _plain(value: Any) -> Any:
    """As `dataclasses.asdict`, without its copies: half of what keeping a header took."""
    if is_dataclass(value):
        return {name: _plain(field) for name, field in _named(value).items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _named(value: Any) -> dict[str, Any]:
    """A dataclass's fields, themselves."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def score_rows(result: Result) -> list[dict[str, Any]]:
    """But for whose they are."""
    return [_score_row(position, score) for position, score in enumerate(result.scores)]


def _score_row(position: int, score: Score) -> dict[str, Any]:
    low, high = score.interval or (None, None)
    return {
        "position": position,
        "measure": score.measure,
        "code": score.code,
        "scheme": score.scheme,
        "display": score.display,
        "region": score.region,
        "value": score.value,
        "category": score.category,
        "unit": score.unit,
        "interval_low": low,
        "interval_high": high,
        "n": score.n,
        "comment": score.comment,
        "rule": score.rule,
    }


def histogram_rows(result: Result) -> list[dict[str, Any]]:
    """Name and shape of each; `packed_counts` are the same ones'."""
    return [{"name": name, "shape": list(table.shape)} for name, table in _tables(result)]


def packed_counts(result: Result) -> list[bytes]:
    return [packed(table) for _, table in _tables(result)]


def _tables(result: Result) -> Iterator[tuple[str, IntArray]]:
    """The case's histograms by name, then those of each core of its controls."""
    yield from result.analysis.histograms.tables.items()
    for i, core in enumerate(result.cores):
        yield from ((f"{CORE}{i}/{name}", table) for name, table in core.histograms.tables.items())


def origin_of(result: Result, lab: str) -> Origin:
    return Origin(lab=lab, order_id=result.order_id, result_id=result.id)


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
