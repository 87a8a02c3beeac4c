"""ProfileService."""

from chromogen.v1 import profile_service_pb2 as pb

from inference.assay import assay_of
from server.api import fields, pages
from server.api.calibrations import CalibrationMethods
from server.api.cohorts import CohortMethods
from server.api.convert_comparison import change_messages, comparison_message, difference_messages
from server.api.convert_profile import STATES, criteria_in, name_of, profile_of, revision_of, view_message
from server.api.gate import Call
from server.api.sent_pictures import PictureMethods
from server.api.validations import ValidationMethods
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import ANY, Profile, built_in
from server.domain.result import ResultId
from server.domain.states import ProfileState
from server.domain.views import ProfileFilter, ResultFilter, Revision, StateChange
from server.services.analysis import AnalysisService
from server.services.calibrations import CalibrationService
from server.services.cohorts import CohortService
from server.services.comparison import changes, compared, differences
from server.services.profiles import ProfileService
from server.services.results import ResultService
from server.services.validations import ValidationService

MOST_COMPARED = 200
LONGEST_REASON = 500


class ProfileServicer(CalibrationMethods, CohortMethods, PictureMethods, ValidationMethods):
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(
        self,
        service: ProfileService,
        results: ResultService,
        calibrations: CalibrationService,
        cohorts: CohortService,
        validations: ValidationService,
        analysis: AnalysisService,
    ) -> None:
        CalibrationMethods.__init__(self, calibrations)
        CohortMethods.__init__(self, cohorts)
        PictureMethods.__init__(self, calibrations, analysis)
        ValidationMethods.__init__(self, validations)
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
        name, revision = _named(request)
        change = StateChange(
            state=ProfileState.ACTIVE,
            reason=fields.text(request.reason, "reason", most=LONGEST_REASON),
            valid_from=fields.day(request.valid_from, "valid_from"),
            valid_until=fields.day(request.valid_until, "valid_until"),
            etag=request.etag,
        )
        view = self._service.activate(call.actor, name, revision, change)
        return pb.ActivateProfileResponse(profile=view_message(view))

    def RetireProfile(self, request: pb.RetireProfileRequest, call: Call) -> pb.RetireProfileResponse:
        name, revision = _named(request)
        reason = fields.text(request.reason, "reason", most=LONGEST_REASON)
        change = StateChange(state=ProfileState.RETIRED, reason=reason, etag=request.etag)
        return pb.RetireProfileResponse(profile=view_message(self._service.retire(call.actor, name, revision, change)))

    def CompareProfiles(self, request: pb.CompareProfilesRequest, call: Call) -> pb.CompareProfilesResponse:
        second = self._service.get(call.actor, *revision_of(request.second, "second")).profile
        first = self._first(request, second, call)
        rows = []
        for result_id in self._wanted(request, second, call):
            call.go_on()
            rows.append(compared(self._results.get(call.actor, result_id).result, first, second))
        return pb.CompareProfilesResponse(
            comparisons=[comparison_message(row) for row in rows],
            differences=difference_messages(differences(rows)),
            changes=change_messages(changes(rows)),
            first=pb.ProfileRevision(name=first.name, revision=first.revision),
        )

    def _first(self, request: pb.CompareProfilesRequest, second: Profile, call: Call) -> Profile:
        """The one that is named, or is used now."""
        if request.HasField("first"):
            return self._service.get(call.actor, *revision_of(request.first, "first")).profile
        active = self._service.active(call.actor, second.name)
        return built_in(assay_of(self._marker(request, second))) if active is None else active.profile

    def _wanted(self, request: pb.CompareProfilesRequest, second: Profile, call: Call) -> list[ResultId]:
        """Those named, or the laboratory's newest of the marker."""
        if request.result_ids:
            if len(request.result_ids) > MOST_COMPARED:
                fields.invalid(f"result_ids needs 1 to {MOST_COMPARED} results")
            return [ResultId(fields.identifier(given, "result_ids")) for given in request.result_ids]
        wanted = ResultFilter(
            marker=self._marker(request, second),
            created_from=fields.moment(request, "created_from"),
            created_until=fields.moment(request, "created_until"),
            first_only=True,
        )
        most = fields.number(request.most_results, "most_results", 0, MOST_COMPARED) or MOST_COMPARED
        return [view.result.id for view in self._results.list(call.actor, wanted, most, ()).items]

    def _marker(self, request: pb.CompareProfilesRequest, second: Profile) -> str:
        asked = fields.text(request.marker, "marker") or (second.key.marker if second.key.marker != ANY else "")
        if not asked:
            raise Refused(ServiceReason.FIELD_MISSING, "marker is missing: the second profile is for any")
        return assay_of(asked).marker


def _named(request: pb.ActivateProfileRequest | pb.RetireProfileRequest) -> tuple[str, int]:
    return name_of(request.name, "name"), fields.number(request.revision, "revision", 1, 2**31 - 1)
