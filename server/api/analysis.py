"""AnalysisService."""

import time
from collections.abc import Iterator

from chromogen.v1 import analysis_service_pb2 as pb
from chromogen.v1 import profile_service_pb2, result_pb2

from inference.live import Running
from server.api import fields
from server.api.convert_control import found_message
from server.api.convert_profile import revision_of
from server.api.convert_result import cells_message, group_messages, model_message, score_messages
from server.api.gate import Call
from server.services.analysis import AnalysisService, Found, Method, Picture


class AnalysisServicer:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, service: AnalysisService) -> None:
        self._service = service

    def AnalyzeImage(self, request: pb.AnalyzeImageRequest, call: Call) -> pb.AnalyzeImageResponse:
        began = time.perf_counter()
        method = self._method(request, call)
        found, profile = self._analyzed(request, method, call), method.profile
        return pb.AnalyzeImageResponse(
            scores=score_messages(found.scores),
            cells=_cells(request, found, method),
            groups=group_messages(method.assay.analyzer) if request.with_cells else (),
            warnings=found.warnings,
            model=model_message(found.model),
            profile=profile_service_pb2.ProfileRevision(name=profile.name, revision=profile.revision),
            seconds=time.perf_counter() - began,
        )

    def AnalyzeFields(
        self, requests: Iterator[pb.AnalyzeFieldsRequest], call: Call
    ) -> Iterator[pb.AnalyzeFieldsResponse]:
        """Marker and profile of the first field count for all."""
        method: Method | None = None
        running: Running | None = None
        for request in requests:
            call.go_on()
            began = time.perf_counter()
            method = method or self._method(request, call)
            running = running or self._service.running(method)
            found = self._analyzed(request, method, call, running)
            yield pb.AnalyzeFieldsResponse(
                field_id=request.field_id,
                scores=score_messages(found.scores),
                cells=_cells(request, found, method),
                groups=group_messages(method.assay.analyzer) if request.with_cells else (),
                warnings=found.warnings,
                running=score_messages(found.running),
                fields=running.fields,
                control=found_message(found.control),
                seconds=time.perf_counter() - began,
            )

    def _method(self, asked: pb.AnalyzeImageRequest | pb.AnalyzeFieldsRequest, call: Call) -> Method:
        revision = revision_of(asked.profile, "profile") if asked.HasField("profile") else None
        return self._service.method(call.actor, fields.text(asked.marker, "marker"), revision)

    def _analyzed(
        self,
        asked: pb.AnalyzeImageRequest | pb.AnalyzeFieldsRequest,
        method: Method,
        call: Call,
        running: Running | None = None,
    ) -> Found:
        picture = Picture(data=asked.image.data, mpp=asked.image.mpp)
        expected = fields.text(asked.control, "control", most=20) if isinstance(asked, pb.AnalyzeFieldsRequest) else ""
        return self._service.analyze(picture, method, call.go_on, running, expected=expected)


def _cells(
    asked: pb.AnalyzeImageRequest | pb.AnalyzeFieldsRequest, found: Found, method: Method
) -> result_pb2.Cells | None:
    """Where they are asked for."""
    if not asked.with_cells:
        return None
    return cells_message(found.cells, method.assay.analyzer, method.profile.criteria)
