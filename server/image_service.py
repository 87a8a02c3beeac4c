"""Wires DeepLIIF's endpoints to a service: who may call them, where images lie meanwhile."""

from starlette.requests import Request

from server.bootstrap import Service
from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason
from server.services.image_tasks import ImageTasks
from server.services.images import EngineOf, ImageService
from server.settings import Settings, is_loopback
from server.web.deepliif import Admit, Endpoints
from server.web.door import Door
from server.web.groups import RouteGroup

LOCAL_SUBJECT = "local"


def image_group(service: Service, door: Door, engine: EngineOf) -> RouteGroup:
    """Begins to work on images that wait. Raises Refused SETTING_INVALID."""
    images = ImageService(engine)
    tasks = ImageTasks(service.settings.data.folder / "images", images)
    admit = admission(service.settings, door)
    tasks.start()
    return Endpoints(images, tasks, admit).group()


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
