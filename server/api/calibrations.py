"""What of ProfileService is about calibrations."""

from collections.abc import Iterator

from chromogen.v1 import profile_service_pb2 as pb

from server.api import fields, pages
from server.api.controls import format_in
from server.api.convert_calibration import adoption_of, asked_of, calibration_message, fill_plotted
from server.api.convert_profile import view_message
from server.api.gate import Call
from server.domain.job import JobId
from server.services.calibrations import CalibrationService


class CalibrationMethods:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, calibrations: CalibrationService) -> None:
        self._calibrations = calibrations

    def CalibrateProfile(self, request: pb.CalibrateProfileRequest, call: Call) -> pb.CalibrateProfileResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        job = self._calibrations.ask(call.actor, asked_of(request), request_id)
        made = calibration_message(job)
        return pb.CalibrateProfileResponse(calibration=made, leave_one_out_error=made.mean_error)

    def GetCalibration(self, request: pb.GetCalibrationRequest, call: Call) -> pb.GetCalibrationResponse:
        wanted = format_in(request.picture)
        job = self._calibrations.get(call.actor, _id(request.calibration_id))
        answer = pb.GetCalibrationResponse(calibration=calibration_message(job))
        if job.outcome is not None and "plotted" in job.outcome:
            fill_plotted(answer, job.outcome, wanted)
        return answer

    def ListCalibrations(self, request: pb.ListCalibrationsRequest, call: Call) -> pb.ListCalibrationsResponse:
        after = pages.key_of(request.page_token, request)
        page = self._calibrations.list(call.actor, pages.size_of(request.page_size), after)
        return pb.ListCalibrationsResponse(
            calibrations=[calibration_message(job) for job in page.items],
            next_page_token=pages.token_for(page.next, request),
        )

    def WatchCalibration(
        self, request: pb.WatchCalibrationRequest, call: Call
    ) -> Iterator[pb.WatchCalibrationResponse]:
        for job in self._calibrations.watch(call.actor, _id(request.calibration_id), call.go_on):
            yield pb.WatchCalibrationResponse(calibration=calibration_message(job))

    def AdoptCalibration(self, request: pb.AdoptCalibrationRequest, call: Call) -> pb.AdoptCalibrationResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        job_id, adoption = _id(request.calibration_id), adoption_of(request)
        view = self._calibrations.adopt(call.actor, job_id, adoption, request_id)
        return pb.AdoptCalibrationResponse(profile=view_message(view))


def _id(given: str) -> JobId:
    return JobId(fields.identifier(given, "calibration_id"))
