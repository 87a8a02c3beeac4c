"""ProfileService."""

from chromogen.v1 import profile_service_pb2 as pb

from server.api import fields, pages
from server.api.convert_comparison import comparison_message, difference_messages
from server.api.convert_profile import STATES, criteria_in, name_of, profile_of, revision_of, view_message
from server.api.gate import Call
from server.domain.errors import Refused, ServiceReason
from server.domain.result import ResultId
from server.domain.views import ProfileFilter, Revision
from server.services.comparison import compared, differences
from server.services.profiles import ProfileService
from server.services.results import ResultService

MOST_COMPARED = 200


class ProfileServicer:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, service: ProfileService, results: ResultService) -> None:
        self._service, self._results = service, results

    def CreateProfile(self, request: pb.CreateProfileRequest, call: Call) -> pb.CreateProfileResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        view = self._service.create(call.actor, profile_of(request.profile, call.actor.lab), request_id)
        return pb.CreateProfileResponse(profile=view_message(view))

    def GetProfile(self, request: pb.GetProfileRequest, call: Call) -> pb.GetProfileResponse:
        revision = fields.number(request.revision, "revision", 0, 2**31 - 1) or None
        return pb.GetProfileResponse(
            profile=view_message(self._service.get(call.actor, name_of(request.name, "name"), revision))
        )

    def ListProfiles(self, request: pb.ListProfilesRequest, call: Call) -> pb.ListProfilesResponse:
        if request.state and request.state not in STATES:
            fields.invalid("state is none that is known here")
        wanted = ProfileFilter(marker=fields.text(request.marker, "marker"), state=STATES.get(request.state))
        after = pages.key_of(request.page_token, request)
        page = self._service.list(call.actor, wanted, pages.size_of(request.page_size), after)
        profiles = [view_message(view) for view in page.items]
        return pb.ListProfilesResponse(profiles=profiles, next_page_token=pages.token_for(page.next, request))

    def CreateProfileRevision(
        self, request: pb.CreateProfileRevisionRequest, call: Call
    ) -> pb.CreateProfileRevisionResponse:
        revision = Revision(
            criteria=criteria_in(request.criteria, "criteria"),
            source=fields.text(request.source, "source", most=500),
            valid_from=fields.day(request.valid_from, "valid_from"),
            valid_until=fields.day(request.valid_until, "valid_until"),
        )
        request_id, name = fields.identifier(request.request_id, "request_id"), name_of(request.name, "name")
        view = self._service.revise(call.actor, name, revision, request_id, request.etag)
        return pb.CreateProfileRevisionResponse(profile=view_message(view))

    def ActivateProfile(self, request: pb.ActivateProfileRequest, call: Call) -> pb.ActivateProfileResponse:
        name, revision = name_of(request.name, "name"), fields.number(request.revision, "revision", 1, 2**31 - 1)
        view = self._service.activate(call.actor, name, revision, request.etag)
        return pb.ActivateProfileResponse(profile=view_message(view))

    def RetireProfile(self, request: pb.RetireProfileRequest, call: Call) -> pb.RetireProfileResponse:
        name, revision = name_of(request.name, "name"), fields.number(request.revision, "revision", 1, 2**31 - 1)
        view = self._service.retire(call.actor, name, revision, request.etag)
        return pb.RetireProfileResponse(profile=view_message(view))

    def CompareProfiles(self, request: pb.CompareProfilesRequest, call: Call) -> pb.CompareProfilesResponse:
        if not 1 <= len(request.result_ids) <= MOST_COMPARED:
            fields.invalid(f"result_ids needs 1 to {MOST_COMPARED} results")
        asked = (revision_of(request.first, "first"), revision_of(request.second, "second"))
        first, second = (self._service.get(call.actor, name, revision).profile for name, revision in asked)
        rows = []
        for given in request.result_ids:
            call.go_on()
            view = self._results.get(call.actor, ResultId(fields.identifier(given, "result_ids")))
            rows.append(compared(view.result, first, second))
        return pb.CompareProfilesResponse(
            comparisons=[comparison_message(row) for row in rows], differences=difference_messages(differences(rows))
        )

    def CalibrateProfile(self, request: pb.CalibrateProfileRequest, call: Call) -> pb.CalibrateProfileResponse:
        raise Refused(
            ServiceReason.NOT_IMPLEMENTED, "calibration is not built yet: give criteria by CreateProfileRevision"
        )
