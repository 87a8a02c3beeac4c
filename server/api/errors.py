"""Turns our errors into gRPC status: code by reason, ErrorInfo with the reason and what the caller can do."""

from typing import NoReturn

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from grpc_status import rpc_status

from server.domain.errors import ChromogenError
from server.services.advice import ADVICE, as_told, may_try_again, unexpected

DOMAIN = "chromogen"

log = structlog.get_logger()


def status_of(error: ChromogenError) -> Status:
    """The status with its ErrorInfo: reason, domain, and in the metadata `advice` and `retryable`."""
    advice = ADVICE[error.reason]
    metadata = {"advice": advice.advice, "retryable": "true" if may_try_again(error) else "false"}
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=str(error.reason), domain=DOMAIN, metadata=metadata))
    return Status(code=StatusCode[advice.kind].value[0], message=error.message, details=[detail])


def told(error: Exception, *, still_there: bool) -> ChromogenError:
    """What the caller hears of any error; one that nobody foresaw is logged, by its type alone."""
    if isinstance(error, ChromogenError):
        return as_told(error, still_there=still_there)
    log.error("call_broke", error=type(error).__name__)
    return unexpected()


async def abort(context: grpc.aio.ServicerContext, error: ChromogenError) -> NoReturn:
    """End the call with an error."""
    status = rpc_status.to_status(status_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort raises")
