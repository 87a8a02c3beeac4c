"""THE PATH of a case on one page: order, assay, retrieve, control, tile, infer, measure, score, store, report,
route.
"""

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pydicom import Dataset

from inference.analyze import Options, Progress, analyze, not_analysed
from inference.analyzers.outlined import has_outlines, needs_outlines
from inference.assay import Assay, assay_of
from inference.cells.file import add_columns
from inference.cells.histograms import Histograms
from inference.checkpoint import Checkpoint, forget
from inference.control import ControlStatus
from inference.engines.factory import asked_with
from inference.fields import Fields, fields_of
from inference.guideline import commented
from inference.infer import Engine, Urgency
from inference.measures import ALL, Score
from inference.quality import Warning
from inference.slide import Slide
from server import metrics
from server.control_gate import Asked, Gate, gate_of_order, of_control_slide
from server.domain.choice import Chosen, Validated, choose
from server.domain.clock import Clock, utc_now
from server.domain.control import ControlRules, ControlWarning
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.events import Event, EventKind
from server.domain.order import Order, OrderId, Priority, Specimen
from server.domain.patients import PatientRules
from server.domain.ports import Claim, Delivery, OpenSlide, SlideQuery, SlideSource, Store
from server.domain.profile import Profile, ProfileRules
from server.domain.result import Result, ResultId
from server.observability import stage
from server.report.codes import Tissue, coded, tissue_of
from server.report.files import kept_files, rewrite_warnings, write_files
from server.report.identity import software_version
from server.report.preparation import preparation_of
from server.report.source import KEPT_HEADER, check_same_patient, check_same_specimen, keep_header, read_source
from server.reporting import Reporting

