"""A result as JSON, and back to numbers for whoever reads it: the object that `chromogen score --json` prints."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inference.analysis import ModelFacts
from inference.assay import Assay, criteria_values
from inference.fields import Heterogeneity, Spot
from inference.geometry import Size
from inference.measures import Score
from inference.slide import SlideFacts
from server.domain.profile import Profile
from server.domain.result import Result
from server.report.choice_json import choice_json
from server.report.control_text import control_json
from server.report.quantities import number_of
from server.report.scope_text import use_notes

Json = dict[str, Any]


def result_json(result: Result, heterogeneity: Heterogeneity | None = None) -> Json:
    """Keys are fixed: slide, profile, model, scores, warnings, seconds, tiles, ... and those of the assay's kind
    (`compartments`).
    """
    analysis, assay = result.analysis, result.assay
    return {
        "result_id": result.id,
        "created_at": result.created_at.isoformat(),
        "research_use_only": result.research_use_only,
        "marker": result.marker,
        "clinical_region": result.clinical_region,
        "slide": slide_json(analysis.slide),
        "profile": profile_json(result.profile),
        "profile_choice": None if result.choice is None else choice_json(result.choice),
        "thresholds": criteria_values(result.profile.criteria),
        "model": model_json(analysis.model),
        "software": result.software,
        "scores": scores_json(result),
        **assay.analyzer.extra_json(result.scores),
        "heterogeneity": None if heterogeneity is None else heterogeneity_json(heterogeneity, assay),
        "control": control_json(result.control),
        **({"notes": notes} if (notes := list(use_notes(result))) else {}),
        "warnings": list(result.warnings),
        "tissue_mm2": round(analysis.tissue_mm2, 4),
        "seconds": {k: round(v, 3) for k, v in analysis.seconds.items()},
        "tiles": asdict(analysis.tiles),
    }


def scores_json(result: Result) -> list[Json]:
    """The rows, in their order; None becomes null: of no cells there is no score."""
    known = {measure.code: measure for measure in result.assay.measures}
    return [score_json(row, number_of(row, known.get(row.measure))) for row in result.scores]


def score_json(row: Score, value: int | float | None) -> Json:
    return {
        "code": row.code,
        "scheme": row.scheme,
        "display": row.display,
        "region": row.region,
        "value": value,
        "category": row.category,
        "unit": row.unit,
        "interval": None if row.interval is None else list(row.interval),
        "n": row.n,
        **({"comment": row.comment, "rule": row.rule} if row.rule else {}),
    }


def heterogeneity_json(found: Heterogeneity, assay: Assay) -> Json:
    return asdict(found) | {
        "hot_spot": _spot_json(found.hot_spot, assay),
        "cold_spot": _spot_json(found.cold_spot, assay),
    }


def _spot_json(spot: Spot | None, assay: Assay) -> Json | None:
    return None if spot is None else asdict(spot) | assay.analyzer.spot_json(assay.measures, spot.score)


def model_json(model: ModelFacts) -> Json:
    return {
        "name": model.name,
        "version": model.version,
        "sha256": model.sha256,
        "engine": model.engine,
        "graphs": dict(model.graphs),
    }


def profile_json(profile: Profile) -> Json:
    return {"name": profile.name, "revision": profile.revision, "thresholds": criteria_values(profile.criteria)}


def slide_json(facts: SlideFacts) -> Json:
    """Facts that name the slide; absent ones are left out."""
    names: Json = {"sha256": facts.sha256}
    if facts.sop_instance_uids:
        names["uids"] = {
            "study": facts.study_uid,
            "series": facts.series_uid,
            "sop_instances": list(facts.sop_instance_uids),
        }
    more = {"container_id": facts.container_id, "specimen_id": facts.specimen_id, "icc_sha256": facts.icc_sha256}
    return {
        "mpp": facts.mpp,
        "size": _pair(facts.size),
        "levels": [{"size": _pair(level.size), "mpp": level.mpp} for level in facts.levels],
        **({} if facts.white_point is None else {"white_point": list(facts.white_point)}),
        **{k: v for k, v in (names | more).items() if v},
    }


def write_json(path: Path, value: Json) -> None:
    """Write whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2) + "\n")
    part.replace(path)


def _pair(size: Size) -> list[int]:
    return [size.width, size.height]
