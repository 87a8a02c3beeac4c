"""Wires the pathologist's page to a service: its sessions, its ways to sign in, its operations and files."""

import hmac
import os
import shutil
from datetime import timedelta

from server.api.auth import AuthenticateByToken, caller_of, check_not_revoked, revoked_in
from server.api.keys import KeySet, reader_of
from server.bootstrap import Service
from server.domain.access import Authenticate, Caller, Role
from server.domain.errors import Refused, ServiceReason
from server.domain.session import Lifetime
from server.services.analysis import LARGEST_BYTES, AnalysisService
from server.services.changes import ChangeService
from server.services.downloads import DownloadService
from server.services.estimates import EstimateService
from server.services.limits import Rate
from server.services.microscopes import Microscopes
from server.services.opened import OpenedResults
from server.services.orders import OrderService
from server.services.page_cells import PageCells, folder_of
from server.services.profiles import ProfileService
from server.services.results import ResultService
from server.services.sessions import SessionService
from server.services.slide_tiles import SlideTiles
from server.services.work import WorkService
from server.settings import Settings, is_loopback
from server.store.estimate_repository import PostgresEstimateRepository
from server.store.order_repository import PostgresOrderRepository
from server.store.profile_repository import PostgresProfileRepository
from server.store.result_repository import PostgresResultRepository
from server.store.session_repository import PostgresSessionRepository
from server.store.work_repository import PostgresWorkRepository
from server.web import files
from server.web.browser import AuthenticateBrowser
from server.web.door import Door, NoteRefusal
from server.web.downloads import DownloadOperations
from server.web.groups import RouteGroup
from server.web.microscope import PATH, MicroscopeOperations
from server.web.oidc import Issuer
from server.web.sign_in import BACK, SignIn, VerifyIdToken, Ways
from server.web.slide import SlideOperations
from server.web.work import WorkOperations

PAGE_RATE = 500.0
"""Requests a second of one person: a slide is looked at by hundreds of tiles."""
LARGEST_CHANGE = 4 << 20
LOCAL_ROLES = frozenset({Role.PATHOLOGIST, Role.LAB_ADMIN})


def page_group(
    service: Service, by_token: Authenticate, note_refusal: NoteRefusal, analysis: AnalysisService
) -> RouteGroup:
    """Raises Refused SETTING_INVALID."""
    wanted = service.settings
    secure = wanted.tls.cert is not None
    lifetime = Lifetime(idle=timedelta(seconds=wanted.web.idle_s), longest=timedelta(seconds=wanted.web.session_s))
    revoked = revoked_in(wanted.oidc.revoked)
    sessions = SessionService(PostgresSessionRepository(service.database), lifetime, revoked=revoked)
    browser = AuthenticateBrowser(sessions, by_token, secure=secure)
    microscopes = Microscopes(analysis)
    sign_in = SignIn(sessions, browser, ways_of(wanted), secure=secure, ended=microscopes.end_all)
    microscope = MicroscopeOperations(microscopes)
    work, slide = operations_of(service)
    downloads = DownloadOperations(
        downloads=DownloadService(work.results, work.orders, work.work, slide.tiles), estimates=work.estimates
    )
    return RouteGroup(
        door=Door(browser, rate=Rate(PAGE_RATE), note_refusal=note_refusal),
        operations=(*sign_in.operations(), *work.all(), *slide.all(), *downloads.all(), *microscope.all()),
        routes=(*sign_in.routes(), *files.routes(), *microscope.routes()),
        largest_bodies={"/data/results/": LARGEST_CHANGE, f"{PATH}/": LARGEST_BYTES},
    )


def operations_of(service: Service) -> tuple[WorkOperations, SlideOperations]:
    results, work = PostgresResultRepository(service.database), PostgresWorkRepository(service.database)
    orders = PostgresOrderRepository(service.database, service.notify)
    changes = ChangeService(results, service.results_folder)
    opened = OpenedResults(changes, work)
    folder = folder_of(service.results_folder)
    spool = folder.with_name(f"slides-{os.getpid()}")
    shutil.rmtree(spool, ignore_errors=True)
    cells = PageCells(opened, folder)
    estimated = PostgresEstimateRepository(service.database)
    estimates = EstimateService(estimated, results, service.site.estimates_first)
    return (
        WorkOperations(
            work=WorkService(work),
            orders=OrderService(orders),
            results=ResultService(results, service.reporting, now=service.clock.now_in_seconds),
            changes=changes,
            cells=cells,
            estimates=estimates,
            profiles=ProfileService(PostgresProfileRepository(service.database), service.clock.today),
        ),
        SlideOperations(
            tiles=SlideTiles(opened, service.source, service.open_slide, spool), cells=cells, estimates=estimates
        ),
    )


def ways_of(wanted: Settings) -> Ways:
    """Raises Refused SETTING_INVALID, where one is half set."""
    web, oidc = wanted.web, wanted.oidc
    local = None
    if web.local_user:
        if not (wanted.grpc.insecure and is_loopback(web.host)):
            message = "CHROMOGEN_WEB_LOCAL_USER needs CHROMOGEN_GRPC_INSECURE and a loopback CHROMOGEN_WEB_HOST"
            raise Refused(ServiceReason.SETTING_INVALID, message)
        local = Caller(subject=web.local_user, lab=wanted.grpc.local_lab, roles=LOCAL_ROLES)
    if not oidc.client_id:
        return Ways(local=local)
    if not (web.address and oidc.issuer and oidc.jwks):
        message = "CHROMOGEN_OIDC_CLIENT_ID needs CHROMOGEN_WEB_ADDRESS, CHROMOGEN_OIDC_ISSUER and _JWKS"
        raise Refused(ServiceReason.SETTING_INVALID, message)
    issuer = Issuer(oidc, web.address.rstrip("/") + BACK)
    return Ways(issuer=issuer, verify=verifier_of(wanted), local=local)


def verifier_of(wanted: Settings) -> VerifyIdToken:
    """ID tokens are for us as the issuer's client, where the API's tokens are for its audience."""
    oidc = wanted.oidc
    keys = KeySet(reader_of(oidc.jwks, oidc.ca), refresh_s=oidc.refresh_s)
    by_token = AuthenticateByToken(issuer=oidc.issuer, audience=oidc.client_id, keys=keys, leeway_s=oidc.leeway_s)
    revoked = revoked_in(oidc.revoked)

    def verify(token: str, nonce: str) -> Caller:
        claims = by_token.claims_of(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise Refused(ServiceReason.TOKEN_INVALID, "the ID token is of another sign-in")
        check_not_revoked(claims, revoked())
        return caller_of(claims)

    return verify
