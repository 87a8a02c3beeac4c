"""Wires both doors, gRPC and HTTP, to a service, as `server.bootstrap` wires the rest."""

import os
import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import simplejpeg
import structlog

from inference.engines.factory import Engines, asked_with
from inference.engines.triton_tls import Newest
from inference.errors import ChromogenError, Reason, Refused
from inference.infer import Urgency
from inference.model import Resolution
from inference.slide import Slide
from server.api.admin import AdminServicer
from server.api.analysis import AnalysisServicer
from server.api.auth import authenticate_by
from server.api.controls import ControlServicer
from server.api.orders import OrderServicer
from server.api.profiles import ProfileServicer
from server.api.results import ResultServicer
from server.api.server import STOP_GRACE_S, ApiServer, Servicers
from server.bootstrap import Ping, Service
from server.domain.access import Authenticate
from server.domain.errors import ServiceReason
from server.domain.repositories import AuditRepository
from server.image_service import image_groups
from server.page_service import page_group
from server.services.admin import AdminService
from server.services.analysis import LARGEST_SIDE, AnalysisService, EngineOf, OpenImage
from server.services.controls import ControlService
from server.services.estimates import EstimateService
from server.services.health import Dependency, Health
from server.services.limits import Budget
from server.services.orders import OrderService
from server.services.profiles import ProfileService
from server.services.results import ResultService
from server.settings import Settings
from server.slides.image_slide import JPEG_MAGIC, PNG_MAGIC
from server.slides.opening import open_slide
from server.store.admin_repository import PostgresAdminRepository
from server.store.audit import PostgresAuditRepository
from server.store.audit_log import RefusedCallLog
from server.store.control_repository import PostgresControlRepository
from server.store.estimate_repository import PostgresEstimateRepository
from server.store.order_repository import PostgresOrderRepository
from server.store.profile_repository import PostgresProfileRepository
from server.store.result_repository import PostgresResultRepository
from server.tls import engine_secure
from server.web.door import Door
from server.web.groups import RouteGroup
from server.web.server import WebServer

log = structlog.get_logger()

LEAST_FREE_BYTES = 1 << 30

ROOM_WAIT_S = 60.0
"""For others' pictures to be done with; the call's own deadline usually comes first."""


