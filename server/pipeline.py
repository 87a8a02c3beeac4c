"""THE PATH of a case on one page: order, assay, retrieve, control, tile, infer, measure, score, store, report,
route.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pydicom import Dataset

from inference.analyze import Options
from inference.analyzers.outlined import has_outlines
from inference.assay import Assay, assay_of
from inference.checkpoint import forget
from inference.engines.factory import asked_with
from inference.infer import Engine, Urgency
from server.control_gate import Asked, gate_of_order, of_control_slide
from server.domain.choice import Chosen, Validated, choose
from server.domain.clock import Clock, utc_now
from server.domain.control import ControlRules
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.events import Event, EventKind
from server.domain.order import Order, Priority
from server.domain.patients import PatientRules
from server.domain.ports import Claim, Delivery, OpenSlide, SlideQuery, SlideSource, Store
from server.domain.profile import ProfileRules
from server.domain.result import Result
from server.observability import stage
from server.report.files import rewrite_warnings
from server.report.preparation import preparation_of
from server.report.source import check_same_patient, check_same_specimen, keep_header, read_source
from server.reporting import Reporting
from server.scoring import score_slide

SLIDE_FOLDER = "slide"
URGENCIES = {Priority.STAT: Urgency.STAT, Priority.ASAP: Urgency.ASAP, Priority.ROUTINE: Urgency.ROUTINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseServices:
    """What the path of a case needs from outside; `cases` is the folder where each case's files are kept.

    `source` gives a laboratory's archives as one, `rules` how its profiles are chosen, `controls` what it asks of its
    controls, `engine` what runs an assay's model; `reporting` makes what its routes send. `outlines` says whether those
    of nuclei are found too, where they can be. `finished` is called with each result that is stored, raising nothing.
    """

    store: Store
    source: Callable[[str], SlideSource]
    rules: Callable[[str], ProfileRules]
    patients: Callable[[str], PatientRules]
    controls: Callable[[str], ControlRules] = lambda _: ControlRules()
    open_slide: OpenSlide
    engine: Callable[[Assay], Engine]
    reporting: Reporting
    today: Callable[[], date]
    cases: Path
    lease_s: float
    outlines: bool = False
    finished: Callable[[Result], None] = lambda _: None
    now: Clock = utc_now


def run_case(claim: Claim, services: CaseServices) -> None:
    """Score an order's slide. Why it can't be goes up to the worker, who ends the order or tries again."""
    folder = services.cases / claim.order.id / attempt_folder(claim)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result, deliveries = score_order(claim, services, folder)
    except Refused:
        if _is_held(claim, services):
            forget(folder.parent)
        raise
    finally:
        shutil.rmtree(folder / SLIDE_FOLDER, ignore_errors=True)  # the archive has it, and the spool as long as it can
    with stage("store"):
        services.store.finish(claim, result, deliveries)
    forget(folder.parent)
    services.finished(result)


def _is_held(claim: Claim, services: CaseServices) -> bool:
    """For a lease from now on, if so: the checkpoints that lie there are no other worker's."""
    try:
        services.store.progress(claim, 0.0, services.lease_s)
    except Failed:
        return False
    return True


def attempt_folder(claim: Claim) -> str:
    """Each claim writes to its own: a worker that lost its claim, or gave it back, may still be writing."""
    return f"{claim.attempt}-{claim.token[:8]}"


def score_order(claim: Claim, services: CaseServices, folder: Path) -> tuple[Result, Sequence[Delivery]]:
    """Everything up to the moment of commit.

    Writes only into the case's folder, so a lost claim leaves nothing behind.
    """
    order = claim.order
    asked = order.request
    assay = assay_of(asked.marker, "the order")
    assay.check_site(asked.specimen.site_code, asked.specimen.site_text)
    engine = asked_with(services.engine(assay), URGENCIES[asked.priority])
    query = SlideQuery(
        slide=asked.slide,
        marker=assay.marker,
        specimen_id=asked.specimen.id,
        resolution=engine.model.resolution,
        labels=services.patients(asked.lab).labels,
    )
    with stage("retrieve"):
        slide_folder = services.source(asked.lab).fetch(query, folder / SLIDE_FOLDER)
        source = read_source(slide_folder)
    check_same_specimen(order, source)
    doubts = check_same_patient(order, source, services.patients(asked.lab))
    chosen = validated(profile_for(order, assay, services, source), assay, engine.facts.sha256, order, services)
    control = asked_control(order, assay, services, chosen)
    slide = services.open_slide(slide_folder, engine.model.resolution)
    try:
        keep_header(slide.facts, source, folder)  # what reports need, checked before a tile is inferred
        result = score_slide(
            slide,
            engine,
            assay,
            chosen.profile,
            folder,
            order=order,
            chosen=chosen,
            doubts=doubts,
            gate=lambda slide: gate_of_order(slide, engine, chosen.profile, control, services.store),
            after=lambda gate, found: of_control_slide(gate, found, chosen.profile.criteria, control, services.store),
            options=Options(refuse_mismatch=True, outlines=services.outlines and has_outlines(assay.analyzer)),
            progress=lambda share: services.store.progress(claim, share, services.lease_s),
            now=services.now,
        )
    finally:
        slide.close()
    with stage("report"):
        reports = services.reporting.report(Event(kind=EventKind.PRELIMINARY, order=order, result=result))
        told = reports.result or result
        rewrite_warnings(told, folder)
        return told, reports.deliveries


def asked_control(order: Order, assay: Assay, services: CaseServices, chosen: Chosen) -> Asked:
    """What its controls are asked of."""
    asked = order.request
    return Asked(
        lab=asked.lab,
        assay=assay,
        specimen=asked.specimen,
        preparation=chosen.choice.preparation,
        rules=services.controls(asked.lab),
        today=services.today(),
        now=services.now(),
    )


def profile_for(order: Order, assay: Assay, services: CaseServices, source: Sequence[Dataset]) -> Chosen:
    """By the order and, as far as the laboratory's rules say, the slide's header. Raises Refused NO_PROFILE,
    PROFILE_EXPIRED.
    """
    asked = order.request
    offered, rules = services.store.profiles(asked.lab, asked.marker), services.rules(asked.lab)
    slide = preparation_of(asked.specimen, source, rules)
    chosen = choose(offered, assay, lab=asked.lab, today=services.today(), rules=rules, preparation=slide)
    if chosen is None:
        message = f"no valid profile for marker {asked.marker}, this clone, stainer and scanner; activate one"
        raise Refused(ServiceReason.NO_PROFILE, message)
    return chosen


def validated(chosen: Chosen, assay: Assay, model_sha256: str, order: Order, services: CaseServices) -> Chosen:
    """With the newest validation of that profile, marker and model, where as many signed it as the laboratory asks."""
    lab, profile = order.request.lab, chosen.profile
    least = services.rules(lab).validation_signatures
    for found in services.store.validations(lab, profile.name, profile.revision):
        if (found.marker, found.model_sha256) == (assay.marker, model_sha256) and len(found.signatures) >= least:
            held = Validated(id=found.id, slides=found.slides, on=found.made_at.date())
            return replace(chosen, choice=replace(chosen.choice, validated=held))
    return chosen
