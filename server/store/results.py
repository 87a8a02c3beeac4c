"""Results as rows: a header, a score a compartment, and the histograms that any other profile scores from."""

import math
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
from inference.nuclei import DENSITIES, HUES, VALUES, Histograms, IntArray
from sqlalchemy import Connection, RowMapping, insert, select

from inference.analysis import Analysis, AnalysisSummary, ModelFacts, TileCounts
from inference.geometry import Size
from inference.score import Allred, CompartmentScore
from inference.slide import Level, SlideFacts
from server.domain.errors import Refused, ServiceReason
from server.domain.order import OrderId
from server.domain.result import Result, ResultId, ResultSummary, Scores
from server.store import profiles
from server.store.tables import results, scores

HUE_VALUE_SHAPE, DENSITY_SHAPE = (2, HUES, VALUES), (2, DENSITIES)
COMPARTMENTS = ("stroma", "epithelium", "all")
SUMMARY = [column for column in results.c if column.name not in ("hue_value", "density")]
"""All but the histograms, which are most of a row and of no use to a list."""


def add(connection: Connection, result: Result, lab: str) -> None:
    """Keep a result and its scores."""
    connection.execute(insert(results), header(result, lab) | histograms(result))
    connection.execute(insert(scores), score_rows(result))


def header(result: Result, lab: str) -> dict[str, Any]:
    """Its row but for the histograms."""
    analysis = result.analysis
    return {
        "id": result.id,
        "lab": lab,
        "order_id": result.order_id,
        "predecessor": result.predecessor,
        "created_at": result.created_at,
        "profile": profiles.to_json(result.profile),
        "slide": _plain(analysis.slide),
        "model": _plain(analysis.model),
        "tiles": _plain(analysis.tiles),
        "seconds": {stage: float(seconds) for stage, seconds in analysis.seconds.items()},
        "tissue_mm2": float(analysis.tissue_mm2),
        "analysis_warnings": list(analysis.warnings),
        "warnings": list(result.warnings),
        "nuclei_file": str(result.nuclei_file),
        "software": result.software,
    }


def _plain(value: Any) -> Any:
    """As `dataclasses.asdict`, without its copies: half of what keeping a header took."""
    if is_dataclass(value):
        return {name: _plain(field) for name, field in _named(value).items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _named(value: Any) -> dict[str, Any]:
    """A dataclass's fields, themselves."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def histograms(result: Result) -> dict[str, bytes]:
    """The rest of its row."""
    found = result.analysis.histograms
    return {"hue_value": packed(found.hue_value), "density": packed(found.density)}


def score_rows(result: Result) -> list[dict[str, Any]]:
    """One a compartment, and one of all nuclei."""
    return [_score_row(result, name) for name in COMPARTMENTS]


def get(connection: Connection, result_id: ResultId) -> Result:
    """The result as it was kept. Raises Refused RESULT_UNKNOWN."""
    try:
        uuid.UUID(result_id)
    except ValueError:
        raise Refused(ServiceReason.RESULT_UNKNOWN, "a result's identifier is a UUID") from None
    row = connection.execute(select(results).where(results.c.id == result_id)).mappings().first()
    if row is None:
        raise Refused(ServiceReason.RESULT_UNKNOWN, f"no result {result_id}")
    [summary] = summaries(connection, [row])
    return Result(**(_named(summary) | {"analysis": _analysis(summary.analysis, row)}))


def summaries(connection: Connection, rows: Sequence[RowMapping]) -> list[ResultSummary]:
    """Of rows with the columns of SUMMARY: one statement, however many they are."""
    found = connection.execute(select(scores).where(scores.c.result_id.in_([row["id"] for row in rows]))).mappings()
    by_result: dict[str, dict[str, CompartmentScore]] = {row["id"]: {} for row in rows}
    for score in found:
        by_result[score["result_id"]][score["compartment"]] = _score(score)
    return [_summary(row, by_result[row["id"]]) for row in rows]


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


def _summary(row: RowMapping, by_compartment: Mapping[str, CompartmentScore]) -> ResultSummary:
    order_id, predecessor = row["order_id"], row["predecessor"]
    return ResultSummary(
        id=ResultId(row["id"]),
        order_id=None if order_id is None else OrderId(order_id),
        created_at=row["created_at"].astimezone(UTC),
        profile=profiles.from_json(row["profile"]),
        scores=Scores(**{name: by_compartment[name] for name in COMPARTMENTS}),
        analysis=AnalysisSummary(
            slide=_slide(row["slide"]),
            model=ModelFacts(**row["model"]),
            tissue_mm2=row["tissue_mm2"],
            tiles=TileCounts(**row["tiles"]),
            seconds=dict(row["seconds"]),
            warnings=tuple(row["analysis_warnings"]),
        ),
        nuclei_file=Path(row["nuclei_file"]),
        warnings=tuple(row["warnings"]),
        predecessor=None if predecessor is None else ResultId(predecessor),
        software=row["software"],
    )


def _analysis(summary: AnalysisSummary, row: RowMapping) -> Analysis:
    hue_value, density = unpacked(row["hue_value"], HUE_VALUE_SHAPE), unpacked(row["density"], DENSITY_SHAPE)
    return Analysis(**_named(summary), histograms=Histograms(hue_value=hue_value, density=density))


def _slide(kept: Mapping[str, Any]) -> SlideFacts:
    levels = tuple(Level(size=Size(**level["size"]), mpp=level["mpp"]) for level in kept["levels"])
    uids, notes = tuple(kept["sop_instance_uids"]), tuple(kept["notes"])
    return SlideFacts(
        **{**kept, "size": Size(**kept["size"]), "levels": levels, "sop_instance_uids": uids, "notes": notes}
    )


def _score_row(result: Result, compartment: str) -> dict[str, Any]:
    s: CompartmentScore = getattr(result.scores, compartment)
    low, high = s.h_score_ci95 or (None, None)
    return {
        "result_id": result.id,
        "compartment": compartment,
        "n": s.n,
        "counts": list(s.counts),
        "h_score": s.h_score,
        "h_score_low": low,
        "h_score_high": high,
        "percent_positive": s.percent_positive,
        "allred_ps": None if s.allred is None else s.allred.ps,
        "allred_is": None if s.allred is None else s.allred.is_,
        "allred_total": None if s.allred is None else s.allred.total,
        "irs": s.irs,
    }


def _score(row: RowMapping) -> CompartmentScore:
    unstained, weak, moderate, strong = row["counts"]
    allred = (
        None
        if row["allred_ps"] is None
        else Allred(ps=row["allred_ps"], is_=row["allred_is"], total=row["allred_total"])
    )
    interval = None if row["h_score_low"] is None else (row["h_score_low"], row["h_score_high"])
    return CompartmentScore(
        n=row["n"],
        counts=(unstained, weak, moderate, strong),
        h_score=row["h_score"],
        h_score_ci95=interval,
        percent_positive=row["percent_positive"],
        allred=allred,
        irs=row["irs"],
    )
