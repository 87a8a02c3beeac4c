"""The page for one image: laid there by a person, kept as long as the laboratory says, then gone."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from inference.multiplex.bands import ORIGINAL, READ, SEPARATED
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.services.image_request import ImageRequest, asked
from server.services.image_samples import SAMPLES, lay_sample
from server.services.image_tasks import ImageTasks, State, Task
from server.services.images import ANSWER, COLUMNS, IMAGE, NUCLEI, VIEWS
from server.web import files
from server.web.deepliif import LARGEST_IMAGE, Admit
from server.web.groups import RouteGroup
from server.web.uploads import received

KEEP, LOOK = "KeepImage", "GetImage"
SHELL = "image.html"
PICTURES = (ORIGINAL, *SEPARATED, *READ)
LONGEST_COMMENT = 4000
_ONE = "/data/images/{task}"


class ImagePages:
    """`kept_s` from an image's arrival on; `terms` are shown to each person once, where there are any."""

    def __init__(self, tasks: ImageTasks, admit: Admit, *, kept_s: float, terms: str) -> None:
        self._tasks, self._admit, self._kept_s, self._terms = tasks, admit, kept_s, terms

    def group(self) -> RouteGroup:
        return RouteGroup(
            routes=(
                Route("/image", files.answer_of(SHELL), methods=["GET"]),
                Route("/image/{task}", files.answer_of(SHELL), methods=["GET"]),
                Route("/data/images", self.list, methods=["GET"]),
                Route("/data/images", self.keep, methods=["POST"]),
                Route("/data/images/samples/{name}", self.sample, methods=["POST"]),
                Route(_ONE, self.one, methods=["GET"]),
                Route(f"{_ONE}/comment", self.comment, methods=["POST"]),
                Route(f"{_ONE}/delete", self.delete, methods=["POST"]),
                Route(f"{_ONE}/{COLUMNS}", self.columns, methods=["GET"]),
                Route(f"{_ONE}/{NUCLEI}", self.nuclei, methods=["GET"]),
                Route(f"{_ONE}/all.zip", self.all, methods=["GET"]),
                Route(f"{_ONE}/views/{{name}}.png", self.view, methods=["GET"]),
            ),
            largest_bodies={"/data/images": LARGEST_IMAGE},
        )

    async def list(self, request: Request) -> Response:
        caller = await self._admit(request, LOOK)
        images = [self._told(task) for task in self._tasks.kept_of(caller)]
        said = {"terms": self._terms, "samples": SAMPLES, "kept_days": round(self._kept_s / 86_400, 2)}
        return JSONResponse({"images": images, **said})

    async def keep(self, request: Request) -> Response:
        caller, wanted = await self._admit(request, KEEP), asked(request.query_params)
        folder = self._tasks.new_folder()
        try:
            await received(request, folder, (IMAGE,))
            return self._taken(folder, caller, wanted)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # gone already where it was taken

    async def sample(self, request: Request) -> Response:
        caller, folder = await self._admit(request, KEEP), self._tasks.new_folder()
        try:
            wanted = await to_thread.run_sync(lay_sample, request.path_params["name"], folder / IMAGE)
            return self._taken(folder, caller, wanted)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def one(self, request: Request) -> Response:
        return JSONResponse(self._told(await self._mine(request, LOOK)))

    async def comment(self, request: Request) -> Response:
        task = await self._mine(request, KEEP)
        try:
            text = str((await request.json())["text"])
        except (ValueError, KeyError, TypeError):
            raise Refused(ServiceReason.ARGUMENT_INVALID, "the body must be JSON with a text") from None
        if len(text) > LONGEST_COMMENT:
            raise Refused(ServiceReason.ARGUMENT_INVALID, f"a comment has at most {LONGEST_COMMENT} characters")
        self._tasks.note_comment(task, text)
        return JSONResponse(self._told(task))

    async def delete(self, request: Request) -> Response:
        self._tasks.forget(await self._mine(request, KEEP))
        return JSONResponse({})

    async def columns(self, request: Request) -> Response:
        return FileResponse(await self._file(request, COLUMNS), media_type="application/json")

    async def nuclei(self, request: Request) -> Response:
        path = await self._file(request, NUCLEI)
        return FileResponse(path, media_type="application/geo+json", filename=NUCLEI)

    async def view(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in PICTURES:
            raise _unknown()
        return FileResponse(await self._file(request, f"{VIEWS}/{name}.png"), media_type="image/png")

    async def all(self, request: Request) -> Response:
        folder = (await self._file(request, ANSWER)).parent
        headers = {"content-disposition": 'attachment; filename="image.zip"'}
        return StreamingResponse(zipped(folder), media_type="application/zip", headers=headers)

    async def _mine(self, request: Request, name: str) -> Task:
        task = self._tasks.of(await self._admit(request, name), request.path_params["task"])
        if not task.kept_s:
            raise _unknown()
        return task

    async def _file(self, request: Request, name: str) -> Path:
        path = self._tasks.folder(await self._mine(request, LOOK)) / name
        if not path.is_file():
            raise Refused(ServiceReason.RESULT_STATE, "the image isn't done: wait until it is")
        return path

    def _taken(self, folder: Path, caller: Caller, wanted: ImageRequest) -> Response:
        return JSONResponse({"id": self._tasks.take(folder, caller, wanted, kept_s=self._kept_s)})

    def _told(self, task: Task) -> dict[str, Any]:
        state = self._tasks.state(task)
        told: dict[str, Any] = {
            "id": task.id,
            "state": str(state),
            "progress": self._tasks.progress(task),
            "by": task.subject,
            "arrived": _moment(task.arrived),
            "gone_at": _moment(task.arrived + task.kept_s),
            "mpp": task.request.get("mpp"),
            "marker": task.request.get("marker") or "ER",
            "comment": self._tasks.comment(task),
        }
        if state is State.SUCCESS:
            answer: dict[str, Any] = json.loads((self._tasks.folder(task) / ANSWER).read_text())
            return told | answer
        return told | (self._tasks.failure(task) if state is State.FAILURE else {})


class _Pipe:
    """What a ZIP is written to, piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits elsewhere."""

    def taken(self) -> bytes:
        data, self._pieces = b"".join(self._pieces), []
        return data


def zipped(folder: Path) -> Iterator[bytes]:
    """Every picture in full, the nuclei and the counts as a ZIP, without a copy of it anywhere."""
    pipe = _Pipe()
    with zipfile.ZipFile(cast("IO[bytes]", pipe), "w", zipfile.ZIP_STORED) as archive:  # it only writes
        for path in (*(folder / f"{name}.png" for name in PICTURES), folder / NUCLEI, folder / ANSWER):
            if not path.is_file():
                continue
            with archive.open(path.name, "w", force_zip64=True) as entry, path.open("rb") as file:
                while piece := file.read(1 << 20):
                    entry.write(piece)
                    yield pipe.taken()
    yield pipe.taken()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _unknown() -> Refused:
    return Refused(ServiceReason.TASK_UNKNOWN, "there is no such image: it is kept as long as the laboratory says")
