"""A result as JSON, and back to numbers for whoever reads it: the object that `chromogen score --json` prints."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inference.fields import Heterogeneity
from inference.geometry import Size
from inference.grade import DensityThresholds, HueValueThresholds, Thresholds
from inference.score import CompartmentScore
from inference.slide import SlideFacts
from server.domain.profile import Profile
from server.domain.result import Result, Scores

Json = dict[str, Any]


def result_json(result: Result, heterogeneity: Heterogeneity | None = None) -> Json:
    """Keys are fixed: slide, profile, model, compartments, warnings, seconds, tiles, ..."""
    analysis = result.analysis
    return {
        "result_id": result.id,
        "created_at": result.created_at.isoformat(),
        "research_use_only": True,
        "slide": slide_json(analysis.slide),
        "profile": profile_json(result.profile),
        "model": asdict(analysis.model),
        "software": result.software,
        "compartments": compartments_json(result.scores),
        "heterogeneity": None if heterogeneity is None else asdict(heterogeneity),
        "warnings": list(result.warnings),
        "tissue_mm2": round(analysis.tissue_mm2, 4),
        "seconds": {k: round(v, 3) for k, v in analysis.seconds.items()},
        "tiles": asdict(analysis.tiles),
    }


def compartments_json(scores: Scores) -> Json:
    """stroma, epithelium, all."""
    return {
        "stroma": score_json(scores.stroma),
        "epithelium": score_json(scores.epithelium),
        "all": score_json(scores.all),
    }


def score_json(score: CompartmentScore) -> Json:
    """None becomes null: a compartment without nuclei has no score."""
    allred = score.allred
    return {
        "n": score.n,
        "counts": list(score.counts),
        "h_score": score.h_score,
        "h_score_ci95": None if score.h_score_ci95 is None else list(score.h_score_ci95),
        "percent_positive": score.percent_positive,
        "allred": None if allred is None else {"ps": allred.ps, "is": allred.is_, "total": allred.total},
        "irs": score.irs,
    }


def profile_json(profile: Profile) -> Json:
    return {"name": profile.name, "revision": profile.revision, "thresholds": thresholds_json(profile.thresholds)}


def thresholds_json(thresholds: Thresholds) -> Json:
    match thresholds:
        case HueValueThresholds():
            return {"method": "hue_value", "hue": thresholds.hue, "left": thresholds.left, "right": thresholds.right}
        case DensityThresholds():
            cuts = {n: getattr(thresholds, n) / 100 for n in ("weak", "moderate", "strong")}
            return {"method": "dab_od", **cuts}


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
        **{k: v for k, v in (names | more).items() if v},
    }


def write_json(path: Path, value: Json) -> None:
    """Write whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2) + "\n")
    part.replace(path)


def _pair(size: Size) -> list[int]:
    return [size.width, size.height]
