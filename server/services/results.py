"""A pathologist's work on results. Scoring the stored cells anew, signing, rejecting, amending.

Results never change: rescoring makes another one, signing says something of one. What is sent of it is built first
and queued in the same transaction.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from inference.cells.file import read_cells
from inference.cells.histograms import Histograms
from inference.cells.values import Cells, Mask
from inference.change import Polygon, inside
from inference.fields import Fields, fields_of
from inference.quality import Warning
from server.control_gate import control_under, profile_under
from server.domain.access import Caller
from server.domain.artifact import NATURES, NOT_MADE, Nature
from server.domain.change import Change, RegionClass
from server.domain.choice import ProfileWarning
from server.domain.clock import Clock, utc_now
from server.domain.control import ControlWarning
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.events import RESULT_REJECTED, Event, EventKind, Signing
from server.domain.order import OrderId, Specimen
from server.domain.ports import Delivery
from server.domain.profile import Profile, check_kind
from server.domain.repositories import ResultRepository
from server.domain.result import Result, ResultId
from server.domain.states import SIGNED, ResultState, check_result_transition
from server.domain.views import Entry, Page, PageKey, ResultFilter, ResultView, SlideName, SummaryView
from server.report.identity import software_version
from server.reporting import Reporting
from server.scoring import check_scorable, remarks_of, result_id, scores_of
from server.services.areas import areas_of
from server.services.case_markers import CaseMarkers, case_markers
from server.services.edits import edits_of

log = structlog.get_logger()

SIGNED_EVENTS = {ResultState.FINAL: EventKind.FINAL, ResultState.CORRECTED: EventKind.CORRECTED}


NO_CHANGE = Change(by="", why="")


def now_in_seconds() -> datetime:
    return utc_now().replace(microsecond=0)


class ResultService:
    """`reporting` makes what a signature, rejection or amendment sends."""

    def __init__(self, results: ResultRepository, reporting: Reporting, *, now: Clock = now_in_seconds) -> None:
        self._results, self._reporting, self._now = results, reporting, now

    def get(self, actor: Caller, result_id: ResultId) -> ResultView:
        return self._results.get(actor, result_id)

    def list(self, actor: Caller, wanted: ResultFilter, limit: int, after: PageKey) -> Page[SummaryView]:
        return self._results.list(actor, wanted, limit, after)

    def history(self, actor: Caller, slide: SlideName, limit: int) -> Sequence[SummaryView]:
        return self._results.history(actor, slide, limit)

    def case(self, actor: Caller, order_id: OrderId) -> CaseMarkers:
        """Raises Refused ORDER_UNKNOWN."""
        return case_markers(self._results, actor, order_id)

    def cells(self, actor: Caller, result_id: ResultId) -> Iterator[Cells]:
        view = self._results.get(actor, result_id)
        return read_cells(cells_file_of(view.result), view.result.assay.analyzer.schema)

    def rescore(
        self, actor: Caller, result_id: ResultId, profile: Profile, *, request_id: str = "", why: str = ""
    ) -> ResultView:
        """`why` for a person; by which profile it is said in any case. Raises Refused REQUEST_ID_REUSED.

        The new result's identifier follows from order, profile and model, as a worker's does: a repeat finds the
        first.

        Scores follow from the histograms; without a cells' file that can be read they have no intervals, and the
        result the warning INTERVAL_MISSING.
        """
        view = self._results.get(actor, result_id)
        old = view.result
        check_kind(profile, old.assay)
        check_scored(old)
        profile = profile_under(old, profile)
        if request_id:
            self._results.heed(actor, request_id, result_id, profile.label)
        change = replace(
            old.change or NO_CHANGE,
            by=actor.subject,
            why=": ".join(filter(None, (f"scored by profile {profile.label}", why))),
        )
        identity = identity_of(old, profile, change)
        try:
            return self._results.get(actor, identity)
        except Refused as error:
            if error.reason != ServiceReason.RESULT_UNKNOWN:
                raise
        assay, order = old.assay, self._results.order_of(actor, result_id)
        fields, drawn = known_fields(old, profile)
        check_scorable(assay, old.analysis.histograms, profile)
        specimen = Specimen() if order is None else order.request.specimen
        controls = control_under(old, profile.criteria)
        status, histograms = controls.control.status, old.analysis.histograms
        rows = scores_of(assay, histograms, profile, fields, specimen, status, drawn, areas_of(old))
        made = replace(
            old,
            id=identity,
            created_at=self._now(),
            profile=profile,
            scores=() if controls.control.withheld else rows,
            control=controls.control,
            cores=controls.cores,
            artifacts=tuple(a for a in old.artifacts if NATURES[a.kind] is Nature.KEPT),
            warnings=(*warnings_of(old, old.analysis.histograms, profile, fields, drawn), *controls.warnings),
            predecessor=old.id,
            change=change,
            software=software_version(),
            choice=None,
        )
        return self._results.keep(actor, made, view.lab)

    def sign(self, actor: Caller, result_id: ResultId, etag: str) -> ResultView:
        entry = Entry(result_id=result_id, state=ResultState.FINAL, etag=etag)
        view = self._results.get(actor, result_id)
        check_drawn(view.result)
        first = self._first(actor, view)
        signing = Signing(by=actor.subject, at=self._now(), replaces_result=first.result.id)
        deliveries = self._signed(actor, view, ResultState.FINAL, signing, instead_of=first.result)
        return self._results.record(actor, [entry], deliveries)

    def reject(self, actor: Caller, result_id: ResultId, reason: str, etag: str) -> ResultView:
        """The LIS hears of it where it was sent that result, as preliminary, and no signed one of the order since."""
        entry = Entry(result_id=result_id, state=ResultState.REJECTED, reason=reason, etag=etag)
        view = self._results.get(actor, result_id)
        return self._results.record(actor, [entry], self._withdrawal(actor, view, reason), unless_signed=True)

    def amend(self, actor: Caller, result_id: ResultId, replacement: ResultId, reason: str, etag: str) -> ResultView:
        former, latter = self._results.get(actor, result_id), self._results.get(actor, replacement)
        if former.state not in SIGNED:
            raise Refused(
                ServiceReason.RESULT_STATE, f"a result that is {former.state} can't be amended: only a signed one"
            )
        if (
            former.result.order_id is None
            or former.result.order_id != latter.result.order_id
            or replacement == result_id
        ):
            raise Refused(ServiceReason.RESULT_STATE, "the replacement is not another result of the same order")
        if self._first(actor, former).result.id == replacement:
            message = (
                "archives were told not to use the first result any more when another was signed in its place: keep its"
                " thresholds and regions as a new result, and amend with that"
            )
            raise Refused(ServiceReason.RESULT_STATE, message)
        entries = [
            Entry(result_id=replacement, state=ResultState.CORRECTED, reason=reason),
            Entry(result_id=result_id, state=ResultState.SUPERSEDED, reason=reason, etag=etag),
        ]
        signing = Signing(
            by=actor.subject,
            at=self._now(),
            replaces_result=result_id,
            replaces_event=SIGNED_EVENTS[former.state],
            replaces_by=former.signed_by,
        )
        deliveries = self._signed(actor, latter, ResultState.CORRECTED, signing, instead_of=former.result)
        return self._results.record(actor, entries, deliveries)

    def _signed(
        self, actor: Caller, view: ResultView, state: ResultState, signing: Signing, *, instead_of: Result
    ) -> Sequence[Delivery]:
        """What tells of it, then that another isn't to be used any more; nothing for a result without an order.

        Raises Refused RESULT_STATE where its score is withheld.
        """
        check_result_transition(view.state, state)
        if view.result.control.withheld:
            message = f"its score is withheld ({view.result.control.withheld}): there is nothing to sign; reject it"
            raise Refused(ServiceReason.RESULT_STATE, message)
        order = self._results.order_of(actor, view.result.id)
        if order is None:
            return ()
        event = Event(kind=SIGNED_EVENTS[state], order=order, result=view.result, signing=signing)
        deliveries = self._reporting.report(event).deliveries
        if instead_of.id == view.result.id:
            return deliveries
        superseded = Event(kind=EventKind.SUPERSEDED, order=order, result=instead_of)
        return (*deliveries, *self._reporting.report(superseded).deliveries)

    def _withdrawal(self, actor: Caller, view: ResultView, reason: str) -> Sequence[Delivery]:
        """Of a result that a worker reported; one that was scored anew nobody was sent until it is signed."""
        check_result_transition(view.state, ResultState.REJECTED)
        order = self._results.order_of(actor, view.result.id)
        if order is None or view.result.predecessor is not None:
            return ()
        event = Event(kind=EventKind.WITHDRAWN, order=order, result=view.result, reason=RESULT_REJECTED, detail=reason)
        return self._reporting.report(event).deliveries

    def _first(self, actor: Caller, view: ResultView) -> ResultView:
        """The result that a worker made, and reported, from which this one was scored."""
        while view.result.predecessor is not None:
            view = self._results.get(actor, view.result.predecessor)
        return view


def check_drawn(result: Result) -> None:
    """Raises Refused RESULT_STATE where what is scored has to be drawn by a person, and nobody has."""
    analyzer = result.assay.analyzer
    if analyzer.drawn_alone and set(analyzer.whole_remarks) & set(result.warnings):
        message = "the score is of the whole tissue, not of the invasive tumour alone: draw the tumour before signing"
        raise Refused(ServiceReason.RESULT_STATE, message)


def cells_file_of(result: Result) -> Path:
    """Raises Failed NUCLEI_MISSING."""
    try:
        file = result.cells_file
    except KeyError:
        file = None
    if file is None or not file.is_file():
        raise Failed(
            ServiceReason.NUCLEI_MISSING,
            f"the cells of result {result.id} are no longer in the results' folder",
        )
    return file


def fields_by_region(result: Result, profile: Profile, cells_file: Path) -> tuple[Fields, dict[str, Fields]]:
    """Of all cells of a file, and of those of each region that is drawn on the result.

    Raises Refused CELLS_INVALID.
    """
    analyzer, mpp = result.assay.analyzer, result.analysis.slide.mpp
    of_file = partial(fields_of, cells_file, analyzer, profile.criteria, mpp=mpp)
    drawn = {} if result.change is None else edits_of(result.change).drawn
    return of_file(), {name: of_file(where=partial(lies_in, polygons)) for name, polygons in drawn.items()}


def lies_in(polygons: Sequence[Polygon], cells: Cells) -> Mask:
    return inside(cells.x, cells.y, polygons)


def known_fields(result: Result, profile: Profile) -> tuple[Fields | None, dict[str, Fields]]:
    """None where the cells' file is gone, damaged, or of an older schema."""
    try:
        return fields_by_region(result, profile, cells_file_of(result))
    except ChromogenError as error:
        log.warning("scored_without_cells", result=result.id, reason=str(error.reason))
        return None, {}


