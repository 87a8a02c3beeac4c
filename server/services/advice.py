"""What a reason means to whoever made the call, and what they can do: the same by every door, which turn a kind into
their own status.
"""

from dataclasses import dataclass
from enum import StrEnum

from inference.errors import Reason
from server.domain.errors import ChromogenError, Failed, ServiceReason


class Kind(StrEnum):
    """Of an error; named as gRPC's codes, which HTTP's statuses follow."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    ABORTED = "ABORTED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    UNAVAILABLE = "UNAVAILABLE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    DATA_LOSS = "DATA_LOSS"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Advice:
    """The kind of a reason, and what whoever reads it can do."""

    kind: Kind
    advice: str


_S, _R = ServiceReason, Reason
_INVALID, _STATE, _INTERNAL = Kind.INVALID_ARGUMENT, Kind.FAILED_PRECONDITION, Kind.INTERNAL
_AWAY = Kind.UNAVAILABLE
_REPORT = "report it with the time of the call: the service's log has the cause"

ADVICE: dict[StrEnum, Advice] = {
    _R.NO_PIXEL_SIZE: Advice(_INVALID, "give the pixel side in µm, above 0"),
    _R.TOO_COARSE: Advice(_INVALID, "send pixels of at most 0.625 µm"),
    _R.NOT_A_SLIDE: Advice(_INVALID, "send a slide or picture of a kind that is read here"),
    _R.SLIDE_DAMAGED: Advice(_INVALID, "scan or export the slide again"),
    _R.UNSUPPORTED_SYNTAX: Advice(_INVALID, "store the slide as JPEG, JPEG 2000 or uncompressed"),
    _R.WRONG_COLOUR_SPACE: Advice(_INVALID, "send a colour picture of 3 x 8 bit"),
    _R.NOT_BRIGHTFIELD: Advice(_INVALID, "send a brightfield slide: fluorescence isn't scored here"),
    _R.SEVERAL_SLIDES: Advice(_INVALID, "name one slide: by its series or container"),
    _R.REGION_INVALID: Advice(_INVALID, "name a region inside the slide"),
    _R.ASSAY_UNSUPPORTED: Advice(_INVALID, "name a stain that is scored here"),
    _R.NO_TISSUE: Advice(_STATE, "check that this is the right slide"),
    _R.NOT_IHC: Advice(_STATE, "check which slide was ordered: an immunostain is needed"),
    _R.TILES_UNREADABLE: Advice(_STATE, "scan or export the slide again"),
    _R.PROFILE_INVALID: Advice(_INVALID, "give criteria that the stain is scored by, each number in its range"),
    _R.NOT_MEMBRANE: Advice(_STATE, "check which slide was ordered: a membrane stain is needed"),
    _R.NOT_HE: Advice(_STATE, "check which slide was ordered: one stained with haematoxylin and eosin is needed"),
    _R.NOT_NUCLEAR: Advice(_STATE, "check which slide was ordered: a nuclear stain is needed"),
    _R.TOO_FEW_CELLS: Advice(_STATE, "name a region with more tumour, or order another slide"),
    _R.CYTOPLASMIC_BLUSH: Advice(_STATE, "have the slide stained again: the cytoplasm is stained too"),
    _R.SITE_UNSUPPORTED: Advice(_INVALID, "order a stain that is scored for this site"),
    _R.COLOUR_MISSING: Advice(_STATE, "order the slide again: colours by the white point are measured anew"),
    _R.OUTLINES_MISSING: Advice(_STATE, "order the slide again, by a profile that grades by outlines or with them on"),
    _R.OUTLINES_UNSUPPORTED: Advice(_INVALID, "ask for outlines of nuclear stains alone"),
    _R.CELLS_INVALID: Advice(
        Kind.DATA_LOSS,
        "cells of an older schema: order the slide again; a damaged file: the operator restores it from its backup",
    ),
    _R.MODEL_INVALID: Advice(_STATE, "the operator installs the model again"),
    _R.DATASET_INVALID: Advice(_INVALID, "correct the data set"),
    _R.MANIFEST_INVALID: Advice(_INVALID, "correct the line of the manifest that is named"),
    _R.ANNOTATION_INVALID: Advice(_INVALID, "correct or export again the annotations that are named"),
    _R.CONTROL_INVALID: Advice(
        _INVALID, "give what a control must show: a range of a measure, or one of its categories"
    ),
    _R.CONTROL_FAILED: Advice(_STATE, "stain the slide again with its control, then order anew"),
    _R.CALIBRATION_IMPOSSIBLE: Advice(_STATE, "annotate more regions, with nuclei of every grade"),
    _R.OUTPUT_NOT_WRITABLE: Advice(_AWAY, "the operator makes room on the disk; then try again"),
    _R.ENGINE_FAILED: Advice(_AWAY, "try again; the operator looks at the inference engine"),
    _S.MESSAGE_INVALID: Advice(_INVALID, "correct the text that was sent"),
    _S.MESSAGE_TOO_LARGE: Advice(Kind.RESOURCE_EXHAUSTED, "send less at once: 16 MiB a picture, 1 MiB anything else"),
    _S.CHARSET_UNDECODABLE: Advice(_INVALID, "send text in the character set that is named"),
    _S.MESSAGE_TYPE_UNSUPPORTED: Advice(_INVALID, "send a kind of message that is taken here"),
    _S.FIELD_MISSING: Advice(_INVALID, "fill in the field that is named"),
    _S.MARKER_UNKNOWN: Advice(_INVALID, "name one marker, by one code"),
    _S.LABORATORY_UNKNOWN: Advice(
        Kind.PERMISSION_DENIED, "the operator names the laboratory in the site file, or corrects the token's"
    ),
    _S.SENDER_UNKNOWN: Advice(Kind.PERMISSION_DENIED, "the operator names the sender in the site file"),
    _S.NO_PROFILE: Advice(_STATE, "activate a profile for the marker"),
    _S.PROFILE_EXPIRED: Advice(_STATE, "activate a revision that is valid, or retire the one that expired"),
    _S.PROFILE_CONFLICT: Advice(Kind.ALREADY_EXISTS, "make a revision of the profile, or name it anew"),
    _S.COHORT_EMPTY: Advice(_STATE, "give a filter that orders with results fit"),
    _S.CONTROL_PENDING: Advice(_STATE, "have the control slide of the staining run scored, then order again"),
    _S.CONTROL_RANGE_UNKNOWN: Advice(Kind.NOT_FOUND, "check the number of the range"),
    _S.ORDER_UNKNOWN: Advice(Kind.NOT_FOUND, "check the order's identifier"),
    _S.ORDER_STATE: Advice(_STATE, "read the order again: its state does not allow this"),
    _S.ENGINE_UNREACHABLE: Advice(_AWAY, "nothing is lost: the order goes on once the inference engine is back"),
    _S.SLIDE_NOT_FOUND: Advice(Kind.NOT_FOUND, "check that the slide has reached the archive, and how it is named"),
    _S.SPECIMEN_MISMATCH: Advice(_STATE, "clear up which specimen the slide is of, then order again"),
    _S.ARCHIVE_UNREACHABLE: Advice(_AWAY, "try again; the operator looks at the archive"),
    _S.ARCHIVE_DENIED: Advice(_AWAY, "the operator corrects the account that the archive refuses, or its rights"),
    _S.ARCHIVE_ANSWER: Advice(
        _AWAY, "the operator looks at the archive: it answers what isn't DICOMweb, or half of it"
    ),
    _S.OBJECT_REFUSED: Advice(
        _STATE, "the operator has the archive take the kind of object, or takes it off the route"
    ),
    _S.SPOOL_FULL: Advice(_AWAY, "the operator makes room where slides are spooled"),
    _S.SPOOL_TOO_SMALL: Advice(_STATE, "the operator raises CHROMOGEN_ARCHIVE_SPOOL_GB, then order again"),
    _S.DATABASE_UNREACHABLE: Advice(_AWAY, "try again in some seconds with the same request_id"),
    _S.DATABASE_FAILED: Advice(_INTERNAL, "the operator runs `chromogen migrate`, then `chromogen check`"),
    _S.WORKER_LOST: Advice(Kind.ABORTED, "retry the order; the operator looks at the workers' memory"),
    _S.TASK_UNKNOWN: Advice(Kind.NOT_FOUND, "send the image again"),
    _S.RESULT_UNKNOWN: Advice(Kind.NOT_FOUND, "check the result's identifier"),
    _S.RECEIVER_ERROR: Advice(_AWAY, "the operator looks at the receiver's log, then replays"),
    _S.RECEIVER_REJECTED: Advice(_STATE, "the operator looks at the receiver's log, then replays"),
    _S.DELIVERY_FAILED: Advice(_AWAY, "the operator looks at the destination, then replays"),
    _S.SETTING_INVALID: Advice(_INTERNAL, "the operator corrects the setting that is named"),
    _S.ATTEMPT_LOST: Advice(Kind.ABORTED, "nothing: another worker has the order"),
    _S.INTERNAL: Advice(_INTERNAL, _REPORT),
    _S.UNAUTHENTICATED: Advice(Kind.UNAUTHENTICATED, "send `authorization: Bearer TOKEN` with one token"),
    _S.TOKEN_INVALID: Advice(Kind.UNAUTHENTICATED, "get a token of this service's issuer and for its audience"),
    _S.TOKEN_EXPIRED: Advice(Kind.UNAUTHENTICATED, "get a new token"),
    _S.KEYS_UNREACHABLE: Advice(_AWAY, "try again; the operator looks at the issuer's keys (CHROMOGEN_OIDC_JWKS)"),
    _S.PERMISSION_DENIED: Advice(Kind.PERMISSION_DENIED, "ask for a role that may do this"),
    _S.ARGUMENT_INVALID: Advice(_INVALID, "correct the field that is named"),
    _S.PAGE_TOKEN_INVALID: Advice(_INVALID, "begin at the first page, with the filters that are wanted"),
    _S.ETAG_MISMATCH: Advice(Kind.ABORTED, "read it again, then decide anew"),
    _S.REQUEST_ID_REUSED: Advice(Kind.ALREADY_EXISTS, "give each request a UUID of its own"),
    _S.RATE_LIMITED: Advice(Kind.RESOURCE_EXHAUSTED, "wait a second; send fewer calls"),
    _S.TOO_MANY_CALLS: Advice(Kind.RESOURCE_EXHAUSTED, "try again in some seconds; send fewer calls at once"),
    _S.TOO_MANY_STREAMS: Advice(Kind.RESOURCE_EXHAUSTED, "close a stream, or try again later"),
    _S.DEADLINE_EXCEEDED: Advice(Kind.DEADLINE_EXCEEDED, "try again with a later deadline and the same request_id"),
    _S.CANCELLED: Advice(
        Kind.CANCELLED, "nothing was kept: call again with the same request_id where it is still wanted"
    ),
    _S.SERVER_STOPPING: Advice(_AWAY, "call again: another server answers, or this one in some seconds"),
    _S.NOT_IMPLEMENTED: Advice(Kind.UNIMPLEMENTED, "wait for a version that has it"),
    _S.PROFILE_UNKNOWN: Advice(Kind.NOT_FOUND, "check the profile's name and revision"),
    _S.PROFILE_STATE: Advice(_STATE, "read the profile again: its state does not allow this"),
    _S.ESTIMATE_MISSING: Advice(_STATE, "enter your own estimate first: the score is shown then"),
    _S.RESULT_STATE: Advice(_STATE, "read the result again: its state does not allow this"),
    _S.VALIDATION_UNKNOWN: Advice(Kind.NOT_FOUND, "check the validation's identifier"),
    _S.VALIDATION_IMPOSSIBLE: Advice(_STATE, "validate over slides of one marker and model, as many as are asked for"),
    _S.JOB_UNKNOWN: Advice(Kind.NOT_FOUND, "check the job's identifier"),
    _S.JOB_STATE: Advice(_STATE, "wait until the job is DONE; of one that failed correct what its reason names"),
    _S.NUCLEI_MISSING: Advice(Kind.DATA_LOSS, "the operator restores the results' folder from its backup"),
    _S.DELIVERY_UNKNOWN: Advice(Kind.NOT_FOUND, "check the delivery's number"),
    _S.DELIVERY_STATE: Advice(_STATE, "only dead letters are sent again"),
    _S.DELIVERY_SUPERSEDED: Advice(_STATE, "replay the order's last message, where that is dead too"),
}


def unexpected() -> Failed:
    """What a caller hears of an error that we did not foresee: nothing of what it says."""
    return Failed(ServiceReason.INTERNAL, "something unforeseen went wrong here")


def as_told(error: ChromogenError, *, still_there: bool) -> ChromogenError:
    """CANCELLED is what a store says of a call that took too long, too.

    Its caller, who is still there, learns which.
    """
    if error.reason == ServiceReason.CANCELLED and still_there:
        return Failed(
            ServiceReason.DEADLINE_EXCEEDED, "the call took longer than is allowed: nothing was kept", retryable=True
        )
    return error if error.reason in ADVICE else unexpected()


def may_try_again(error: ChromogenError) -> bool:
    """Would the same call, later, find another answer?"""
    return error.retryable or ADVICE[error.reason].kind in (Kind.UNAVAILABLE, Kind.RESOURCE_EXHAUSTED)
