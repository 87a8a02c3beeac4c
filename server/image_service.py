"""Wires DeepLIIF's endpoints and the page for one image to a service: who may call them, where images lie meanwhile."""

from starlette.requests import Request

from server.bootstrap import Service
from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason
from server.services.image_tasks import ImageTasks
from server.services.images import EngineOf, ImageService
from server.settings import Settings, Web, is_loopback
from server.web.deepliif import Admit, Endpoints
from server.web.door import Door
from server.web.groups import RouteGroup
from server.web.image_pages import ImagePages

LOCAL_SUBJECT = "local"


def image_groups(service: Service, door: Door, page: Door, engine: EngineOf) -> tuple[RouteGroup, ...]:
    """Of DeepLIIF's endpoints, and of the page for one image, whose callers `page` lets in. Begins to work on images
    that wait.

    Raises Refused SETTING_INVALID.
    """
    wanted, images = service.settings.web, ImageService(engine)
    tasks = ImageTasks(service.settings.data.folder / "images", images)
    admit, terms = admission(service.settings, door), terms_of(wanted)
    tasks.start()
    pages = ImagePages(tasks, page.admit, kept_s=wanted.images_kept_s, terms=terms)
    return Endpoints(images, tasks, admit).group(), pages.group()


def terms_of(wanted: Web) -> str:
    """Raises Refused SETTING_INVALID where the file isn't there."""
    if wanted.terms_file is None:
        return ""
    try:
        return wanted.terms_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        message = "CHROMOGEN_WEB_TERMS_FILE can't be read as UTF-8 text"
        raise Refused(ServiceReason.SETTING_INVALID, message) from None


def admission(settings: Settings, door: Door) -> Admit:
    """By token; without one as the local laboratory, where CHROMOGEN_WEB_OPEN_IMAGES says so.

    Raises Refused SETTING_INVALID where that is set beyond loopback.
    """
    if settings.web.open_images and not is_loopback(settings.web.host):
        message = "CHROMOGEN_WEB_OPEN_IMAGES lets anybody in: it is for a CHROMOGEN_WEB_HOST on loopback alone"
        raise Refused(ServiceReason.SETTING_INVALID, message)
    local = Caller(subject=LOCAL_SUBJECT, lab=settings.grpc.local_lab, roles=frozenset({Role.PATHOLOGIST}))

    async def admit(request: Request, name: str) -> Caller:
        if not settings.web.open_images or "authorization" in request.headers:
            return await door.admit(request, name)
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(ServiceReason.PERMISSION_DENIED, "the request comes from another site's page")
        return local

    return admit
