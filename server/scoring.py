"""A slide analysed and scored by a profile, and rows anew from what was kept of it."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.analyze import Options, Progress, analyze, not_analysed
from inference.analyzers.analyzer import NOT_VALIDATED
from inference.analyzers.outlined import needs_outlines
from inference.assay import Assay
from inference.cells.file import add_columns
from inference.cells.histograms import Histograms
from inference.cells.values import Mask
from inference.checkpoint import Checkpoint
from inference.control import ControlStatus
from inference.fields import Fields, fields_of
from inference.guideline import commented
from inference.infer import Engine
from inference.measures import ALL, Score, with_densities
from inference.quality import Warning
from inference.slide import Slide
from server import metrics
from server.control_gate import Gate
from server.domain.choice import Chosen
from server.domain.clock import Clock, utc_now
from server.domain.control import ControlWarning
from server.domain.errors import Refused
from server.domain.order import Order, OrderId, Specimen
from server.domain.profile import Profile, built_in, is_by_controls
from server.domain.result import Result, ResultId
from server.observability import stage
from server.report.codes import Tissue, coded, tissue_of
from server.report.files import kept_files, write_files
from server.report.identity import software_version
from server.report.source import KEPT_HEADER

DRIFT = ControlWarning.CONTROL_DRIFT
SCALE_BY_CONTROLS = ControlWarning.SCALE_BY_CONTROLS.value


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
    has no rows; where they tell the scale, the case is scored by it. `after` judges those that are known only then.
    Leaves result.json, overlay.png and the cells (nuclei.parquet, nuclei.geojson for nuclear stains) in `folder`.
    """
    analyzer = assay.analyzer
    cells_file = folder / f"{analyzer.file_stem}.parquet"
    checkpoint = Checkpoint.in_case(folder) if order else None  # an order may be tried again, a command's slide not
    options = options or Options()
    if needs_outlines(profile.criteria):
        options = replace(options, outlines=True)
    with stage("control"):
        controls = gate(slide)
    with stage("analyze"):
        asked = replace(options, without=(*options.without, *controls.areas))
        look = analyze if controls.open else not_analysed
        analysis = look(slide, engine, analyzer, cells_file, asked, progress, checkpoint)
    profile = controls.profile or profile
    criteria = profile.criteria
    controls = after(controls, analysis.histograms)
    metrics.controlled(assay.marker, controls.control.status, drifted=DRIFT in controls.warnings)
    metrics.analysed(analysis)
    if controls.open and not controls.control.is_slide:
        check_scorable(assay, analysis.histograms, profile)
    fields = fields_of(cells_file, analyzer, criteria, mpp=analysis.slide.mpp)
    add_columns(cells_file, analyzer.schema, lambda cells: analyzer.scored_columns(cells, criteria))
    specimen = order.request.specimen if order else Specimen()
    rows = scores_of(
        assay,
        analysis.histograms,
        profile,
        fields,
        specimen,
        controls.control.status,
        areas_mm2={ALL: analysis.tissue_mm2},
    )
    site = specimen.site_code, specimen.site_text
    strange, withheld = assay.out_of_scope(*site), assay.withheld(*site)
    validated = chosen is not None and chosen.choice.validated is not None
    remarks = remarks_of(assay, analysis.histograms, profile, fields, analysis.slide.mpp, validated=validated)
    slide_named = repr((analysis.slide, options, *controls.areas))
    result = Result(
        id=result_id(
            order.id if order else None, profile, analysis.model.sha256, slide_named, order.run if order else 1
        ),
        order_id=order.id if order else None,
        created_at=now().replace(microsecond=0),
        marker=assay.marker,
        clinical_region=ALL if assay.clinical_region in withheld else assay.clinical_region,
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
            *(remarks if controls.open else ()),
            *(() if options.among or not controls.open else whole_remarks(assay, withheld)),
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
    areas_mm2: Mapping[str, float] | None = None,
) -> tuple[Score, ...]:
    """The rows, under public codes where the marker and site have some, with the guideline's comments; intervals where
    the fields are known.

    After them those of regions that a person drew, of all cells in each; `drawn` are their fields. `areas_mm2` are
    areas by region, where they are known: counts by area have no value elsewhere. Out of the assay's scope its
    compartments have no rows.
    """
    rows = _rows(assay, *_scored_part(assay, histograms, fields, drawn), profile)
    withheld = assay.withheld(specimen.site_code, specimen.site_text)
    rows = tuple(row for row in rows if row.region not in withheld)
    for region in histograms.drawn if not is_drawn(assay, histograms) else ():
        of_region = _rows(assay, histograms.of_region(region), (drawn or {}).get(region), profile)
        rows = (*rows, *(replace(row, region=region) for row in of_region if row.region == ALL))
    rows = with_densities(rows, assay.measures, {} if is_drawn(assay, histograms) else areas_mm2 or {})
    breast = tissue_of(specimen.site_code, specimen.site_scheme, specimen.site_text) is Tissue.BREAST
    return commented(coded(rows, assay, specimen), control=control, site_known=breast)


