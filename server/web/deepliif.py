"""The endpoints that DeepLIIF's clients call: an image in, its pictures and counts out.

`/api/infer` and `/api/postprocess` answer when all is done, however long that takes; `/api/batch/infer` at once, with a
task that is asked for until it is done. What was sent is gone once it is answered.
"""

import base64
import json
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from server.domain.access import Caller
from server.services.image_request import ImageRequest, asked
from server.services.image_tasks import ImageTasks, State, Task, remove_sent
from server.services.images import ANSWER, IMAGE, MARKER_IMAGE, NUCLEI, SEG_IMAGE, ImageService, Running
from server.web.door import said
from server.web.groups import RouteGroup
from server.web.uploads import received

LARGEST_IMAGE = 3 << 29
"""Bytes of what is sent: 1.5 GiB."""
INFER, POSTPROCESS = "InferImage", "PostprocessImage"
_PIECE = 3 << 18  # a whole number of base64's groups of three bytes

Admit = Callable[[Request, str], Awaitable[Caller]]


class Endpoints:
    """One image that somebody waits for is worked on at a time; more wait their turn."""

    def __init__(self, service: ImageService, tasks: ImageTasks, admit: Admit) -> None:
        self._service, self._tasks, self._admit = service, tasks, admit
        self._turn = threading.Lock()
        self._threads = anyio.CapacityLimiter(4)

    def group(self) -> RouteGroup:
        return RouteGroup(
            routes=(
                Route("/api/infer", self.infer, methods=["POST"]),
                Route("/api/batch/infer", self.begin, methods=["POST"]),
                Route("/api/batch/infer/{task_id}", self.look, methods=["GET"]),
                Route("/api/postprocess", self.postprocess, methods=["POST"]),
            ),
            largest_bodies=dict.fromkeys(("/api/infer", "/api/batch/infer", "/api/postprocess"), LARGEST_IMAGE),
        )

    async def infer(self, request: Request) -> Response:
        with said(INFER):
            await self._admit(request, INFER)
            return await self._answered(request, (IMAGE,), self._service.infer)

    async def postprocess(self, request: Request) -> Response:
        with said(POSTPROCESS):
            await self._admit(request, POSTPROCESS)
            return await self._answered(request, (IMAGE, SEG_IMAGE, MARKER_IMAGE), self._service.postprocess)

    async def begin(self, request: Request) -> Response:
        caller, wanted = await self._admit(request, INFER), asked(request.query_params)
        folder = self._tasks.new_folder()
        try:
            await received(request, folder, (IMAGE,))
            return JSONResponse({"task_id": self._tasks.take(folder, caller, wanted)})
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # gone already where it was taken

    async def look(self, request: Request) -> Response:
        caller = await self._admit(request, INFER)
        task = self._tasks.of(caller, request.path_params["task_id"])
        state = self._tasks.state(task)
        if state is State.SUCCESS:
            return _sent(self._result(task))
        told = self._tasks.failure(task) if state is State.FAILURE else {}
        return JSONResponse({"state": str(state), "progress": self._tasks.progress(task), **told})

    async def _answered(
        self, request: Request, names: tuple[str, ...], work: Callable[[ImageRequest, Path, Running], None]
    ) -> Response:
        wanted = asked(request.query_params)
        folder = self._tasks.new_folder()
        try:
            await received(request, folder, names)
            await to_thread.run_sync(self._in_turn, work, wanted, folder, limiter=self._threads)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _sent(answer(folder), BackgroundTask(shutil.rmtree, folder, ignore_errors=True))

    def _in_turn(self, work: Callable[[ImageRequest, Path, Running], None], wanted: ImageRequest, folder: Path) -> None:
        with self._turn:
            work(wanted, folder, Running())
        remove_sent(folder)

    async def _result(self, task: Task) -> AsyncIterator[bytes]:
        """Gone once all of it was taken; who lost the connection before may ask again. What people keep stays."""
        yield b'{"state":"SUCCESS","result":'
        async for piece in answer(self._tasks.folder(task)):
            yield piece
        yield b"}"
        if not task.kept_s:
            await to_thread.run_sync(self._tasks.forget, task)


async def answer(folder: Path) -> AsyncIterator[bytes]:
    """`{"images": {name: base64 PNG}, "nuclei": GeoJSON where asked for, "scoring": {...}, "warnings": [...]}`."""
    said = json.loads((folder / ANSWER).read_text())
    pictures = said.pop("pictures")
    for place, name in enumerate(pictures):
        yield (b'{"images":{"' if place == 0 else b',"') + name.encode() + b'":"'
        async with await anyio.open_file(folder / f"{name}.png", "rb") as file:
            while piece := await file.read(_PIECE):
                yield base64.b64encode(piece)
        yield b'"'
    yield b"}"
    if (folder / NUCLEI).exists():
        yield b',"nuclei":' + (folder / NUCLEI).read_bytes()
    yield b"," + json.dumps(said)[1:].encode()


def _sent(pieces: AsyncIterator[bytes], then: BackgroundTask | None = None) -> Response:
    return StreamingResponse(pieces, media_type="application/json", background=then)
