"""What `chromogen calibrate --json` prints; its keys are fixed where other tools read them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from inference.assay import criteria_values
from inference.calibrate import Calibration, Way
from inference.calibration.concerns import Advice
from inference.calibration.fit import HueBy
from inference.calibration.left_out import LeftOut
from inference.calibration.observers import ObserverAgreement
from inference.measures import ALL

DIGITS = 4


def calibration_json(found: Calibration, advice: Sequence[Advice], parts: Sequence[str]) -> dict[str, Any]:
    """`parts` are the names of compartments; `all` is added."""
    chosen = found.chosen
    return {
        "by": found.settings.by.value,
        "thresholds": criteria_values(chosen.fit.criteria),
        "left_out": [row_json(row) for row in chosen.left_out],
        "left_out_all": [row_json(row) for row in chosen.left_out_all],
        "mean_error": rounded(chosen.mean_error),
        "mean_error_by_compartment": {part: rounded(chosen.mean_error_of(part)) for part in (*parts, ALL)},
        "fit_error": rounded(chosen.fit.loss),
        "kappa": rounded(found.kappa),
        "n": found.n,
        "slides": found.slides,
        "regions": found.regions,
        "interval95": {name: [rounded(v) for v in ends] for name, ends in chosen.intervals.items()},
        "flat": {"n": chosen.fit.flat.n, **{name: list(ends) for name, ends in chosen.fit.flat.ranges.items()}},
        "hue_by": hue_ways(found),
        "warnings": list(dict.fromkeys(a.concern.value for a in advice)),
        "advice": [{"warning": a.concern.value, "text": a.text} for a in advice],
    }


def row_json(row: LeftOut) -> dict[str, Any]:
    """`error` is absolute."""
    return {
        "slide": row.slide,
        "compartment": row.part,
        "quantity": row.quantity.value,
        "n": row.n,
        "annotated": rounded(row.annotated),
        "fitted": rounded(row.fitted),
        "error": rounded(abs(row.error)),
    }


def hue_ways(found: Calibration) -> dict[str, Any]:
    """The hue threshold searched and by the two peaks of the hues, each with its fit; null where it wasn't possible."""
    mine = found.settings.hue_by
    ways: dict[HueBy, Way | None] = {by: found.chosen if by is mine else found.other for by in HueBy}
    return {
        by.value: None
        if way is None
        else {
            "thresholds": criteria_values(way.fit.criteria),
            "fit_error": rounded(way.fit.loss),
            "mean_error": rounded(way.mean_error),
        }
        for by, way in ways.items()
    }


def observers_json(agreement: ObserverAgreement, thresholds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Two annotators: how far they agree, and the thresholds that each one's annotations give."""
    return {
        "names": list(thresholds),
        "thresholds": {name: dict(values) for name, values in thresholds.items()},
        "n": agreement.n,
        "similarity": rounded(agreement.similarity),
        "paired": rounded(agreement.paired),
        "kappa": rounded(agreement.kappa_grade),
        "kappa_weighted": rounded(agreement.kappa_grade_weighted),
        "kappa_class": rounded(agreement.kappa_class),
        "h_score_difference": {part: rounded(v) for part, v in agreement.h_score_difference.items()},
    }


def rounded(value: float | None) -> float | None:
    """JSON has no NaN: what isn't defined is null."""
    return None if value is None or math.isnan(value) else round(float(value), DIGITS)


def source_text(found: Calibration) -> str:
    """Where the thresholds come from, as the profile says it."""
    error = found.chosen.mean_error
    trust = "no slide left out" if error is None else f"mean error on slides left out {error:.1f}"
    counted = f"{found.slides} slides, {found.regions} regions, {found.n} nuclei"
    return f"chromogen calibrate by {found.settings.by}: {counted}; {trust}"