def check_scored(result: Result) -> None:
    """Raises Refused RESULT_STATE where a control withholds the score: its cells were never counted."""
    if result.control.withheld and result.predecessor is None:
        message = f"its score is withheld ({result.control.withheld}): no cells were counted; order the slide anew"
        raise Refused(ServiceReason.RESULT_STATE, message)


def warnings_of(
    old: Result,
    histograms: Histograms,
    profile: Profile,
    fields: Fields | None,
    drawn: Mapping[str, Fields],
    *,
    validated: bool = False,
) -> tuple[str, ...]:
    """Those of the old result, but for its profile's, its scores' and its artifacts'; what stands beside scores, and a
    missing interval, are said of each anew. That its control failed is for `control_under` to say.
    """
    assay, whole_words = old.assay, {Warning.WHOLE_TISSUE.value, *old.assay.analyzer.whole_remarks}
    anew = {Warning.INTERVAL_MISSING.value, *(warning.value for warning in ProfileWarning), *NOT_MADE}
    anew |= {ControlWarning.CONTROL_FAILED.value, ControlWarning.SCALE_BY_CONTROLS.value}
    said_anew = anew | assay.analyzer.remark_words | set(assay.analyzer.uncalibrated) | whole_words
    kept = tuple(w for w in old.warnings if w not in said_anew)
    remarks = remarks_of(assay, histograms, profile, fields, old.analysis.slide.mpp, drawn, validated=validated)
    is_drawn = str(RegionClass.TUMOUR) in histograms.drawn  # the score that is asked for is that region's
    whole = () if is_drawn else tuple(w for w in old.warnings if w in whole_words)
    missing = fields is None and any(measure.interval for measure in assay.measures)
    return (*kept, *remarks, *whole, *((Warning.INTERVAL_MISSING.value,) if missing else ()))


def identity_of(result: Result, profile: Profile, change: Change | None) -> ResultId:
    """Of the same slide by another profile, or with other cells."""
    analysis, of_cells = result.analysis, ""
    if change is not None and change.of_cells:
        of_cells = hashlib.sha256(repr((change.regions, change.cells)).encode()).hexdigest()
    model = analysis.model.sha256 + of_cells
    return result_id(result.order_id, profile, model, analysis.slide.sha256 or "", result.run)