def is_wanted(settings: Settings) -> bool:
    """Is there anything set that says the API is to be served? Half of it is enough to stop the start with what is
    missing.
    """
    named = (settings.tls.cert, settings.tls.key, settings.oidc.issuer, settings.oidc.jwks)
    return settings.grpc.insecure or settings.web.port is not None or any(named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What listens; `web` None where CHROMOGEN_WEB_PORT isn't set. Both doors say the same `health`."""

    api: ApiServer
    web: WebServer | None
    health: Health

    @property
    def port(self) -> int:
        """Of the API."""
        return self.api.port

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Say first that nothing is ready any more: a load balancer asks while calls still end."""
        self.health.stop()
        if self.web is not None:
            self.web.stop()
        self.api.stop(grace_s)


def start(service: Service) -> Doors | None:
    """Open the doors, where settings say how; None, and a word in the log, where nothing is set.

    Raises Refused SETTING_INVALID.
    """
    wanted = service.settings
    if not is_wanted(wanted):
        log.warning(
            "api_off", advice="set CHROMOGEN_TLS_* and CHROMOGEN_OIDC_*, or CHROMOGEN_GRPC_INSECURE=true on loopback"
        )
        return None
    health, authenticate = Health(dependencies(service)), authenticate_by(wanted)
    api = api_server(service, health=health, authenticate=authenticate)
    web = web_server(service, health, authenticate)
    log.info("serving_api", host=wanted.grpc.host, port=api.start(), insecure=wanted.grpc.insecure)
    try:
        if web is not None:
            log.info("serving_web", host=wanted.web.host, port=web.start(), tls=wanted.tls.cert is not None)
    except BaseException:
        api.stop(0)
        raise
    return Doors(api=api, web=web, health=health)


def web_server(service: Service, health: Health, authenticate: Authenticate) -> WebServer | None:
    """Not listening yet; None where it is off. Raises Refused SETTING_INVALID."""
    if service.settings.web.port is None:
        return None
    note = RefusedCallLog(service.database)
    engine = engine_of(service.settings, engine_secure(service.settings.engine))
    page = page_group(service, authenticate, note, analysis_of(service, engine))
    return WebServer(service.settings, health, authenticate, note, lambda door: web_groups(service, page, door, engine))


def web_groups(service: Service, page: RouteGroup, door: Door, engine: EngineOf) -> Sequence[RouteGroup]:
    """What stands on the HTTP door beside health: one group for each kind of user."""
    return (page, *image_groups(service, door, page.door or door, engine))


def analysis_of(service: Service, engine: EngineOf) -> AnalysisService:
    profiles = ProfileService(PostgresProfileRepository(service.database), service.clock.today)
    return AnalysisService(engine, opener(service.settings.icc.use), profiles)


def api_server(
    service: Service,
    *,
    audit: AuditRepository | None = None,
    health: Health | None = None,
    authenticate: Authenticate | None = None,
) -> ApiServer:
    """Not listening yet; with a health and keys of its own where none are given. Raises Refused SETTING_INVALID."""
    return ApiServer(
        service.settings,
        servicers_of(service, audit or PostgresAuditRepository(service.database)),
        health or Health(dependencies(service)),
        authenticate or authenticate_by(service.settings),
        RefusedCallLog(service.database),
    )


def servicers_of(service: Service, audit: AuditRepository) -> Servicers:
    """Raises Refused SETTING_INVALID."""
    profiles = ProfileService(PostgresProfileRepository(service.database), service.clock.today)
    secure = engine_secure(service.settings.engine)  # half of it stops the start, not the first picture
    kept = PostgresResultRepository(service.database)
    results = ResultService(kept, service.reporting, now=service.clock.now_in_seconds)
    estimated = PostgresEstimateRepository(service.database)
    estimates = EstimateService(estimated, kept, service.site.estimates_first)
    analysis = analysis_of(service, engine_of(service.settings, secure))
    return Servicers(
        orders=OrderServicer(
            OrderService(
                PostgresOrderRepository(service.database, service.notify), check_laboratory=service.site.laboratory
            )
        ),
        results=ResultServicer(results, profiles, estimates),
        profiles=ProfileServicer(
            profiles, results, service.calibrations, service.cohorts, service.validations(profiles), analysis
        ),
        analysis=AnalysisServicer(analysis),
        controls=ControlServicer(ControlService(PostgresControlRepository(service.database))),
        admin=AdminServicer(
            AdminService(
                PostgresAdminRepository(service.database),
                audit,
                archives=lambda lab: {name: answers_to(service.pings[name]) for name in service.site.archives_of(lab)},
                destinations=service.site.destinations_of,
            )
        ),
    )


def dependencies(service: Service) -> tuple[Dependency, ...]:
    """`database` and `disk` are necessary; a LIS or archive, by its name, that is away only delays."""
    return (
        Dependency(name="database", answers=lambda: database_answers(service)),
        Dependency(name="disk", answers=lambda: disk_has_room(service.settings.data.folder)),
        *(Dependency(name=n, answers=answers_to(ping), necessary=False) for n, ping in service.pings.items()),
    )


def database_answers(service: Service) -> bool:
    try:
        service.store.due(1)
    except ChromogenError:
        return False
    return True


def disk_has_room(folder: Path) -> bool:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= LEAST_FREE_BYTES


def answers_to(ping: Ping) -> Callable[[], bool]:
    """Whether what a ping asks answers."""

    def answers() -> bool:
        try:
            ping()
        except ChromogenError:
            return False
        return True

    return answers


def engine_of(settings: Settings, secure: Newest | None) -> EngineOf:
    """The configured one for each assay's model, made when it is first asked for.

    For pictures that somebody waits for: before routine slides, after a STAT order's.
    """
    engines = Engines(settings.engine.name, together=True, secure=secure)
    return lambda assay: asked_with(engines.of(assay), Urgency.ASAP)


def opener(icc: bool) -> OpenImage:
    """Opens a picture by way of a file, which is all that the readers take.

    The file is gone once the picture is read. One of the largest is in memory at a time, or as many smaller ones as
    have its pixels: a few hundred kB of PNG decode to 200 MB.
    """

    pixels = Budget(LARGEST_SIDE**2)

    def open_image(data: bytes, mpp: float, resolution: Resolution) -> Slide:
        if not data.startswith((PNG_MAGIC, JPEG_MAGIC)):
            raise Refused(Reason.NOT_A_SLIDE, "image.data is neither PNG nor JPEG")
        give_back = pixels.take(checked_area(data), ROOM_WAIT_S)
        try:
            return _InFolder(data, mpp, resolution, icc, give_back)
        except BaseException:
            give_back()
            raise

    return open_image


def checked_area(data: bytes) -> int:
    """Pixels, by the header, before anything is decoded: 16 MiB of PNG can hold gigabytes of pixels.

    Raises Refused ARGUMENT_INVALID.
    """
    try:
        if data.startswith(PNG_MAGIC):
            width, height = struct.unpack(">II", data[16:24])  # PNG specification 11.2.1: IHDR comes first
        else:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
    except (struct.error, ValueError):
        raise Refused(Reason.SLIDE_DAMAGED, "image.data is cut off or damaged") from None
    if max(width, height) > LARGEST_SIDE:
        message = f"image is larger than {LARGEST_SIDE} x {LARGEST_SIDE} pixels: order a slide instead"
        raise Refused(ServiceReason.ARGUMENT_INVALID, message)
    return int(width) * int(height)


class _InFolder:
    """A slide over a picture in a folder of its own, which goes with it."""

    def __init__(self, data: bytes, mpp: float, resolution: Resolution, icc: bool, closed: Callable[[], None]) -> None:
        self._closed = closed
        self._folder = tempfile.TemporaryDirectory(prefix="chromogen-image-")
        try:
            path = Path(self._folder.name) / "image"
            path.write_bytes(data)
            self._slide = open_slide(path, mpp=mpp, icc=icc, resolution=resolution)
        except BaseException:
            self._folder.cleanup()
            raise
        self.facts, self.working = self._slide.facts, self._slide.working
        self.read, self.overview = self._slide.read, self._slide.overview

    def close(self) -> None:
        self._slide.close()
        self._folder.cleanup()
        self._closed()