DRIFT = ControlWarning.CONTROL_DRIFT
SLIDE_FOLDER = "slide"
URGENCIES = {Priority.STAT: Urgency.STAT, Priority.ASAP: Urgency.ASAP, Priority.ROUTINE: Urgency.ROUTINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseServices:
    """What the path of a case needs from outside; `cases` is the folder where each case's files are kept.

    `source` gives a laboratory's archives as one, `rules` how its profiles are chosen, `controls` what it asks of its
    controls, `engine` what runs an assay's model; `reporting` makes what its routes send. `outlines` says whether those
    of nuclei are found too, where they can be.
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
        slide=asked.slide, marker=assay.marker, specimen_id=asked.specimen.id, resolution=engine.model.resolution
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
            gate=lambda slide: gate_of_order(slide, engine, chosen.profile.criteria, control, services.store),
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


def score_slide(
    slide: Slide,
    engine: Engine,
    assay: Assay,
    profile: Profile,
    folder: Path,
    *,
    order: Order | None = None,
    chosen: Chosen | None = None,
    doubts: Sequence[str] = (),
    gate: Callable[[Slide], Gate] = lambda _: Gate(),
    after: Callable[[Gate, Histograms], Gate] = lambda gate, _: gate,
    options: Options | None = None,
    progress: Progress = lambda _: None,
    now: Clock = utc_now,
) -> Result:
    """Analyse a slide and score it by a profile, of an order the one `chosen`; `doubts` are warnings of its own.

    `gate` measures its controls before the case: where that withholds the score, the case isn't analysed and the result
    has no rows. `after` judges those that are known only then. Leaves result.json, overlay.png and the cells
    (nuclei.parquet, nuclei.geojson for nuclear stains) in `folder`.
    """
    analyzer, criteria = assay.analyzer, profile.criteria
    cells_file = folder / f"{analyzer.file_stem}.parquet"
    checkpoint = Checkpoint.in_case(folder) if order else None  # an order may be tried again, a command's slide not
    options = options or Options()
    if needs_outlines(criteria):
        options = replace(options, outlines=True)
    with stage("control"):
        controls = gate(slide)
    with stage("analyze"):
        asked = replace(options, without=(*options.without, *controls.areas))
        look = analyze if controls.open else not_analysed
        analysis = look(slide, engine, analyzer, cells_file, asked, progress, checkpoint)
    controls = after(controls, analysis.histograms)
    metrics.controlled(assay.marker, controls.control.status, drifted=DRIFT in controls.warnings)
    metrics.analysed(analysis)
    if controls.open and not controls.control.is_slide:
        check_scorable(assay, analysis.histograms, profile)
    fields = fields_of(cells_file, analyzer, criteria, mpp=analysis.slide.mpp)
    add_columns(cells_file, analyzer.schema, lambda cells: analyzer.scored_columns(cells, criteria))
    specimen = order.request.specimen if order else Specimen()
    rows = scores_of(assay, analysis.histograms, profile, fields, specimen, controls.control.status)
    strange = assay.out_of_scope(specimen.site_code, specimen.site_text)
    slide_named = repr((analysis.slide, options, *controls.areas))
    result = Result(
        id=result_id(
            order.id if order else None, profile, analysis.model.sha256, slide_named, order.run if order else 1
        ),
        order_id=order.id if order else None,
        created_at=now().replace(microsecond=0),
        marker=assay.marker,
        clinical_region=assay.clinical_region,
        profile=profile,
        scores=rows if controls.open else (),
        analysis=analysis,
        artifacts=kept_files(cells_file, folder / KEPT_HEADER),
        software=software_version(),
        warnings=(
            *analysis.warnings,
            *((Warning.OUT_OF_SCOPE.value,) if strange else ()),
            *doubts,
            *(() if chosen is None else (warning.value for warning in chosen.warnings)),
            *(remarks_of(assay, analysis.histograms, profile, fields, analysis.slide.mpp) if controls.open else ()),
            *(() if options.among or not controls.open else assay.analyzer.whole_remarks),
            *controls.warnings,
        ),
        choice=None if chosen is None else chosen.choice,
        control=controls.control,
        cores=controls.cores,
        run=order.run if order else 1,
    )
    write_files(result, slide, fields, folder)
    return result


def scores_of(
    assay: Assay,
    histograms: Histograms,
    profile: Profile,
    fields: Fields | None,
    specimen: Specimen,
    control: ControlStatus = ControlStatus.ABSENT,
    drawn: Mapping[str, Fields] | None = None,
) -> tuple[Score, ...]:
    """The rows, under public codes where the marker and site have some, with the guideline's comments; intervals where
    the fields are known.

    After them those of regions that a person drew, of all cells in each; `drawn` are their fields.
    """
    rows = _rows(assay, *_scored_part(assay, histograms, fields, drawn), profile)
    for region in histograms.drawn if not is_drawn(assay, histograms) else ():
        of_region = _rows(assay, histograms.of_region(region), (drawn or {}).get(region), profile)
        rows = (*rows, *(replace(row, region=region) for row in of_region if row.region == ALL))
    breast = tissue_of(specimen.site_code, specimen.site_scheme, specimen.site_text) is Tissue.BREAST
    return commented(coded(rows, assay, specimen), control=control, site_known=breast)


def is_drawn(assay: Assay, histograms: Histograms) -> bool:
    """Has a person drawn what the assay's score is to be of?"""
    return bool(assay.analyzer.whole_remarks) and assay.clinical_region in histograms.drawn


def _scored_part(
    assay: Assay, histograms: Histograms, fields: Fields | None, drawn: Mapping[str, Fields] | None
) -> tuple[Histograms, Fields | None]:
    """All cells; those of the region that was drawn, where the score is to be of one."""
    if not is_drawn(assay, histograms):
        return histograms.of_region(""), fields
    return histograms.of_region(assay.clinical_region), (drawn or {}).get(assay.clinical_region)


def remarks_of(
    assay: Assay,
    histograms: Histograms,
    profile: Profile,
    fields: Fields | None,
    mpp: float,
    drawn: Mapping[str, Fields] | None = None,
) -> tuple[str, ...]:
    """What stands beside the scores, by the analyzer."""
    histograms, fields = _scored_part(assay, histograms, fields, drawn)
    counts = assay.analyzer.counts(histograms, profile.criteria)
    return assay.analyzer.remarks(counts, None if fields is None else fields.counts, mpp)


def check_scorable(assay: Assay, histograms: Histograms, profile: Profile) -> None:
    """Raises Refused by the analyzer's reason."""
    found = assay.analyzer.unscorable(histograms, assay.analyzer.counts(histograms.of_region(""), profile.criteria))
    if found is not None:
        raise Refused(found.reason, found.message)


def _rows(assay: Assay, histograms: Histograms, fields: Fields | None, profile: Profile) -> tuple[Score, ...]:
    counts = assay.analyzer.counts(histograms, profile.criteria)
    return assay.analyzer.scores(assay.measures, counts, None if fields is None else fields.counts)


def result_id(order_id: OrderId | None, profile: Profile, model_sha256: str, slide: str, run: int = 1) -> ResultId:
    """The same run of an order, profile revision and model give the same identifier: a second attempt makes no second
    result.

    Without an order, `slide` says which slide and region were scored.
    """
    subject = order_id or f"{slide}/{profile.criteria}"
    again = "" if run == 1 else f"#{run}"
    return ResultId(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{subject}{again}/{profile.label}/{model_sha256}")))
