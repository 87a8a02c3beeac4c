"""THE PATH of one case, on one page: order -> retrieve -> tile -> infer -> grade -> score -> store -> report."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from inference.analyze import Options, Progress, analyze
from inference.assay import marker_named, out_of_scope
from inference.checkpoint import Checkpoint, forget
from inference.engines.factory import asked_with
from inference.fields import Fields, fields_of, heterogeneity
from inference.geojson import write_geojson
from inference.grade import counts
from inference.infer import Engine, Urgency
from inference.nuclei import Histograms
from inference.overlay import draw_overlay, write_png
from inference.quality import Warning
from inference.score import score
from inference.slide import Slide
from server import metrics
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import Order, OrderId, Priority
from server.domain.ports import ARCHIVE, LIS, Archive, Claim, Delivery, OpenSlide, Store
from server.domain.profile import Profile, choose
from server.domain.result import Result, ResultId, Scores
from server.hl7.oru import build_oru, control_id
from server.observability import stage
from server.report.ann import build_ann
from server.report.identity import software_version, write
from server.report.result_json import result_json, write_json
from server.report.seg import build_seg
from server.report.source import KEPT_HEADER, check_same_specimen, read_source
from server.report.sr import build_sr

URGENCIES = {Priority.STAT: Urgency.STAT, Priority.ASAP: Urgency.ASAP, Priority.ROUTINE: Urgency.ROUTINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseServices:
    """What the path of a case needs from outside; `cases` is the folder where each case's files are kept.

    `destinations` are those that are set up: a laboratory without a LIS still gets its objects in the archive.
    """

    store: Store
    archive: Archive
    open_slide: OpenSlide
    engine: Engine
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
    with stage("retrieve"):
        slide_folder = services.archive.fetch(asked.slide, folder / "slide")
        source = read_source(slide_folder)
    check_same_specimen(order, source)
    profile = choose(
        services.store.profiles(asked.lab, asked.marker), lab=asked.lab, marker=asked.marker, today=date.today()
    )
    if profile is None:
        raise Refused(ServiceReason.NO_PROFILE, f"no valid profile for marker {asked.marker}; activate one")
    engine = asked_with(services.engine, URGENCIES[asked.priority])
    slide = services.open_slide(slide_folder)
    try:
        result = score_slide(
            slide,
            engine,
            profile,
            folder,
            order=order,
            options=Options(refuse_he=True),
            progress=lambda share: services.store.progress(claim, share, services.lease_s),
        )
    finally:
        slide.close()
    with stage("report"):
        return result, report(result, order, source, folder)


def score_slide(
    slide: Slide,
    engine: Engine,
    profile: Profile,
    folder: Path,
    *,
    order: Order | None = None,
    marker: str = "ER",
    options: Options | None = None,
    progress: Progress = lambda _: None,
) -> Result:
    """Analyse a slide and score it by a profile.

    Leaves result.json, nuclei.parquet, nuclei.geojson, overlay.png in `folder`.
    """
    asked = marker_named(order.request.marker if order else marker)
    nuclei_file = folder / "nuclei.parquet"
    checkpoint = Checkpoint.in_case(folder) if order else None  # an order may be tried again, a command's slide not
    with stage("analyze"):
        analysis = analyze(slide, engine, nuclei_file, options or Options(), progress, checkpoint)
    metrics.analysed(analysis)
    fields = fields_of(nuclei_file, profile.thresholds, mpp=analysis.slide.mpp)
    specimen = order.request.specimen if order else None
    strange = out_of_scope(asked, *((specimen.site_code, specimen.site_text) if specimen else ()))
    result = Result(
        id=result_id(order.id if order else None, profile, analysis.model.sha256, repr((analysis.slide, options))),
        order_id=order.id if order else None,
        created_at=datetime.now(UTC).replace(microsecond=0),
        profile=profile,
        scores=scores_of(analysis.histograms, profile, fields),
        analysis=analysis,
        nuclei_file=nuclei_file,
        software=software_version(),
        warnings=(*analysis.warnings, *((Warning.OUT_OF_SCOPE.value,) if strange else ())),
    )
    write_geojson(
        folder / "nuclei.geojson", nuclei_file, profile.thresholds, counts(analysis.histograms, profile.thresholds)
    )
    h_score = result.scores.all.h_score
    title = (
        f"H-score {'none' if h_score is None else f'{h_score:.0f}'}, {result.scores.all.n} "
        f"nuclei, profile {profile.label}"
    )
    write_png(folder / "overlay.png", draw_overlay(slide, nuclei_file, profile.thresholds, title=title))
    write_json(folder / "result.json", result_json(result, heterogeneity(fields)))
    return result


def scores_of(histograms: Histograms, profile: Profile, fields: Fields | None) -> Scores:
    """Scores of both compartments and of all nuclei; intervals where the fields are known."""
    by_grade = counts(histograms, profile.thresholds)
    stroma, epithelium = (score(by_grade[i], None if fields is None else fields.counts[:, i]) for i in range(2))
    everything = score(by_grade.sum(axis=0), None if fields is None else fields.counts.sum(axis=1))
    return Scores(stroma=stroma, epithelium=epithelium, all=everything)


def report(result: Result, order: Order, source: Sequence[Dataset], folder: Path) -> list[Delivery]:
    """ORU to the LIS; SR, ANN and SEG to the archive; each a file in the case's folder, named by what it holds.

    The slide's header stays there too, for the report that a signature makes.
    """
    write(source[0], folder / KEPT_HEADER)
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
    subject = order_id or f"{slide}/{profile.thresholds}"
    return ResultId(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{subject}/{profile.label}/{model_sha256}")))


def _oru(folder: Path, message: bytes, message_id: str) -> Delivery:
    path = folder / "oru.hl7"
    path.write_bytes(message)
    return Delivery(kind="ORU", destination=LIS, path=path, message_id=message_id)
