"""The methods of the API as gRPC names them, and their handlers as values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PACKAGE = "chromogen.v1"
IMAGE_SERVICE = f"/{PACKAGE}.AnalysisService/"
TAKE_IMAGES = (IMAGE_SERVICE, f"/{PACKAGE}.ProfileService/CalibratePictures")
"""Whose messages may hold a picture."""

PUBLIC = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"})
"""Without a token: a load balancer has none. It says SERVING or NOT_SERVING, nothing else."""

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
"""With any valid token, where reflection is switched on."""


def operation_of(method: str) -> str:
    """`GetOrder` of `/chromogen.v1.OrderService/GetOrder`: the name that `permissions` has, no two services share."""
    return method.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A method as its servicer has it; `behaviour` takes one request or an iterator, and gives one answer or many."""

    behaviour: Callable[[Any, Any], Any]
    parse: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]
    takes_many: bool
    answers_many: bool

    @staticmethod
    def of(found: Any) -> "Handler":
        """From gRPC's handler."""
        return Handler(
            behaviour=found.unary_unary or found.unary_stream or found.stream_unary or found.stream_stream,
            parse=found.request_deserializer,
            serialize=found.response_serializer,
            takes_many=found.request_streaming,
            answers_many=found.response_streaming,
        )
