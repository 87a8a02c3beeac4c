"""ProfileService's methods about cohorts: many results scored anew."""

from collections.abc import Iterator

from chromogen.v1 import profile_service_pb2 as pb

from inference.assay import assay_of
from server.api import fields, pages
from server.api.controls import format_in
from server.api.convert_cohort import cohort_message, cohort_summary
from server.api.convert_profile import revision_of
from server.api.gate import Call
from server.domain.job import Job, JobId
from server.domain.views import CohortFilter
from server.report.plots import Change, Format, before_and_after
from server.services.cohorts import CohortService


class CohortMethods:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, cohorts: CohortService) -> None:
        self._cohorts = cohorts

    def RescoreCohort(self, request: pb.RescoreCohortRequest, call: Call) -> pb.RescoreCohortResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        now = revision_of(request.scored_by, "scored_by") if request.HasField("scored_by") else None
        wanted = CohortFilter(
            marker=assay_of(fields.text(request.marker, "marker", least=1), "marker").marker,
            received_from=fields.moment(request, "received_from"),
            received_until=fields.moment(request, "received_until"),
            profile="" if now is None else f"{now[0]}/{now[1]}",
        )
        profile, why = revision_of(request.profile, "profile"), fields.text(request.reason, "reason", least=3, most=500)
        job = self._cohorts.ask(call.actor, wanted, profile, why, request_id)
        return pb.RescoreCohortResponse(cohort=cohort_message(job))

    def GetCohort(self, request: pb.GetCohortRequest, call: Call) -> pb.GetCohortResponse:
        wanted = format_in(request.picture)
        job = self._cohorts.get(call.actor, _id(request.cohort_id))
        return pb.GetCohortResponse(cohort=cohort_message(job), picture=b"" if wanted is None else _drawn(job, wanted))

    def ListCohorts(self, request: pb.ListCohortsRequest, call: Call) -> pb.ListCohortsResponse:
        after, size = pages.key_of(request.page_token, request), pages.size_of(request.page_size)
        page = self._cohorts.list(call.actor, size, after, confirmations=request.confirmations)
        return pb.ListCohortsResponse(
            cohorts=map(cohort_summary, page.items), next_page_token=pages.token_for(page.next, request)
        )

    def WatchCohort(self, request: pb.WatchCohortRequest, call: Call) -> Iterator[pb.WatchCohortResponse]:
        for job in self._cohorts.watch(call.actor, _id(request.cohort_id), call.go_on):
            yield pb.WatchCohortResponse(cohort=cohort_summary(job))

    def ConfirmCohort(self, request: pb.ConfirmCohortRequest, call: Call) -> pb.ConfirmCohortResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        job = self._cohorts.confirm(call.actor, _id(request.cohort_id), request_id)
        return pb.ConfirmCohortResponse(cohort=cohort_message(job))


def _id(given: str) -> JobId:
    return JobId(fields.identifier(given, "cohort_id"))


def _drawn(job: Job, wanted: Format) -> bytes:
    """Empty while there is nothing to be drawn."""
    rows = (job.outcome or {}).get("rows", ())
    if not rows:
        return b""
    measure = next(m for m in assay_of(job.given["marker"]).measures if m.code == rows[0]["measure"])
    changes = [Change(before=row["before"], after=row["after"]) for row in rows]
    return before_and_after(changes, measure.display, measure.unit, wanted)
