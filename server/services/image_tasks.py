"""Images that are worked on while nobody waits: a folder each, so that a task outlives the process that took it.

    tasks/ID/task.json     who asked what; `failed.json` why not; `answer.json` and the pictures when it is done
    tasks/ID/lock          held by the process that works on it

What came by the endpoints goes once its answer was sent, or ANSWER_KEPT_S after it was done; what a person laid there
is kept as long as the laboratory says.
"""

import fcntl
import json
import shutil
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog

from server.domain.access import Caller
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.services.image_request import ImageRequest
from server.services.images import ANSWER, IMAGE, MARKER_IMAGE, SEG_IMAGE, ImageService, Running

TASK, FAILED, LOCK, PROGRESS, COMMENT = "task.json", "failed.json", "lock", "progress", "comment.txt"
ANSWER_KEPT_S = 3600.0
LOOK_S = 30.0
"""For tasks of processes that are gone, and for what has been kept long enough."""
LEFT_S = 86_400.0
ARRIVING = "."
MOST_ATTEMPTS = 5
MOST_WAITING = 200

log = structlog.get_logger()


class State(StrEnum):
    """As clients know them."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One image. `kept_s` from its arrival on; 0: until its answer was sent."""

    id: str
    lab: str
    subject: str
    arrived: float
    kept_s: float
    request: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0


