"""What the HTTP door answers: JSON, errors in one shape, and the headers that every answer has."""

from http import HTTPStatus
from typing import assert_never

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.services.advice import ADVICE, Kind, as_told, unexpected

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

log = structlog.get_logger()


def refusal(error: ChromogenError) -> Response:
    """`{"reason", "message", "advice"}`, with the status of the reason."""
    told = as_told(error, still_there=True)
    status, advice = status_of(told), ADVICE[told.reason].advice
    body = {"reason": str(told.reason), "message": told.message, "advice": advice}
    headers = {"www-authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body, int(status), headers)


async def refused(_: Request, error: Exception) -> Response:
    """Of our own errors."""
    assert isinstance(error, ChromogenError)
    return refusal(error)


async def unknown(_: Request, error: Exception) -> Response:
    """Of Starlette's own: an address or a method that there is not."""
    assert isinstance(error, HTTPException)
    found = refusal(Refused(ServiceReason.NOT_IMPLEMENTED, "there is no such address or method in this version"))
    found.status_code = error.status_code
    return found


async def broken(_: Request, error: Exception) -> Response:
    """Of what nobody foresaw: its type for the log, nothing of it for the caller."""
    log.error("call_broke", error=type(error).__name__)
    return refusal(unexpected())


def status_of(error: ChromogenError) -> HTTPStatus:
    if error.reason == ServiceReason.MESSAGE_TOO_LARGE:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return _status(ADVICE[error.reason].kind)


def _status(kind: Kind) -> HTTPStatus:
    match kind:
        case Kind.INVALID_ARGUMENT:
            return HTTPStatus.BAD_REQUEST
        case Kind.UNAUTHENTICATED:
            return HTTPStatus.UNAUTHORIZED
        case Kind.PERMISSION_DENIED:
            return HTTPStatus.FORBIDDEN
        case Kind.NOT_FOUND:
            return HTTPStatus.NOT_FOUND
        case Kind.FAILED_PRECONDITION | Kind.ALREADY_EXISTS | Kind.ABORTED | Kind.CANCELLED:
            return HTTPStatus.CONFLICT
        case Kind.RESOURCE_EXHAUSTED:
            return HTTPStatus.TOO_MANY_REQUESTS
        case Kind.DATA_LOSS | Kind.INTERNAL:
            return HTTPStatus.INTERNAL_SERVER_ERROR
        case Kind.UNIMPLEMENTED:
            return HTTPStatus.NOT_IMPLEMENTED
        case Kind.UNAVAILABLE:
            return HTTPStatus.SERVICE_UNAVAILABLE
        case Kind.DEADLINE_EXCEEDED:
            return HTTPStatus.GATEWAY_TIMEOUT
    assert_never(kind)
