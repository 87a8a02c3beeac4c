"""grpc.health.v1 on the event loop itself: it answers while every thread is busy."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from server.services.health import Health

WATCHED_EVERY_S = 0.5
PROCESS = "process"
"""Always SERVING: who asks for it (a liveness probe) asks whether the door's loop answers at all."""

_SERVING, _NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


class HealthServicer:
    """One name a dependency, and the empty name for the service."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def Check(self, request: HealthCheckRequest, context: grpc.aio.ServicerContext) -> HealthCheckResponse:
        if self._status(request.service) == HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such dependency")
        return HealthCheckResponse(status=self._status(request.service))

    async def Watch(
        self, request: HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[HealthCheckResponse]:
        """Each change, until the client goes or the server stops."""
        said: int | None = None
        while True:
            status = self._status(request.service)
            if status != said:
                yield HealthCheckResponse(status=status)
                said = status
            await asyncio.sleep(WATCHED_EVERY_S)

    def _status(self, name: str) -> int:
        serving = {PROCESS: True, **self._health.serving}
        if name not in serving:
            return int(HealthCheckResponse.SERVICE_UNKNOWN)
        return int(_SERVING if serving[name] else _NOT_SERVING)
