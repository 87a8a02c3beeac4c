"""A pathologist's work on results. Scoring the stored nuclei anew, signing, rejecting, amending.

Results never change: rescoring makes another one, signing says something of one. What the LIS is sent of it is built
first and queued in the same transaction.
"""

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from inference.fields import fields_of
from inference.nuclei import Nuclei, read_nuclei
from server.domain.access import Caller
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.ports import ARCHIVE, LIS, Delivery
from server.domain.profile import Profile
from server.domain.repositories import ResultRepository
from server.domain.result import ResultId
from server.domain.states import SIGNED, ResultState, check_result_transition
from server.domain.views import Entry, Page, PageKey, ResultFilter, ResultView, SlideName, SummaryView
from server.hl7.oru import Status, build_oru, build_rejection, control_id
from server.hl7.refusal import keep
from server.pipeline import result_id, scores_of
from server.report.identity import software_version, write
from server.report.source import KEPT_HEADER, read_source
from server.report.sr import Document, Signature, build_sr, signed

log = structlog.get_logger()


class ResultService:
    """`folder` keeps the messages, `destinations` are those that are set up."""

    def __init__(self, results: ResultRepository, *, folder: Path, destinations: Collection[str]) -> None:
        self._results, self._folder, self._destinations = results, folder, frozenset(destinations)

    def get(self, actor: Caller, result_id: ResultId) -> ResultView:
        return self._results.get(actor, result_id)

    def list(self, actor: Caller, wanted: ResultFilter, limit: int, after: PageKey) -> Page[SummaryView]:
        return self._results.list(actor, wanted, limit, after)

    def history(self, actor: Caller, slide: SlideName, limit: int) -> Sequence[SummaryView]:
        return self._results.history(actor, slide, limit)

    def nuclei(self, actor: Caller, result_id: ResultId) -> Iterator[Nuclei]:
        return read_nuclei(self._nuclei_file(self._results.get(actor, result_id)))

    def rescore(self, actor: Caller, result_id: ResultId, profile: Profile) -> ResultView:
        """The new result's identifier follows from order, profile and model, as a worker's does: a repeat finds the
        first.
        """
        view = self._results.get(actor, result_id)
        old = view.result
        identity = _identity(view, profile)
        try:
            return self._results.get(actor, identity)
        except Refused as error:
            if error.reason != ServiceReason.RESULT_UNKNOWN:
                raise
        path = self._nuclei_file(view)
        fields = fields_of(path, profile.thresholds, mpp=old.analysis.slide.mpp)
        made = replace(
            old,
            id=identity,
            created_at=_now(),
            profile=profile,
            scores=scores_of(old.analysis.histograms, profile, fields),
            predecessor=old.id,
            software=software_version(),
        )
        return self._results.keep(actor, made, view.lab)

    def sign(self, actor: Caller, result_id: ResultId, etag: str) -> ResultView:
        entry = Entry(result_id=result_id, state=ResultState.FINAL, etag=etag)
        message = self._message(actor, result_id, ResultState.FINAL, Status.FINAL)
        replaces = Document(result_id=self._first(actor, self._results.get(actor, result_id)).result.id)
        return self._results.record(
            actor, [entry], [*message, *self._report(actor, result_id, ResultState.FINAL, replaces)]
        )

    def reject(self, actor: Caller, result_id: ResultId, reason: str, etag: str) -> ResultView:
        """The LIS hears of it where it was sent that result, as preliminary, and no signed one of the order since."""
        entry = Entry(result_id=result_id, state=ResultState.REJECTED, reason=reason, etag=etag)
        return self._results.record(actor, [entry], self._withdrawal(actor, result_id, reason), unless_signed=True)

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
        entries = [
            Entry(result_id=replacement, state=ResultState.CORRECTED, reason=reason),
            Entry(result_id=result_id, state=ResultState.SUPERSEDED, reason=reason, etag=etag),
        ]
        message = self._message(actor, replacement, ResultState.CORRECTED, Status.CORRECTED)
        replaces = signed(result_id, former.state, former.signed_by)
        return self._results.record(
            actor, entries, [*message, *self._report(actor, replacement, ResultState.CORRECTED, replaces)]
        )

    def _message(self, actor: Caller, result_id: ResultId, state: ResultState, status: Status) -> Sequence[Delivery]:
        """The ORU for the LIS, where there is one; nothing for a result without an order."""
        view, order = self._results.get(actor, result_id), self._results.order_of(actor, result_id)
        check_result_transition(view.state, state)
        if order is None or LIS not in self._destinations:
            return []
        path = self._folder / order.id / "signed" / f"{result_id}-{status}.hl7"
        keep(
            path, build_oru(view.result, order, status=status)
        )  # two may sign at once; the message is the same to the byte
        return [Delivery(kind="ORU", destination=LIS, path=path, message_id=control_id(view.result, status))]

    def _withdrawal(self, actor: Caller, result_id: ResultId, reason: str) -> Sequence[Delivery]:
        """Of a result that a worker reported; one that was scored anew the LIS doesn't know until it is signed."""
        view, order = self._results.get(actor, result_id), self._results.order_of(actor, result_id)
        check_result_transition(view.state, ResultState.REJECTED)
        if order is None or view.result.predecessor is not None or LIS not in self._destinations:
            return []
        path = (
            self._folder / order.id / "signed" / f"{result_id}-{Status.REJECTED}-{uuid.uuid4()}.hl7"
        )  # each with its own reason
        keep(path, build_rejection(view.result, order, reason))
        return [Delivery(kind="ORU", destination=LIS, path=path, message_id=control_id(view.result, Status.REJECTED))]

    def _report(self, actor: Caller, result_id: ResultId, state: ResultState, replaces: Document) -> Sequence[Delivery]:
        """The verified SR for the archive; nothing where there is no order, or the slide's header wasn't kept."""
        view, order = self._results.get(actor, result_id), self._results.order_of(actor, result_id)
        header = view.result.nuclei_file.with_name(KEPT_HEADER)
        if order is None or ARCHIVE not in self._destinations:
            return []
        if not header.is_file():
            log.warning("signed_report_not_built", result=result_id, missing=KEPT_HEADER)
            return []
        signature = Signature(by=actor.subject, lab=view.lab, at=_now(), state=state, replaces=replaces)
        report = build_sr(view.result, order, read_source(header), signature)
        path = self._folder / order.id / "signed" / f"{result_id}-{state}-{uuid.uuid4()}.dcm"  # two may sign at once
        path.parent.mkdir(parents=True, exist_ok=True)
        write(report, path)
        return [Delivery(kind="SR", destination=ARCHIVE, path=path, message_id=str(report.SOPInstanceUID))]

    def _first(self, actor: Caller, view: ResultView) -> ResultView:
        """The result that a worker made, and reported, from which this one was scored."""
        while view.result.predecessor is not None:
            view = self._results.get(actor, view.result.predecessor)
        return view

    def _nuclei_file(self, view: ResultView) -> Path:
        if not view.result.nuclei_file.is_file():
            raise Failed(
                ServiceReason.NUCLEI_MISSING,
                f"the nuclei of result {view.result.id} are no longer in the results' folder",
            )
        return view.result.nuclei_file


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _identity(view: ResultView, profile: Profile) -> ResultId:
    analysis = view.result.analysis
    return result_id(view.result.order_id, profile, analysis.model.sha256, analysis.slide.sha256 or "")
