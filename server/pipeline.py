"""THE PATH of a case on one page: order -> assay -> retrieve -> tile -> infer -> measure -> score -> store -> report."""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from inference.analyze import Options, Progress, analyze
from inference.assay import Assay, assay_of
from inference.cells.histograms import Histograms
from inference.checkpoint import Checkpoint, forget
from inference.engines.factory import asked_with
from inference.fields import Fields, fields_of, heterogeneity
from inference.geojson import write_geojson
from inference.infer import Engine, Urgency
from inference.measures import Score
from inference.overlay import draw_overlay, write_png
from inference.quality import Warning
from inference.slide import Slide
from server import metrics
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import Order, OrderId, Priority, Specimen
from server.domain.ports import ARCHIVE, LIS, Claim, Delivery, OpenSlide, SlideSource, Store
from server.domain.profile import Profile, choose
from server.domain.result import Result, ResultId
from server.hl7.oru import build_oru, control_id
from server.observability import stage
from server.report.ann import build_ann
from server.report.codes import coded
from server.report.identity import software_version, write
from server.report.result_json import result_json, write_json
from server.report.seg import build_seg
from server.report.source import KEPT_HEADER, check_same_specimen, read_source
from server.report.sr import build_sr

URGENCIES = {Priority.STAT: Urgency.STAT, Priority.ASAP: Urgency.ASAP, Priority.ROUTINE: Urgency.ROUTINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseServices:
    """What the path of a case needs from outside; `cases` is the folder where each case's files are kept.

    `source` gives the archives of a laboratory as one, `engine` what runs an assay's model.

    `destinations` are those that are set up: a laboratory without a LIS still gets its objects in the archive.
    """

    store: Store
    source: Callable[[str], SlideSource]
    open_slide: OpenSlide
    engine: Callable[[Assay], Engine]
    today: Callable[[], date]
    cases: Path
    lease_s: float
    destinations: Collection[str]


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
    with stage("store"):
        services.store.finish(claim, result, reachable(deliveries, services))
    forget(folder.parent)


def _is_held(claim: Claim, services: CaseServices) -> bool:
    """For a lease from now on, if so: the journals that lie there are no other worker's."""
    try:
        services.store.progress(claim, 0.0, services.lease_s)
    except Failed:
        return False
    return True


def attempt_folder(claim: Claim) -> str:
    """Each claim writes to its own: a worker that lost its claim, or gave it back, may still be writing."""
    return f"{claim.attempt}-{claim.token[:8]}"


def score_order(claim: Claim, services: CaseServices, folder: Path) -> tuple[Result, list[Delivery]]:
    """Everything up to the moment of commit.

    Writes only into the case's folder, so a lost claim leaves nothing behind.
    """
    order = claim.order
    asked = order.request
    assay = assay_of(asked.marker, "the order")
    with stage("retrieve"):
        slide_folder = services.source(asked.lab).fetch(asked.slide, folder / "slide")
        source = read_source(slide_folder)
    check_same_specimen(order, source)
    write(source[0], folder / KEPT_HEADER)  # for the report that a signature makes, when the slide itself is gone
    profile = choose(services.store.profiles(asked.lab, asked.marker), assay, lab=asked.lab, today=services.today())
    if profile is None:
        raise Refused(ServiceReason.NO_PROFILE, f"no valid profile for marker {asked.marker}; activate one")
    engine = asked_with(services.engine(assay), URGENCIES[asked.priority])
    slide = services.open_slide(slide_folder)
    try:
        result = score_slide(
            slide,
            engine,
            assay,
            profile,
            folder,
            order=order,
            options=Options(refuse_mismatch=True),
            progress=lambda share: services.store.progress(claim, share, services.lease_s),
        )
    finally:
        slide.close()
    with stage("report"):
        return result, report(result, order, source, folder)


def score_slide(
    slide: Slide,
    engine: Engine,
    assay: Assay,
    profile: Profile,
    folder: Path,
    *,
    order: Order | None = None,
    options: Options | None = None,
    progress: Progress = lambda _: None,
) -> Result:
    """Analyse a slide and score it by a profile.

    Leaves result.json, overlay.png and the cells (nuclei.parquet, nuclei.geojson for nuclear stains) in `folder`.
    """
    analyzer, criteria = assay.analyzer, profile.criteria
    cells_file = folder / f"{analyzer.file_stem}.parquet"
    checkpoint = Checkpoint.in_case(folder) if order else None  # an order may be tried again, a command's slide not
    with stage("analyze"):
        analysis = analyze(slide, engine, analyzer, cells_file, options or Options(), progress, checkpoint)
    metrics.analysed(analysis)
    fields = fields_of(cells_file, analyzer, criteria, mpp=analysis.slide.mpp)
    specimen = order.request.specimen if order else Specimen()
    strange = assay.out_of_scope(specimen.site_code, specimen.site_text)
    result = Result(
        id=result_id(order.id if order else None, profile, analysis.model.sha256, repr((analysis.slide, options))),
        order_id=order.id if order else None,
        created_at=datetime.now(UTC).replace(microsecond=0),
        marker=assay.marker,
        clinical_region=assay.clinical_region,
        profile=profile,
        scores=scores_of(assay, analysis.histograms, profile, fields, specimen),
        analysis=analysis,
        artifacts=artifacts_of(cells_file, folder),
        software=software_version(),
        warnings=(*analysis.warnings, *((Warning.OUT_OF_SCOPE.value,) if strange else ())),
    )
    write_files(result, slide, fields, folder)
    return result


def write_files(result: Result, slide: Slide, fields: Fields, folder: Path) -> None:
    """The pictures and texts of a result, for people and for QuPath."""
    analyzer, criteria, cells = result.assay.analyzer, result.profile.criteria, result.cells_file
    counts = analyzer.counts(result.analysis.histograms, criteria)
    write_geojson(folder / f"{analyzer.file_stem}.geojson", cells, analyzer, criteria, counts)
    write_png(folder / "overlay.png", draw_overlay(slide, cells, analyzer, criteria, title=title_of(result)))
    write_json(folder / "result.json", result_json(result, heterogeneity(fields, analyzer)))


def artifacts_of(cells_file: Path, folder: Path) -> tuple[Artifact, ...]:
    """The files that later work needs: the cells, and where there is one the slide's header."""
    kept = [Artifact(kind=ArtifactKind.CELLS, path=cells_file)]
    header = folder / KEPT_HEADER
    return (*kept, *([Artifact(kind=ArtifactKind.HEADER, path=header)] if header.is_file() else []))


def scores_of(
    assay: Assay, histograms: Histograms, profile: Profile, fields: Fields | None, specimen: Specimen
) -> tuple[Score, ...]:
    """The rows, under public codes where the marker and site have some; intervals where the fields are known."""
    counts = assay.analyzer.counts(histograms, profile.criteria)
    rows = assay.analyzer.scores(assay.measures, counts, None if fields is None else fields.counts)
    return coded(rows, assay, specimen)


def report(result: Result, order: Order, source: Sequence[Dataset], folder: Path) -> list[Delivery]:
    """ORU to the LIS; SR, ANN and SEG to the archive; each a file in the case's folder, named by what it holds."""
    deliveries = [_oru(folder, build_oru(result, order), control_id(result))]
    objects = {
        "SR": build_sr(result, order, source),
        "ANN": build_ann(result, source),
        "SEG": build_seg(result, source),
    }
    for kind, dataset in objects.items():
        if dataset is not None:
            path = folder / f"{kind.lower()}.dcm"
            write(dataset, path)
            deliveries.append(
                Delivery(kind=kind, destination=ARCHIVE, path=path, message_id=str(dataset.SOPInstanceUID))
            )
    return deliveries


def reachable(deliveries: Sequence[Delivery], services: CaseServices) -> list[Delivery]:
    """Those whose destination is set up."""
    return [d for d in deliveries if d.destination in services.destinations]


def result_id(order_id: OrderId | None, profile: Profile, model_sha256: str, slide: str) -> ResultId:
    """The same order, profile revision and model give the same identifier: a second attempt makes no second result.

    Without an order, `slide` says which slide and region were scored.
    """
    subject = order_id or f"{slide}/{profile.criteria}"
    return ResultId(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{subject}/{profile.label}/{model_sha256}")))


def title_of(result: Result) -> str:
    """What an overlay says of a result: the assay's first measure, and how many cells it is of."""
    first = result.score(result.assay.measures[0])
    said = "none" if first is None or first.value is None else f"{first.value:.0f}"
    n = 0 if first is None else first.n
    analyzer = result.assay.analyzer
    return f"{result.assay.measures[0].display} {said}, {n} {analyzer.file_stem}, profile {result.profile.label}"


def _oru(folder: Path, message: bytes, message_id: str) -> Delivery:
    path = folder / "oru.hl7"
    path.write_bytes(message)
    return Delivery(kind=ArtifactKind.ORU, destination=LIS, path=path, message_id=message_id)
