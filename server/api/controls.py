"""ControlService."""

from chromogen.v1 import control_service_pb2 as pb
from chromogen.v1 import plot_pb2

from inference.assay import assay_of
from server.api import fields, pages
from server.api.convert_control import chart_message, key_in, range_in, range_message
from server.api.gate import Call
from server.report.plots import Format, control_chart
from server.services.controls import NEWEST, ControlService

FORMATS: dict[int, Format] = {plot_pb2.PLOT_FORMAT_PNG: Format.PNG, plot_pb2.PLOT_FORMAT_SVG: Format.SVG}


class ControlServicer:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, service: ControlService) -> None:
        self._service = service

    def SetControlRange(self, request: pb.SetControlRangeRequest, call: Call) -> pb.SetControlRangeResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        wanted = range_in(request.range, call.actor.lab)
        return pb.SetControlRangeResponse(range=range_message(self._service.set(call.actor, wanted, request_id)))

    def ListControlRanges(self, request: pb.ListControlRangesRequest, call: Call) -> pb.ListControlRangesResponse:
        after, size = pages.key_of(request.page_token, request), pages.size_of(request.page_size)
        page = self._service.ranges(call.actor, marker_in(request.marker), size, after, all_=request.all)
        ranges = [range_message(one) for one in page.items]
        return pb.ListControlRangesResponse(ranges=ranges, next_page_token=pages.token_for(page.next, request))

    def RetireControlRange(self, request: pb.RetireControlRangeRequest, call: Call) -> pb.RetireControlRangeResponse:
        request_id, number = fields.identifier(request.request_id, "request_id"), request.id
        reason = fields.text(request.reason, "reason", least=3, most=500)
        return pb.RetireControlRangeResponse(
            range=range_message(self._service.retire(call.actor, number, reason, request_id))
        )

    def ListControlCharts(self, request: pb.ListControlChartsRequest, call: Call) -> pb.ListControlChartsResponse:
        charts = self._service.charts(call.actor, marker_in(request.marker))
        return pb.ListControlChartsResponse(charts=[chart_message(one, newest=True) for one in charts])

    def GetControlChart(self, request: pb.GetControlChartRequest, call: Call) -> pb.GetControlChartResponse:
        limit, wanted = fields.number(request.limit, "limit", 0, 500) or NEWEST, format_in(request.picture)
        found = self._service.chart(call.actor, key_in(request.key), limit)
        drawn = b"" if wanted is None else control_chart(found.chart, found.key, wanted)
        return pb.GetControlChartResponse(chart=chart_message(found), picture=drawn)


def marker_in(asked: str) -> str:
    """By any of its names; empty for an empty one."""
    return assay_of(fields.text(asked, "marker"), "marker").marker if asked else ""


def format_in(asked: int) -> Format | None:
    """Raises Refused ARGUMENT_INVALID."""
    if asked and asked not in FORMATS:
        fields.invalid("picture is neither PNG nor SVG")
    return FORMATS.get(asked)
