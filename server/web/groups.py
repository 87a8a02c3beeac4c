"""What a module adds to the HTTP door: `server.api_service.web_groups` lists those that are mounted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from server.web.door import Door, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteGroup:
    """Addresses of one kind; `door` lets their callers in, where that isn't the server's own.

    `operations` pass the door: caller, rate and permission are seen to. `routes` stand open to everybody, or ask
    `Door.admit` themselves. `largest_bodies` says how many bytes addresses that begin so may be sent, where that is
    more than guards.LARGEST_BODY.
    """

    operations: tuple[Operation, ...] = ()
    routes: tuple[BaseRoute, ...] = ()
    door: Door | None = None
    largest_bodies: Mapping[str, int] = field(default_factory=dict)
