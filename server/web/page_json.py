"""What the page is told, as JSON: the work list, and a result with all that stands beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from inference.analyzers.analyzer import Analyzer
from inference.assay import Assay, assay_of
from inference.errors import Refused
from inference.guideline import GUIDELINES, Step
from inference.measures import Measure, Score
from server.domain.access import Caller
from server.domain.change import Change
from server.domain.estimate import Compared, Estimate, ReaderAgreement, asked_measure, asked_regions, most_of
from server.domain.ports import OrderView
from server.domain.result import Result, ResultId, ResultSummary
from server.domain.views import ProfileView, ResultView, SummaryView
from server.domain.work import Comment, WorkItem
from server.report.quantities import number_of
from server.report.result_json import profile_json, result_json, score_json
from server.services.case_markers import CaseMarkers
from server.services.comparison import MeasureComparison, compared
from server.services.estimates import Comparison
from server.services.slide_tiles import Pyramid

Json = dict[str, Any]


def work_json(item: WorkItem, hidden: frozenset[ResultId]) -> Json:
    """Without the patient: a list would note that each of them was seen; without scores that are hidden."""
    order, request = item.order, item.order.order.request
    return {
        "order": order.order.id,
        "number": request.placer_order_number.identifier,
        "slide": request.slide.container_id,
        "specimen": request.specimen.id,
        "marker": request.marker,
        "priority": str(request.priority),
        "received": order.order.received_at.isoformat(),
        "state": str(item.state),
        "progress": round(order.progress, 3),
        "reason": order.reason,
        "detail": order.detail,
        "result": None if item.result is None else short_json(item.result, hidden),
    }


def short_json(view: SummaryView, hidden: frozenset[ResultId] = frozenset()) -> Json:
    """A result of a list, with its first score, unless that is hidden."""
    result, measure = view.result, view.result.assay.measures[0]
    row = result.score(measure, result.clinical_region) or result.score(measure)
    if result.id in hidden:
        row = None
    return {
        "id": result.id,
        "hidden": result.id in hidden,
        "created": result.created_at.isoformat(),
        "state": str(view.state),
        "signed_by": view.signed_by,
        "profile": result.profile.label,
        "by": "" if result.change is None else result.change.by,
        "why": "" if result.change is None else result.change.why,
        "predecessor": result.predecessor,
        "warnings": list(result.warnings),
        "withheld": result.control.withheld,
        "score": None if row is None else score_json(row, number_of(row, measure)) | {"title": measure.title},
    }


def whole_json(
    caller: Caller,
    view: ResultView,
    order: OrderView | None,
    history: Sequence[SummaryView],
    comments: Iterable[Comment],
    estimates: Iterable[Estimate],
    pyramid: Pyramid,
) -> Json:
    """`patient` null for a result without an order, and for a caller who sees no patients."""
    result = view.result
    return {
        **bare_json(caller, view, order, pyramid),
        "hidden": False,
        "signed_by": view.signed_by,
        "signed_at": None if view.signed_at is None else view.signed_at.isoformat(),
        "reason": view.reason,
        "predecessor": result.predecessor,
        "change": change_json(result.change),
        "profile": profile_json(result.profile) | {"source": result.profile.source, "label": result.profile.label},
        "result": result_json(result),
        "scores": rows_json(result.scores, result.assay),
        "history": [short_json(other) for other in history],
        "comments": [comment_json(comment) for comment in comments],
        "estimates": [estimate_json(estimate) for estimate in estimates],
    }


def bare_json(caller: Caller, view: ResultView, order: OrderView | None, pyramid: Pyramid) -> Json:
    """What is told of a result whose score is hidden."""
    return {
        "id": view.result.id,
        "etag": view.etag,
        "laboratory": view.lab,
        "state": str(view.state),
        "hidden": True,
        "assay": assay_json(view.result.assay),
        "pyramid": asdict(pyramid),
        "order": None if order is None else order_json(order),
        "patient": None if order is None or not caller.sees_patients else patient_json(order),
        "estimate": asked_json(view.result),
    }


def asked_json(result: ResultSummary) -> Json | None:
    """What can be estimated; null where nothing can."""
    measure, regions = asked_measure(result.assay), asked_regions(result)
    if not regions:
        return None
    said = {"display": measure.display, "unit": measure.unit, "categories": list(measure.categories)}
    return said | {"most": most_of(measure), "regions": list(regions)}


def estimate_json(estimate: Estimate) -> Json:
    return asdict(estimate) | {"at": estimate.at.isoformat()}


def own_json(found: Comparison) -> Json:
    """Of one reader: agreement by marker, measure and region, and the pairs of score and estimate that it is of."""
    return {"agreements": [_own(one, found.told) for one in found.agreements if one.reader], "more": found.more}


def _own(one: ReaderAgreement, told: Sequence[Compared]) -> Json:
    of, key = one.agreement, (one.marker, one.agreement.measure, one.agreement.region)
    those = [c for c in told if (c.marker, c.estimate.measure, c.estimate.region) == key]
    pairs = [(c.score, c.estimate.value) for c in those]
    measure = next(m for m in assay_of(one.marker).measures if m.code == of.measure)
    return {"marker": one.marker, **asdict(of), "categories": list(measure.categories), "pairs": pairs}


def case_json(case: CaseMarkers, hidden: frozenset[ResultId]) -> Json:
    """The markers of a case; no proportion where one of the two scores is hidden."""
    unseen = {view.result.marker for view in case.views if view.result.id in hidden}
    known = [ratio for ratio in case.ratios if not unseen & {ratio.marker, ratio.by}]
    markers = [short_json(view, hidden) | {"marker": view.result.marker} for view in case.views]
    return {"markers": markers, "ratios": [asdict(ratio) for ratio in known]}


def compared_json(result: Result, other: ProfileView) -> Json:
    """A profile beside the result's own: rows of all cells under both, or the reason why it can't score them."""
    named = profile_json(other.profile) | {"label": other.profile.label, "state": str(other.state)}
    try:
        measures = compared(result, result.profile, other.profile).measures
    except Refused as error:
        return named | {"refused": error.message, "rows": []}
    return named | {"refused": "", "rows": [_compared_row(row) for row in measures]}


def _compared_row(row: MeasureComparison) -> Json:
    def value(score: Score | None) -> float | str | None:
        return None if score is None else (score.category or score.value)

    return {"code": row.measure.code, "first": value(row.first), "second": value(row.second)}


def rows_json(scores: Iterable[Score], assay: Assay) -> list[Json]:
    """The scores with the code that the page computes them by, whatever public code they bear."""
    known = {measure.code: measure for measure in assay.measures}
    rows = ((row, known.get(row.measure)) for row in scores)
    return [score_json(row, number_of(row, measure)) | {"measure": row.measure} for row, measure in rows]


def change_json(change: Change | None) -> Json | None:
    if change is None:
        return None
    return {
        "by": change.by,
        "why": change.why,
        "regions": [{"class": str(region.kind), "points": region.points} for region in change.regions],
        "cells": [[cell.row, cell.group] for cell in change.cells],
    }


def assay_json(assay: Assay) -> Json:
    analyzer = assay.analyzer
    return {
        "marker": assay.marker,
        "kind": assay.kind,
        "clinical_region": assay.clinical_region,
        "cells": analyzer.file_stem,
        "measures": [_measure(measure) for measure in assay.measures],
        "regions": [{"name": r.name, "display": r.display} for r in analyzer.regions],
        "groups": _groups(analyzer),
        "stains": list(analyzer.stains),
        "histograms": [{"name": spec.name, "shape": spec.shape} for spec in analyzer.histograms],
    }


def _measure(measure: Measure) -> Json:
    return {
        "code": measure.code,
        "display": measure.display,
        "title": measure.title,
        "unit": measure.unit,
        "whole": measure.whole,
        "interval": measure.interval,
        "regions": list(measure.regions),
        "steps": [_step(step) for step in GUIDELINES[measure.code].steps] if measure.code in GUIDELINES else [],
    }


def _step(step: Step) -> Json:
    """`edge` as a fraction: categories are exact at their edges."""
    edge = None if step.edge is None else [step.edge.numerator, step.edge.denominator]
    return {"edge": edge, "inclusive": step.inclusive, "category": step.category}


def _groups(analyzer: Analyzer) -> list[Json]:
    return [
        {"name": g.name, "title": g.title, "region": g.region, "colour": g.colour, "filled": g.filled}
        for g in analyzer.groups
    ]


def order_json(view: OrderView) -> Json:
    request = view.order.request
    return {
        "id": view.order.id,
        "number": request.placer_order_number.identifier,
        "priority": str(request.priority),
        "procedure": request.procedure_text,
        "received": view.order.received_at.isoformat(),
        "slide": request.slide.container_id,
        "specimen": request.specimen.id,
        "site": request.specimen.site_text or request.specimen.site_code,
        "processing": str(request.processing_id),
    }


def patient_json(view: OrderView) -> Json:
    """As the LIS sent it."""
    patient = view.order.request.patient
    return {
        "id": patient.id,
        "name": ", ".join(filter(None, (patient.family_name, patient.given_name))),
        "born": None if patient.birth_date is None else patient.birth_date.isoformat(),
        "sex": patient.sex,
    }


def comment_json(comment: Comment) -> Json:
    return {"result": comment.result_id, "by": comment.by, "at": comment.at.isoformat(), "text": comment.text}
