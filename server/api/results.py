"""ResultService."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from chromogen.v1 import result_pb2
from chromogen.v1 import result_service_pb2 as pb

from server.api import fields, pages
from server.api.convert_profile import revision_of
from server.api.convert_result import (
    STATES,
    cells_message,
    group_messages,
    region_names,
    result_message,
    square_messages,
    window_of,
)
from server.api.estimates import EstimateMethods
from server.api.gate import Call
from server.domain.errors import Refused, ServiceReason
from server.domain.order import OrderId
from server.domain.profile import Profile, check_kind
from server.domain.result import Result, ResultId
from server.domain.views import ResultFilter, SlideName, SummaryView
from server.services import cells
from server.services.estimates import EstimateService
from server.services.profiles import ProfileService
from server.services.results import ResultService

MOST_RESULTS = 200
SQUARE_UM = (5.0, 100.0, 10_000.0)
"""Least, usual, most."""


class ResultServicer(EstimateMethods):
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, service: ResultService, profiles: ProfileService, estimates: EstimateService) -> None:
        super().__init__(estimates)
        self._service, self._profiles = service, profiles

    def GetResult(self, request: pb.GetResultRequest, call: Call) -> pb.GetResultResponse:
        result = self._told(call, self._service.get(call.actor, _id(request.result_id)))
        fields.masked(result, request.read_mask)
        return pb.GetResultResponse(result=result)

    def ListResults(self, request: pb.ListResultsRequest, call: Call) -> pb.ListResultsResponse:
        wanted, after = _filter(request), pages.key_of(request.page_token, request)
        page = self._service.list(call.actor, wanted, pages.size_of(request.page_size, MOST_RESULTS), after)
        results = self._all_told(call, page.items)
        return pb.ListResultsResponse(results=results, next_page_token=pages.token_for(page.next, request))

    def ListSlideHistory(self, request: pb.ListSlideHistoryRequest, call: Call) -> pb.ListSlideHistoryResponse:
        slide = SlideName(
            series_uid=fields.uid(request.series_uid, "series_uid"),
            container_id=fields.text(request.container_id, "slide"),
        )
        if not (slide.series_uid or slide.container_id):
            raise Refused(ServiceReason.FIELD_MISSING, "slide is missing: give series_uid or container_id")
        views = self._service.history(call.actor, slide, MOST_RESULTS)
        return pb.ListSlideHistoryResponse(results=self._all_told(call, views))

    def GetCaseMarkers(self, request: pb.GetCaseMarkersRequest, call: Call) -> pb.GetCaseMarkersResponse:
        found = self._service.case(call.actor, OrderId(fields.identifier(request.order_id, "order_id")))
        ratios = [pb.MarkerRatio(**asdict(ratio)) for ratio in found.ratios]
        return pb.GetCaseMarkersResponse(results=self._all_told(call, found.views), ratios=ratios)

    def RescoreResult(self, request: pb.RescoreResultRequest, call: Call) -> pb.RescoreResultResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        result_id, (name, revision) = _id(request.result_id), revision_of(request.profile, "profile")
        profile = self._profiles.get(call.actor, name, revision).profile
        made = self._service.rescore(call.actor, result_id, profile, request_id=request_id)
        return pb.RescoreResultResponse(result=self._told(call, made))

    def ListCells(self, request: pb.ListCellsRequest, call: Call) -> Iterator[pb.ListCellsResponse]:
        """The first message names groups and regions, and holds no cells."""
        result_id, square_um = _id(request.result_id), _square_um(request)
        window = window_of(request.window) if request.HasField("window") else None
        region = fields.text(request.region, "region")
        view = self._service.get(call.actor, result_id)
        self._estimates.note_shown(call.actor, [view])
        result = view.result
        analyzer, criteria = result.assay.analyzer, self._profile(request, result, call).criteria
        selection = cells.Selection(analyzer=analyzer, criteria=criteria, window=window, region=region)
        batches = self._service.cells(call.actor, result_id)
        yield pb.ListCellsResponse(groups=group_messages(analyzer), regions=region_names(analyzer))
        if request.detail == pb.CELLS_DETAIL_SQUARES:
            mpp = result.analysis.slide.mpp
            for squares in cells.squares(batches, selection, mpp=mpp, square_um=square_um):
                call.go_on()
                yield pb.ListCellsResponse(squares=square_messages(squares))
            return
        for part in cells.points(batches, selection):
            call.go_on()
            yield pb.ListCellsResponse(cells=cells_message(part, analyzer, criteria))

    def _told(self, call: Call, view: SummaryView) -> result_pb2.Result:
        return self._all_told(call, [view])[0]

    def _all_told(self, call: Call, views: Sequence[SummaryView]) -> list[result_pb2.Result]:
        """Scores that pathologists are told count as shown."""
        self._estimates.note_shown(call.actor, views)
        return [result_message(view) for view in views]

    def _profile(self, request: pb.ListCellsRequest, result: Result, call: Call) -> Profile:
        """The one asked for, or the result's own."""
        if not request.HasField("profile"):
            return result.profile
        profile = self._profiles.get(call.actor, *revision_of(request.profile, "profile")).profile
        check_kind(profile, result.assay)
        return profile

    def SignResult(self, request: pb.SignResultRequest, call: Call) -> pb.SignResultResponse:
        signed = self._service.sign(call.actor, _id(request.result_id), request.etag)
        return pb.SignResultResponse(result=self._told(call, signed))

    def RejectResult(self, request: pb.RejectResultRequest, call: Call) -> pb.RejectResultResponse:
        result_id, reason = _id(request.result_id), _reason(request.reason)
        rejected = self._service.reject(call.actor, result_id, reason, request.etag)
        return pb.RejectResultResponse(result=self._told(call, rejected))

    def AmendResult(self, request: pb.AmendResultRequest, call: Call) -> pb.AmendResultResponse:
        replacement = ResultId(fields.identifier(request.replacement_id, "replacement_id"))
        result_id, reason = _id(request.result_id), _reason(request.reason)
        view = self._service.amend(call.actor, result_id, replacement, reason, request.etag)
        return pb.AmendResultResponse(result=self._told(call, view))


def _id(given: str) -> ResultId:
    return ResultId(fields.identifier(given, "result_id"))


def _reason(given: str) -> str:
    return fields.text(given, "reason", least=3, most=500)


def _filter(request: pb.ListResultsRequest) -> ResultFilter:
    if request.state and request.state not in STATES:
        fields.invalid("state is none that is known here")
    return ResultFilter(
        order_id=OrderId(fields.identifier(request.order_id, "order_id")) if request.order_id else None,
        state=STATES.get(request.state),
        created_from=fields.moment(request, "created_from"),
        created_until=fields.moment(request, "created_until"),
    )


def _square_um(request: pb.ListCellsRequest) -> float:
    if request.detail not in pb.CellsDetail.values():
        fields.invalid("detail is none that is known here")
    least, usual, most = SQUARE_UM
    side = request.square_um or usual
    if not least <= side <= most:
        fields.invalid(f"square_um must be {least:g} to {most:g}")
    return side
