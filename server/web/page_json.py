"""What the page is told, as JSON: the work list, and a result with all that stands beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from inference.analyzers.analyzer import Analyzer
from inference.assay import Assay
from inference.guideline import GUIDELINES, Step
from inference.measures import Measure
from server.domain.change import Change
from server.domain.ports import OrderView
from server.domain.result import Result
from server.domain.views import ResultView, SummaryView
from server.domain.work import Comment, WorkItem
from server.report.quantities import number_of
from server.report.result_json import profile_json, result_json, score_json
from server.services.slide_tiles import Pyramid

Json = dict[str, Any]


def work_json(item: WorkItem) -> Json:
    """Without the patient: a list would note that each of them was seen."""
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
        "result": None if item.result is None else short_json(item.result),
    }


def short_json(view: SummaryView) -> Json:
    """A result of a list, with its first score."""
    result, measure = view.result, view.result.assay.measures[0]
    row = result.score(measure, result.clinical_region) or result.score(measure)
    return {
        "id": result.id,
        "created": result.created_at.isoformat(),
        "state": str(view.state),
        "signed_by": view.signed_by,
        "profile": result.profile.label,
        "by": "" if result.change is None else result.change.by,
        "why": "" if result.change is None else result.change.why,
        "predecessor": result.predecessor,
        "warnings": list(result.warnings),
        "score": None if row is None else score_json(row, number_of(row, measure)) | {"title": measure.title},
    }


def whole_json(
    view: ResultView,
    order: OrderView | None,
    history: Sequence[SummaryView],
    comments: Iterable[Comment],
    pyramid: Pyramid,
) -> Json:
    """`patient` null for a result without an order."""
    result = view.result
    return {
        "id": result.id,
        "etag": view.etag,
        "laboratory": view.lab,
        "state": str(view.state),
        "signed_by": view.signed_by,
        "signed_at": None if view.signed_at is None else view.signed_at.isoformat(),
        "reason": view.reason,
        "predecessor": result.predecessor,
        "change": change_json(result.change),
        "assay": assay_json(result.assay),
        "profile": profile_json(result.profile) | {"source": result.profile.source, "label": result.profile.label},
        "result": result_json(result),
        "scores": rows_json(result),
        "pyramid": asdict(pyramid),
        "order": None if order is None else order_json(order),
        "patient": None if order is None else patient_json(order),
        "history": [short_json(other) for other in history],
        "comments": [comment_json(comment) for comment in comments],
    }


def rows_json(result: Result) -> list[Json]:
    """The scores with the code that the page computes them by, whatever public code they bear."""
    known = {measure.code: measure for measure in result.assay.measures}
    rows = ((row, known.get(row.measure)) for row in result.scores)
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
