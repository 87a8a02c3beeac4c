"""The addresses of the HTTP door: its own, and those of the route groups that are mounted beside."""

from collections.abc import Iterator, Sequence
from itertools import chain

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.domain.access import Caller
from server.domain.errors import ChromogenError
from server.services import permissions
from server.services.health import SERVICE, Health
from server.web.answers import broken, refused, unknown
from server.web.door import Door, Json, Operation
from server.web.groups import RouteGroup
from server.web.guards import BodyLimit, OwnHostOnly, SecurityHeaders

PUBLIC = frozenset({"/healthz", "/readyz"})
"""Without a token: a load balancer has none. They name dependencies, and say of each whether it answers."""


def app(
    door: Door,
    health: Health,
    groups: Sequence[RouteGroup] = (),
    *,
    loopback: bool,
    hosts: frozenset[str] = frozenset(),
) -> Starlette:
    """`hosts` may be asked for, without their ports. Raises Refused SETTING_INVALID where an operation has no
    permission.
    """
    guarded = [(door, operation) for operation in operations()]
    guarded += [(group.door or door, operation) for group in groups for operation in group.operations]
    permissions.check_declared(operation.name for _, operation in guarded)
    bodies = dict(chain.from_iterable(group.largest_bodies.items() for group in groups))
    own = Middleware(OwnHostOnly, hosts, loopback)
    return Starlette(
        routes=[
            *_public(health),
            *(its.route(operation) for its, operation in guarded),
            *chain.from_iterable(group.routes for group in groups),
        ],
        middleware=[Middleware(SecurityHeaders), own, Middleware(BodyLimit, bodies)],
        exception_handlers={ChromogenError: refused, HTTPException: unknown, Exception: broken},
    )


def operations() -> Iterator[Operation]:
    """The door's own that need a token."""
    yield Operation(path="/api/me", method="GET", name=permissions.GET_ME, work=me)


def me(_: Request, caller: Caller) -> Json:
    """Who the token says its holder is."""
    return {"subject": caller.subject, "laboratory": caller.lab, "roles": sorted(caller.roles)}


def _public(health: Health) -> Iterator[Route]:
    async def lives(_: Request) -> Response:
        return JSONResponse({"serving": True})

    async def ready(_: Request) -> Response:
        serving = dict(health.serving)
        whole = serving.pop(SERVICE, False)
        return JSONResponse({"serving": whole, "dependencies": serving}, 200 if whole else 503)

    yield Route("/healthz", lives, methods=["GET"])
    yield Route("/readyz", ready, methods=["GET"])
