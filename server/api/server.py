"""The gRPC server: an event loop at the door, bounded pools of threads behind it, limits, TLS, and the servicers."""

import resource
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
    control_service_pb2,
    control_service_pb2_grpc,
    order_service_pb2,
    order_service_pb2_grpc,
    profile_service_pb2,
    profile_service_pb2_grpc,
    result_service_pb2,
    result_service_pb2_grpc,
)
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import SERVICE_NAME, ReflectionServicer

from server.api.admin import AdminServicer
from server.api.analysis import AnalysisServicer
from server.api.controls import ControlServicer
from server.api.gate import LARGEST_IMAGE_CALL, Gate, NoteRefusal, Room, Rooms
from server.api.health import HealthServicer
from server.api.loop import LoopThread
from server.api.methods import REFLECTION, operation_of
from server.api.orders import OrderServicer
from server.api.profiles import ProfileServicer
from server.api.results import ResultServicer
from server.domain.access import Authenticate
from server.domain.errors import Failed, Refused, ServiceReason
from server.services import permissions
from server.services.health import Health
from server.services.limits import Places, Rate
from server.settings import Grpc, Settings, Tls, is_loopback
from server.tls import api_credentials

QUEUED_PER_THREAD = 16
"""Calls that may wait for a thread; beyond that they are turned away at once (RESOURCE_EXHAUSTED)."""
STOP_GRACE_S = 10.0
PING_AT_LEAST_MS = 10_000
"""GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS; the default of five minutes turns ordinary clients away."""
STREAMS_PER_CONNECTION = 256
HANDSHAKE_TIMEOUT_MS = 10_000
CONNECTION_IDLE_MS = 120_000
"""A connection without a call is closed: clients open another when they need it."""
MOST_CONNECTIONS = 2048
MOST_FILES = 8192

_MODULES: tuple[Any, ...] = (
    order_service_pb2,
    result_service_pb2,
    profile_service_pb2,
    analysis_service_pb2,
    control_service_pb2,
    admin_service_pb2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servicers:
    """What answers the calls, one a service."""

    orders: OrderServicer
    results: ResultServicer
    profiles: ProfileServicer
    analysis: AnalysisServicer
    controls: ControlServicer
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

    def __init__(
        self, settings: Settings, servicers: Servicers, health: Health, authenticate: Authenticate, note: NoteRefusal
    ) -> None:
        """`note` writes down a call that its caller may not make.

        Raises Refused SETTING_INVALID: a method without permission, or settings that would let anybody in.
        """
        permissions.check_declared(operation_of(method) for method in [*methods(), REFLECTION])
        wanted = settings.grpc
        self._credentials = credentials_of(wanted, settings.tls)
        rate, rooms = Rate(wanted.rate), rooms_of(wanted)
        certificates = settings.tls.client_ca is not None
        self._gate = Gate(authenticate, rate=rate, rooms=rooms, note_refusal=note, certificates=certificates)
        self._wanted, self._servicers, self._health = wanted, servicers, health
        self._loop: LoopThread | None = None
        self._listening: list[grpc.aio.Server] = []
        self.port = self.health_port = 0

    def start(self) -> int:
        """Listen; returns the port. Raises Failed SETTING_INVALID where it is taken."""
        self._loop = LoopThread()
        self._health.start()
        try:
            self.port = self._loop.run(self._start())
        except BaseException:
            self._loop.run(self._stop(0))
            self._loop.close()
            raise
        return self.port

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no more calls; those that run have `grace_s` to end."""
        self._health.stop()
        self._gate.stop_streams()
        if self._loop is not None:
            self._loop.run(self._stop(grace_s))
            self._loop.close()
        self._gate.close()

    async def _start(self) -> int:
        """On the loop, which gRPC's server belongs to from its making on."""
        server = grpc.aio.server(interceptors=(self._gate,), options=options())
        _add(server, self._servicers, self._health)
        if self._wanted.reflection:
            _reflect(server)
        port = _listen(server, self._wanted.host, self._wanted.port, self._credentials)
        await server.start()
        self._listening.append(server)
        if self._wanted.health_port is not None:
            self.health_port = await self._start_health(self._wanted.health_port)
        return port

    async def _start_health(self, port: int) -> int:
        """For probes: on the same loop, so that they see it stand still, and without anything else."""
        server = grpc.aio.server(interceptors=(self._gate,), options=options())
        health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(self._health), _ByName(server))
        found = _listen(server, self._wanted.host, port, None)
        await server.start()
        self._listening.append(server)
        return found

    async def _stop(self, grace_s: float) -> None:
        while self._listening:  # no reference is kept: with the last one gRPC's poller ends
            await self._listening.pop().stop(grace_s)


