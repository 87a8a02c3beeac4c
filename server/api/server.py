"""The gRPC server: a bounded pool of threads, limits, TLS, and the servicers behind the gate."""

import ipaddress
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from chromogen.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    analysis_service_pb2,
    analysis_service_pb2_grpc,
    order_service_pb2,
    order_service_pb2_grpc,
    profile_service_pb2,
    profile_service_pb2_grpc,
    result_service_pb2,
    result_service_pb2_grpc,
)
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.api import permissions
from server.api.admin import AdminServicer
from server.api.analysis import AnalysisServicer
from server.api.auth import Authenticate, LocalCaller, TokenCaller
from server.api.gate import LARGEST_IMAGE_CALL, Gate, NoteRefusal
from server.api.health import Health
from server.api.keys import KeySet, reader_of
from server.api.limits import Rate, Slots
from server.api.orders import OrderServicer
from server.api.profiles import ProfileServicer
from server.api.results import ResultServicer
from server.domain.errors import Failed, Refused, ServiceReason
from server.settings import Grpc, Settings, Tls
from server.tls import api_credentials

QUEUED_PER_THREAD = 8
"""Calls that may wait for a thread; beyond that they are turned away at once (RESOURCE_EXHAUSTED)."""
STOP_GRACE_S = 10.0
PING_AT_LEAST_MS = 10_000
"""GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS; the default of five minutes turns ordinary clients away."""
STREAMS_PER_CONNECTION = 256
HANDSHAKE_TIMEOUT_MS = 10_000

_MODULES: tuple[Any, ...] = (
    order_service_pb2,
    result_service_pb2,
    profile_service_pb2,
    analysis_service_pb2,
    admin_service_pb2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servicers:
    """What answers the calls, one a service."""

    orders: OrderServicer
    results: ResultServicer
    profiles: ProfileServicer
    analysis: AnalysisServicer
    admin: AdminServicer


def services() -> Iterator[ServiceDescriptor]:
    """Every service of the API."""
    for module in _MODULES:
        yield from module.DESCRIPTOR.services_by_name.values()


def methods() -> Iterator[str]:
    """Every method of the API, as `/package.Service/Method`."""
    for service in services():
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}"


class ApiServer:
    """Listens from `start` to `stop`."""

    def __init__(self, settings: Settings, servicers: Servicers, health: Health, note_refusal: NoteRefusal) -> None:
        """Raises Refused SETTING_INVALID: a method without permission, or settings that would let anybody in."""
        permissions.check_declared([*methods(), *permissions.REFLECTION])
        wanted = settings.grpc
        self._gate = Gate(
            authenticate_by(settings),
            rate=Rate(wanted.rate),
            streams=Slots(wanted.streams),
            deadline_s=wanted.deadline_s,
            note_refusal=note_refusal,
        )
        self._credentials = credentials_of(wanted, settings.tls)
        self.port = 0
        self._host, self._port, self._health = wanted.host, wanted.port, health
        self._pool = ThreadPoolExecutor(wanted.threads + wanted.streams, thread_name_prefix="grpc")
        self._server = grpc.server(
            self._pool,
            interceptors=(self._gate,),
            options=options(),
            maximum_concurrent_rpcs=wanted.threads * QUEUED_PER_THREAD + wanted.streams,
        )
        _add(self._server, servicers, health)
        if wanted.reflection:
            names = [service.full_name for service in services()]
            health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            reflection.enable_server_reflection((*names, health_name, reflection.SERVICE_NAME), self._server)

    def start(self) -> int:
        """Listen; returns the port. Raises Failed SETTING_INVALID where it is taken."""
        address = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError:
            raise Failed(
                ServiceReason.SETTING_INVALID, f"CHROMOGEN_GRPC_HOST and _PORT: {address} can't be listened at"
            ) from None
        self._health.start()
        self._server.start()
        self.port = int(port)
        return self.port

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no more calls; those that run have `grace_s` to end."""
        self._health.stop()
        self._gate.stop_streams()
        self._server.stop(grace_s).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)


def authenticate_by(settings: Settings) -> Authenticate:
    """Raises Refused SETTING_INVALID."""
    oidc = settings.oidc
    given = [bool(v) for v in (oidc.issuer, oidc.audience, oidc.jwks)]
    if all(given):
        keys = KeySet(reader_of(oidc.jwks, oidc.ca), refresh_s=oidc.refresh_s)
        return TokenCaller(issuer=oidc.issuer, audience=oidc.audience, keys=keys, leeway_s=oidc.leeway_s)
    if any(given):
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_OIDC_ISSUER, _AUDIENCE and _JWKS belong together: set all three"
        )
    if not settings.grpc.insecure:
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_OIDC_ISSUER, _AUDIENCE and _JWKS are not set: nobody could call"
        )
    return LocalCaller(lab=settings.grpc.local_lab)


def credentials_of(wanted: Grpc, tls: Tls) -> grpc.ServerCredentials | None:
    """None for an insecure server, on loopback only. Raises Refused SETTING_INVALID."""
    if wanted.insecure:
        if not is_loopback(wanted.host):
            raise Refused(
                ServiceReason.SETTING_INVALID,
                "CHROMOGEN_GRPC_INSECURE is for loopback only: CHROMOGEN_GRPC_HOST is not",
            )
        if tls.cert or tls.key or tls.client_ca:
            raise Refused(
                ServiceReason.SETTING_INVALID, "CHROMOGEN_GRPC_INSECURE and CHROMOGEN_TLS_* exclude each other"
            )
        return None
    return api_credentials(tls)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _add(server: grpc.Server, servicers: Servicers, health: Health) -> None:
    adders: tuple[tuple[Callable[..., None], object], ...] = (
        (order_service_pb2_grpc.add_OrderServiceServicer_to_server, servicers.orders),
        (result_service_pb2_grpc.add_ResultServiceServicer_to_server, servicers.results),
        (profile_service_pb2_grpc.add_ProfileServiceServicer_to_server, servicers.profiles),
        (analysis_service_pb2_grpc.add_AnalysisServiceServicer_to_server, servicers.analysis),
        (admin_service_pb2_grpc.add_AdminServiceServicer_to_server, servicers.admin),
        (health_pb2_grpc.add_HealthServicer_to_server, health.servicer),
    )
    for add, servicer in adders:
        add(servicer, server)


def options() -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", LARGEST_IMAGE_CALL),
        ("grpc.max_send_message_length", 64 << 20),
        ("grpc.max_metadata_size", 16 << 10),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_AT_LEAST_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_idle_ms", 30 * 60_000),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
        ("grpc.so_reuseport", 0),
    ]
