"""The real API on the real store, as a test sees it: a server with tokens, a channel for each caller."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import sqlalchemy as sa
from chromogen.v1 import (
    admin_service_pb2_grpc,
    analysis_service_pb2_grpc,
    control_service_pb2_grpc,
    order_pb2,
    order_service_pb2,
    order_service_pb2_grpc,
    profile_pb2,
    profile_service_pb2_grpc,
    result_pb2,
    result_service_pb2_grpc,
)
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from inference.measures import ALL, Measure, Score, find
from server import settings
from server.api.convert_result import score_in
from server.api_service import start
from server.bootstrap import Service
from server.domain.order import OrderId
from server.domain.result import Result, ResultId
from server.report.files import kept_files
from server.report.source import KEPT_HEADER
from tests.made import made_result
from tests.server.api.issuer import Issuer

TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Told:
    """An error as a client sees it."""

    code: grpc.StatusCode
    reason: str
    advice: str
    message: str


def told(call: Callable[[], Any]) -> Told:
    """The error of a call that must fail; a stream is read to its end."""
    try:
        answer = call()
        if not hasattr(answer, "DESCRIPTOR"):
            list(answer)
    except grpc.RpcError as error:
        return told_by(error)
    raise AssertionError("the call was answered")


def told_by(error: grpc.RpcError) -> Told:
    status, info = rpc_status.from_call(error), ErrorInfo()
    assert status is not None, f"no details: {error.code()} {error.details()}"
    assert status.details[0].Unpack(info)
    assert info.domain == "chromogen"
    return Told(error.code(), info.reason, info.metadata["advice"], status.message)


@contextmanager
def running(service: Service, *, grace_s: float = 1, **groups: object) -> Iterator[int]:
    """A second server on the same store; yields its port. Calls that run at its stop have `grace_s` to end."""
    server = start(replace(service, settings=service.settings.model_copy(update=groups)))
    assert server is not None
    try:
        yield server.port
    finally:
        server.stop(grace_s)


@contextmanager
def unguarded(service: Service, local: settings.Grpc, *, grace_s: float = 1) -> Iterator[grpc.Channel]:
    """A channel to a local server without TLS and tokens."""
    with (
        running(service, grace_s=grace_s, grpc=local, tls=settings.Tls(), oidc=settings.Oidc()) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield channel


class Caller:
    """The services' stubs with one token."""

    def __init__(self, channel: grpc.Channel, token: str | None) -> None:
        metadata = [] if token is None else [("authorization", f"Bearer {token}")]
        own = grpc.intercept_channel(channel, _Adds(metadata))
        self.orders = order_service_pb2_grpc.OrderServiceStub(own)
        self.results = result_service_pb2_grpc.ResultServiceStub(own)
        self.profiles = profile_service_pb2_grpc.ProfileServiceStub(own)
        self.analysis = analysis_service_pb2_grpc.AnalysisServiceStub(own)
        self.controls = control_service_pb2_grpc.ControlServiceStub(own)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(own)

    def order(self, **more: Any) -> order_pb2.Order:
        answer: order_pb2.Order = self.orders.CreateOrder(order_request(**more)).order
        return answer


class _Adds(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    def __init__(self, metadata: list[tuple[str, str]]) -> None:
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with(details), request)

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_stream = intercept_unary_unary

    def _with(self, details: Any) -> Any:
        timeout = TIMEOUT_S if details.timeout is None else details.timeout
        return details._replace(metadata=[*(details.metadata or ()), *self._metadata], timeout=timeout)


@dataclass
class Api:
    """A running server: `caller` gives a client with a token of these roles and laboratory."""

    channel: grpc.Channel
    port: int
    issuer: Issuer
    service: Service
    folder: Path
    owner: sa.Engine
    """The database as one whom row-level security doesn't bind."""

    def caller(self, *roles: str, lab: str = "LAB-A", subject: str = "tester") -> Caller:
        return Caller(self.channel, self.issuer.token(*roles, lab=lab, subject=subject))

    def stranger(self, token: str | None = None) -> Caller:
        return Caller(self.channel, token)

    def done(
        self,
        lab: str = "LAB-A",
        *,
        seed: int = 0,
        n: int = 300,
        outlines: bool = False,
        ordered: dict[str, Any] | None = None,
        **more: Any,
    ) -> Result:
        """An order of this laboratory that a worker has finished; its result. `ordered` says what is other of it."""
        order_id = self.caller("lis", lab=lab).order(**ordered or {}).id
        claim = self.service.store.claim(OrderId(order_id), 60)
        assert claim is not None
        made = made_result(self.folder, n=n, seed=seed, outlines=outlines)
        kept = kept_files(made.cells_file, self.folder / KEPT_HEADER)
        identity = {"order_id": OrderId(order_id), "id": ResultId(str(uuid.uuid4()))}
        made = replace(made, artifacts=kept, **identity, **more)
        self.service.store.finish(claim, made, [])
        return made


def score(scores: Iterable[result_pb2.Score], measure: Measure, region: str = ALL) -> Score:
    """The row of a measure in a region of what the API answered."""
    row = find(map(score_in, scores), measure, region)
    assert row is not None, f"no {measure.code} of {region}"
    return row


def hue_value(hue: int = 120, left: int = 50, right: int = 100) -> profile_pb2.Criteria:
    return profile_pb2.Criteria(method="hue_value", numbers={"hue": hue, "left": left, "right": right})


def order_request(
    *, request_id: str | None = None, number: str | None = None, family_name: str = "TEST-INVENTED", **more: Any
) -> order_service_pb2.CreateOrderRequest:
    order: dict[str, Any] = {
        "placer_order_number": number or f"P-{uuid.uuid4().hex[:8]}",
        "marker": "ER",
        "patient": order_pb2.Patient(id="TEST-0001", family_name=family_name),
        "slide": order_pb2.SlideReference(container_id="S26-TEST-1-A-2"),
    }
    return order_service_pb2.CreateOrderRequest(
        request_id=request_id or str(uuid.uuid4()), order=order_pb2.Order(**(order | more))
    )