def rooms_of(wanted: Grpc) -> Rooms:
    """Pictures have half as many threads as ordinary calls, beside theirs."""
    calls = Places(wanted.threads * QUEUED_PER_THREAD, ServiceReason.TOO_MANY_CALLS, "calls")
    images = Places(wanted.threads, ServiceReason.TOO_MANY_CALLS, "pictures")
    streams = Places(wanted.streams, ServiceReason.TOO_MANY_STREAMS, "streams")
    image_threads = max(1, wanted.threads // 2)
    return Rooms(
        calls=Room(places=calls, pool=_pool(wanted.threads, "calls"), receive_s=wanted.receive_s),
        images=Room(places=images, pool=_pool(image_threads, "images"), receive_s=wanted.deadline_s),
        streams=Room(places=streams, pool=_pool(wanted.streams, "streams"), receive_s=wanted.receive_s),
        deadline_s=wanted.deadline_s,
        idle_s=wanted.idle_s,
    )


def _pool(threads: int, name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix=f"grpc-{name}")


def _listen(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None) -> int:
    """Raises Failed SETTING_INVALID."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError:
        raise Failed(
            ServiceReason.SETTING_INVALID,
            f"CHROMOGEN_GRPC_HOST, _PORT and _HEALTH_PORT: {address} can't be listened at",
        ) from None


def _reflect(server: grpc.aio.Server) -> None:
    """By the synchronous servicer, which goes through the gate as ours do."""
    names = [service.full_name for service in services()]
    health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    servicer = ReflectionServicer((*names, health_name, SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, _ByName(server))


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


class _ByName:
    """What generated code adds a servicer to. Methods are found by their names as calls come: for each registered one
    gRPC's loop awaits a call of its own, and with all of the API's a call took a tenth longer.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        pass


def _add(server: grpc.aio.Server, servicers: Servicers, health: Health) -> None:
    adders: tuple[tuple[Callable[..., None], object], ...] = (
        (order_service_pb2_grpc.add_OrderServiceServicer_to_server, servicers.orders),
        (result_service_pb2_grpc.add_ResultServiceServicer_to_server, servicers.results),
        (profile_service_pb2_grpc.add_ProfileServiceServicer_to_server, servicers.profiles),
        (analysis_service_pb2_grpc.add_AnalysisServiceServicer_to_server, servicers.analysis),
        (control_service_pb2_grpc.add_ControlServiceServicer_to_server, servicers.controls),
        (admin_service_pb2_grpc.add_AdminServiceServicer_to_server, servicers.admin),
        (health_pb2_grpc.add_HealthServicer_to_server, HealthServicer(health)),
    )
    for add, servicer in adders:
        add(servicer, _ByName(server))


def allow_files() -> None:
    """As many open files and connections as the process may have: shells give 1,024 of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """At most half of the file descriptors that the process may have: database, files and HL7 need the others."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_CONNECTIONS, allowed // 2) if allowed != resource.RLIM_INFINITY else MOST_CONNECTIONS


def options() -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", LARGEST_IMAGE_CALL),
        ("grpc.max_send_message_length", 64 << 20),
        ("grpc.max_metadata_size", 16 << 10),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_AT_LEAST_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_idle_ms", CONNECTION_IDLE_MS),
        ("grpc.max_allowed_incoming_connections", most_connections()),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
        ("grpc.so_reuseport", 0),
    ]