class ImageTasks:
    """Of a data folder, which several processes may share. `start` begins to work on them, one at a time."""

    def __init__(self, folder: Path, service: ImageService) -> None:
        self._folder, self._service = folder / "tasks", service
        self._new = threading.Event()

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._work, name="images", daemon=True).start()

    def new_folder(self) -> Path:
        """For files that arrive; who asked for it removes it, unless `take` took it."""
        folder = self._folder / f"{ARRIVING}{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

    def take(self, arrived: Path, caller: Caller, asked: ImageRequest, *, kept_s: float = 0.0) -> str:
        """The task's identifier; it is there for good. Raises Failed TOO_MANY_CALLS (retryable)."""
        if sum(1 for task in self._tasks() if self.state(task) in (State.PENDING, State.STARTED)) >= MOST_WAITING:
            raise Failed(ServiceReason.TOO_MANY_CALLS, f"{MOST_WAITING} images are waiting already", retryable=True)
        task = Task(
            id=uuid.uuid4().hex,
            lab=caller.lab,
            subject=caller.subject,
            arrived=time.time(),
            kept_s=kept_s,
            request=asdict(asked),
        )
        _write(arrived / TASK, asdict(task))
        arrived.rename(self._folder / task.id)
        self._new.set()
        return task.id

    def of(self, caller: Caller, task_id: str) -> Task:
        """Raises Refused TASK_UNKNOWN, also for another laboratory's."""
        named = len(task_id) == 32 and task_id.isascii() and task_id.isalnum()
        found = self._read(self._folder / task_id) if named else None
        if found is None or found.lab != caller.lab:
            raise Refused(ServiceReason.TASK_UNKNOWN, "there is no such task: an answer is sent once, and kept an hour")
        return found

    def kept_of(self, caller: Caller) -> list[Task]:
        """Those that are kept for people of the caller's laboratory, the newest first."""
        mine = [task for task in self._tasks() if task.kept_s and task.lab == caller.lab]
        return sorted(mine, key=lambda task: -task.arrived)

    def folder(self, task: Task) -> Path:
        return self._folder / task.id

    def state(self, task: Task) -> State:
        folder = self.folder(task)
        if (folder / ANSWER).exists():
            return State.SUCCESS
        if (folder / FAILED).exists():
            return State.FAILURE
        return State.STARTED if task.attempts else State.PENDING

    def failure(self, task: Task) -> dict[str, str]:
        """`reason` and `message`."""
        told: dict[str, str] = json.loads((self.folder(task) / FAILED).read_text())
        return told

    def progress(self, task: Task) -> float:
        """0 to 1."""
        try:
            return float((self.folder(task) / PROGRESS).read_text())
        except (OSError, ValueError):
            return 0.0

    def comment(self, task: Task) -> str:
        """Of whoever looked last; empty where there is none."""
        path = self.folder(task) / COMMENT
        return path.read_text() if path.exists() else ""

    def note_comment(self, task: Task, text: str) -> None:
        part = self.folder(task) / f"{COMMENT}.part"
        part.write_text(text)
        part.replace(self.folder(task) / COMMENT)

    def forget(self, task: Task) -> None:
        """Gone at once, also while it is worked on: whoever writes into its folder finds none."""
        gone = self._folder / f"{ARRIVING}{task.id}"
        try:
            self.folder(task).rename(gone)
        except OSError:  # forgotten already
            return
        shutil.rmtree(gone, ignore_errors=True)

    def _work(self) -> None:
        while True:
            self._new.clear()
            for task in sorted(self._tasks(), key=lambda t: t.arrived):
                self._tend(task)
            self._remove_left()
            self._new.wait(LOOK_S)

    def _tend(self, task: Task) -> None:
        """Work on it, if it is due and nobody else does; or let it go."""
        if self.state(task) in (State.SUCCESS, State.FAILURE):
            if time.time() > task.arrived + task.kept_s and time.time() > self._ended(task) + ANSWER_KEPT_S:
                self.forget(task)
            return
        try:
            with (self.folder(task) / LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                now = self._read(self.folder(task))  # another process may have ended it meanwhile
                if now is not None and self.state(now) in (State.PENDING, State.STARTED):
                    self._run(now)
        except OSError:  # another process has it, or it was forgotten just now
            pass
        if self._forgotten(task):
            shutil.rmtree(self.folder(task), ignore_errors=True)  # what was written after that

    def _run(self, task: Task) -> None:
        folder = self.folder(task)
        _write(folder / TASK, asdict(task) | {"attempts": task.attempts + 1})
        failure = self._tried(task, folder)
        remove_sent(folder)
        if failure is not None:
            _write(folder / FAILED, {"reason": str(failure.reason), "message": failure.message})

    def _tried(self, task: Task, folder: Path) -> ChromogenError | None:
        """Why not, where it can't be done."""
        try:
            if task.attempts >= MOST_ATTEMPTS:
                raise Failed(ServiceReason.WORKER_LOST, f"{MOST_ATTEMPTS} processes ended while they worked on it")
            running = Running(progress=lambda share: _note(folder, share))
            self._service.infer(ImageRequest(**task.request), folder, running, shown=task.kept_s > 0)
        except ChromogenError as error:
            return error
        except Exception as error:
            if self._forgotten(task):
                return None
            log.error("image_broke", error=type(error).__name__)
            return Failed(ServiceReason.INTERNAL, "something unforeseen went wrong")
        return None

    def _forgotten(self, task: Task) -> bool:
        return not (self.folder(task) / TASK).exists()

    def _remove_left(self) -> None:
        """What arrived at a process that is gone, or was being deleted by it."""
        for folder in self._folder.glob(f"{ARRIVING}*"):
            if time.time() > folder.stat().st_mtime + LEFT_S:
                shutil.rmtree(folder, ignore_errors=True)

    def _ended(self, task: Task) -> float:
        folder = self.folder(task)
        times = [path.stat().st_mtime for path in (folder / ANSWER, folder / FAILED) if path.exists()]
        return max(times, default=0.0)

    def _tasks(self) -> list[Task]:
        if not self._folder.is_dir():
            return []
        found = (self._read(folder) for folder in self._folder.iterdir() if not folder.name.startswith("."))
        return [task for task in found if task is not None]

    def _read(self, folder: Path) -> Task | None:
        try:
            return Task(**json.loads((folder / TASK).read_text()))
        except (OSError, ValueError, TypeError):
            return None


def remove_sent(folder: Path) -> None:
    """What was sent, with all that its file held beside pixels, and its decoded pixels, once an image is done."""
    for name in (IMAGE, SEG_IMAGE, MARKER_IMAGE):
        shutil.rmtree(folder / f"{name}-pixels", ignore_errors=True)
        (folder / name).unlink(missing_ok=True)


def _note(folder: Path, share: float) -> None:
    (folder / PROGRESS).write_text(f"{share:.3f}")


def _write(path: Path, value: object) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value))
    part.replace(path)
