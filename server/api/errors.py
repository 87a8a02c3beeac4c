"""The one place that turns our errors into gRPC status: code by reason, ErrorInfo with the reason and what the caller
can do.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from grpc_status import rpc_status

from inference.errors import Reason
from server.domain.errors import ChromogenError, Failed, ServiceReason

DOMAIN = "chromogen"


@dataclass(frozen=True, slots=True)
class Advice:
    """The status of a reason, and what whoever reads it can do."""

    code: StatusCode
    advice: str


_S, _R = ServiceReason, Reason
_INVALID, _STATE, _INTERNAL = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION, StatusCode.INTERNAL
_AWAY = StatusCode.UNAVAILABLE
_REPORT = "report it with the time of the call: the service's log has the cause"

ADVICE: dict[StrEnum, Advice] = {
    _R.NO_PIXEL_SIZE: Advice(_INVALID, "give the pixel side in µm, above 0"),
    _R.TOO_COARSE: Advice(_INVALID, "send pixels of at most 0.625 µm"),
    _R.NOT_A_SLIDE: Advice(_INVALID, "send a slide or picture of a kind that is read here"),
    _R.SLIDE_DAMAGED: Advice(_INVALID, "scan or export the slide again"),
    _R.UNSUPPORTED_SYNTAX: Advice(_INVALID, "store the slide as JPEG, JPEG 2000 or uncompressed"),
    _R.WRONG_COLOUR_SPACE: Advice(_INVALID, "send a colour picture of 3 x 8 bit"),
    _R.SEVERAL_SLIDES: Advice(_INVALID, "name one slide: by its series or container"),
    _R.REGION_INVALID: Advice(_INVALID, "name a region inside the slide"),
    _R.ASSAY_UNSUPPORTED: Advice(_INVALID, "name a stain that is scored here"),
    _R.NO_TISSUE: Advice(_STATE, "check that this is the right slide"),
    _R.NOT_IHC: Advice(_STATE, "check which slide was ordered: an immunostain is needed"),
    _R.TILES_UNREADABLE: Advice(_STATE, "scan or export the slide again"),
    _R.PROFILE_INVALID: Advice(
        _INVALID, "give criteria of a kind that the stain is scored by, each number in its range"
    ),
    _R.CELLS_INVALID: Advice(StatusCode.DATA_LOSS, "the operator restores the results' folder from its backup"),
    _R.MODEL_INVALID: Advice(_STATE, "the operator installs the model again"),
    _R.DATASET_INVALID: Advice(_INVALID, "correct the data set"),
    _R.OUTPUT_NOT_WRITABLE: Advice(_AWAY, "the operator makes room on the disk; then try again"),
    _R.ENGINE_FAILED: Advice(_AWAY, "try again; the operator looks at the inference engine"),
    _S.MESSAGE_INVALID: Advice(_INVALID, "correct the text that was sent"),
    _S.MESSAGE_TOO_LARGE: Advice(
        StatusCode.RESOURCE_EXHAUSTED, "send less at once: 16 MiB a picture, 1 MiB anything else"
    ),
    _S.CHARSET_UNDECODABLE: Advice(_INVALID, "send text in the character set that is named"),
    _S.MESSAGE_TYPE_UNSUPPORTED: Advice(_INVALID, "send a kind of message that is taken here"),
    _S.FIELD_MISSING: Advice(_INVALID, "fill in the field that is named"),
    _S.MARKER_UNKNOWN: Advice(_INVALID, "name one marker, by one code"),
    _S.LABORATORY_UNKNOWN: Advice(
        StatusCode.PERMISSION_DENIED, "the operator names the laboratory in the site file, or corrects the token's"
    ),
    _S.SENDER_UNKNOWN: Advice(StatusCode.PERMISSION_DENIED, "the operator names the sender in the site file"),
    _S.NO_PROFILE: Advice(_STATE, "activate a profile for the marker"),
    _S.PROFILE_CONFLICT: Advice(StatusCode.ALREADY_EXISTS, "make a revision of the profile, or name it anew"),
    _S.ORDER_UNKNOWN: Advice(StatusCode.NOT_FOUND, "check the order's identifier"),
    _S.ORDER_STATE: Advice(_STATE, "read the order again: its state does not allow this"),
    _S.SLIDE_NOT_FOUND: Advice(
        StatusCode.NOT_FOUND, "check that the slide has reached the archive, and how it is named"
    ),
    _S.SPECIMEN_MISMATCH: Advice(_STATE, "clear up which specimen the slide is of, then order again"),
    _S.ARCHIVE_UNREACHABLE: Advice(_AWAY, "try again; the operator looks at the archive"),
    _S.DATABASE_UNREACHABLE: Advice(_AWAY, "try again in some seconds with the same request_id"),
    _S.DATABASE_FAILED: Advice(_INTERNAL, "the operator runs `chromogen migrate`, then `chromogen check`"),
    _S.WORKER_LOST: Advice(StatusCode.ABORTED, "retry the order; the operator looks at the workers' memory"),
    _S.RESULT_UNKNOWN: Advice(StatusCode.NOT_FOUND, "check the result's identifier"),
    _S.RECEIVER_ERROR: Advice(_AWAY, "the operator looks at the receiver's log, then replays"),
    _S.RECEIVER_REJECTED: Advice(_STATE, "the operator looks at the receiver's log, then replays"),
    _S.DELIVERY_FAILED: Advice(_AWAY, "the operator looks at the destination, then replays"),
    _S.SETTING_INVALID: Advice(_INTERNAL, "the operator corrects the setting that is named"),
    _S.ATTEMPT_LOST: Advice(StatusCode.ABORTED, "nothing: another worker has the order"),
    _S.INTERNAL: Advice(_INTERNAL, _REPORT),
    _S.UNAUTHENTICATED: Advice(StatusCode.UNAUTHENTICATED, "send `authorization: Bearer TOKEN` with one token"),
    _S.TOKEN_INVALID: Advice(StatusCode.UNAUTHENTICATED, "get a token of this service's issuer and for its audience"),
    _S.TOKEN_EXPIRED: Advice(StatusCode.UNAUTHENTICATED, "get a new token"),
    _S.KEYS_UNREACHABLE: Advice(_AWAY, "try again; the operator looks at the issuer's keys (CHROMOGEN_OIDC_JWKS)"),
    _S.PERMISSION_DENIED: Advice(StatusCode.PERMISSION_DENIED, "ask for a role that may do this"),
    _S.ARGUMENT_INVALID: Advice(_INVALID, "correct the field that is named"),
    _S.PAGE_TOKEN_INVALID: Advice(_INVALID, "begin at the first page, with the filters that are wanted"),
    _S.ETAG_MISMATCH: Advice(StatusCode.ABORTED, "read it again, then decide anew"),
    _S.REQUEST_ID_REUSED: Advice(StatusCode.ALREADY_EXISTS, "give each request a UUID of its own"),
    _S.RATE_LIMITED: Advice(StatusCode.RESOURCE_EXHAUSTED, "wait a second; send fewer calls"),
    _S.TOO_MANY_STREAMS: Advice(StatusCode.RESOURCE_EXHAUSTED, "close a stream, or try again later"),
    _S.DEADLINE_EXCEEDED: Advice(
        StatusCode.DEADLINE_EXCEEDED, "try again with a later deadline and the same request_id"
    ),
    _S.CANCELLED: Advice(
        StatusCode.CANCELLED, "nothing was kept: call again with the same request_id where it is still wanted"
    ),
    _S.SERVER_STOPPING: Advice(_AWAY, "call again: another server answers, or this one in some seconds"),
    _S.NOT_IMPLEMENTED: Advice(StatusCode.UNIMPLEMENTED, "wait for a version that has it"),
    _S.PROFILE_UNKNOWN: Advice(StatusCode.NOT_FOUND, "check the profile's name and revision"),
    _S.PROFILE_STATE: Advice(_STATE, "read the profile again: its state does not allow this"),
    _S.RESULT_STATE: Advice(_STATE, "read the result again: its state does not allow this"),
    _S.NUCLEI_MISSING: Advice(StatusCode.DATA_LOSS, "the operator restores the results' folder from its backup"),
    _S.DELIVERY_UNKNOWN: Advice(StatusCode.NOT_FOUND, "check the delivery's number"),
    _S.DELIVERY_STATE: Advice(_STATE, "only dead letters are sent again"),
    _S.DELIVERY_SUPERSEDED: Advice(_STATE, "replay the order's last message, where that is dead too"),
}


def unexpected() -> Failed:
    """What a caller hears of an error that we did not foresee: nothing of what it says."""
    return Failed(ServiceReason.INTERNAL, "something unforeseen went wrong here")


def status_of(error: ChromogenError) -> Status:
    """The status with its ErrorInfo: reason, domain, and in the metadata `advice` and `retryable`."""
    advice = ADVICE[error.reason]
    again = error.retryable or advice.code in (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)
    metadata = {"advice": advice.advice, "retryable": "true" if again else "false"}
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=str(error.reason), domain=DOMAIN, metadata=metadata))
    return Status(code=advice.code.value[0], message=error.message, details=[detail])


def abort(context: grpc.ServicerContext, error: ChromogenError) -> NoReturn:
    """End the call with an error."""
    context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort_with_status raises")