def whole_remarks(assay: Assay, withheld: Collection[str]) -> tuple[str, ...]:
    """Words beside scores of which nobody drew the region: of all cells of the tissue alike."""
    return (*assay.analyzer.whole_remarks, *((Warning.WHOLE_TISSUE.value,) if withheld else ()))


def is_drawn(assay: Assay, histograms: Histograms) -> bool:
    """Has a person drawn what the assay's score is to be of?"""
    return assay.analyzer.drawn_alone and assay.clinical_region in histograms.drawn


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
    *,
    validated: bool = False,
) -> tuple[str, ...]:
    """What stands beside the scores, by the analyzer. Where the laboratory has `validated` the profile on its own
    slides, it isn't said that nobody has, nor that nobody fitted its scale.
    """
    histograms, fields = _scored_part(assay, histograms, fields, drawn)
    counts = assay.analyzer.counts(histograms, profile.criteria)
    blocks = None if fields is None else fields.blocks(_groups_of(assay, assay.clinical_region))
    said = (*assay.analyzer.remarks(counts, blocks, mpp), *uncalibrated(assay, profile, histograms))
    lifted = {NOT_VALIDATED, *assay.analyzer.uncalibrated} if validated else set()
    return tuple(word for word in said if word not in lifted)


def uncalibrated(assay: Assay, profile: Profile, histograms: Histograms) -> tuple[str, ...]:
    """Words beside scores by a profile that nobody fitted to a laboratory's slides, where they hang on that."""
    if is_by_controls(profile, assay):
        return (SCALE_BY_CONTROLS,)
    if profile.label != built_in(assay).label:
        return ()
    matters = assay.analyzer.scale_matters(assay.measures, histograms, profile.criteria)
    return assay.analyzer.uncalibrated if matters else ()


def check_scorable(assay: Assay, histograms: Histograms, profile: Profile) -> None:
    """Raises Refused by the analyzer's reason."""
    found = assay.analyzer.unscorable(histograms, assay.analyzer.counts(histograms.of_region(""), profile.criteria))
    if found is not None:
        raise Refused(found.reason, found.message)


def _rows(assay: Assay, histograms: Histograms, fields: Fields | None, profile: Profile) -> tuple[Score, ...]:
    """Intervals of each region from blocks of its own cells."""
    counts = assay.analyzer.counts(histograms, profile.criteria)
    rows = assay.analyzer.scores(assay.measures, counts, None)
    if fields is None:
        return rows
    drawn = {
        region: assay.analyzer.scores(assay.measures, counts, fields.blocks(_groups_of(assay, region)))
        for region in {row.region for row in rows}
    }
    return tuple(drawn[row.region][place] for place, row in enumerate(rows))


def _groups_of(assay: Assay, region: str) -> Mask:
    """Which of the analyzer's groups are of a region, (G,): all, of one that no group names."""
    of_region = np.array([group.region == region for group in assay.analyzer.groups])
    return of_region if of_region.any() else np.ones_like(of_region)


def result_id(order_id: OrderId | None, profile: Profile, model_sha256: str, slide: str, run: int = 1) -> ResultId:
    """The same run of an order, profile revision and model give the same identifier: a second attempt makes no second
    result.

    Without an order, `slide` says which slide and region were scored.
    """
    subject = order_id or f"{slide}/{profile.criteria}"
    again = "" if run == 1 else f"#{run}"
    return ResultId(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{subject}{again}/{profile.label}/{model_sha256}")))
