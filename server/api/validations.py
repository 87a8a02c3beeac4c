"""What of ProfileService is about validations."""

from chromogen.v1 import profile_service_pb2 as pb

from inference.assay import assay_of
from server.api import fields
from server.api.convert_calibration import target_of
from server.api.convert_profile import revision_of
from server.api.convert_validation import validation_message
from server.api.gate import Call
from server.domain.result import ResultId
from server.domain.validation import ValidationId
from server.services.validations import MOST_SLIDES, Reference, ValidationService


class ValidationMethods:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, validations: ValidationService) -> None:
        self._validations = validations

    def ValidateProfile(self, request: pb.ValidateProfileRequest, call: Call) -> pb.ValidateProfileResponse:
        request_id = fields.identifier(request.request_id, "request_id")
        name, revision = revision_of(request.profile, "profile")
        marker = assay_of(fields.text(request.marker, "marker", least=1)).marker
        if len(request.slides) > MOST_SLIDES:
            fields.invalid(f"slides holds more than {MOST_SLIDES}")
        references = [_reference(slide, marker) for slide in request.slides]
        found = self._validations.compute(call.actor, name, revision, marker, references, request_id)
        return pb.ValidateProfileResponse(validation=validation_message(found))

    def ListValidations(self, request: pb.ListValidationsRequest, call: Call) -> pb.ListValidationsResponse:
        found = self._validations.list(call.actor, *revision_of(request.profile, "profile"))
        return pb.ListValidationsResponse(validations=map(validation_message, found))

    def SignValidation(self, request: pb.SignValidationRequest, call: Call) -> pb.SignValidationResponse:
        validation_id = ValidationId(fields.identifier(request.validation_id, "validation_id"))
        signed = self._validations.sign(call.actor, validation_id)
        return pb.SignValidationResponse(validation=validation_message(signed))


def _reference(slide: pb.ScoredSlide, marker: str) -> Reference:
    names = [region.name for region in assay_of(marker).analyzer.regions]
    if not slide.scores:
        fields.invalid("slides: one has no scores")
    result_id = ResultId(fields.identifier(slide.result_id, "slides: result_id"))
    return Reference(result_id=result_id, targets=tuple(target_of(s, names, "slides") for s in slide.scores))
