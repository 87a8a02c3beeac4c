"""What is deleted stays deleted, also where somebody works on it just then."""

from pathlib import Path

import pytest

from inference.engines.factory import Engines
from server.domain.access import Caller, Role
from server.domain.errors import Refused
from server.services.image_request import ImageRequest, asked
from server.services.image_tasks import ImageTasks
from server.services.images import ImageService, Running

CALLER = Caller(subject="dr-invented", lab="LAB", roles=frozenset({Role.PATHOLOGIST}))


class Deleting(ImageService):
    """Whose image is deleted while it is worked on; the work writes on, or fails for want of its folder."""

    def __init__(self, *, writes: bool) -> None:
        super().__init__(Engines("local").of)
        self.tasks: ImageTasks | None = None
        self.writes = writes

    def infer(self, asked: ImageRequest, folder: Path, running: Running, *, shown: bool = False) -> None:
        assert self.tasks is not None
        self.tasks.forget(self.tasks.of(CALLER, folder.name))
        if self.writes:
            (folder / "views").mkdir(parents=True)
        (folder / "answer.json").write_text("{}")


@pytest.mark.parametrize("writes", [True, False])
def test_what_is_deleted_while_it_is_worked_on_does_not_come_back(tmp_path: Path, writes: bool) -> None:
    service = Deleting(writes=writes)
    tasks = service.tasks = ImageTasks(tmp_path, service)
    arrived = tasks.new_folder()
    (arrived / "img").write_bytes(b"pixels")
    task = tasks.of(CALLER, tasks.take(arrived, CALLER, asked({})))
    tasks._tend(task)
    with pytest.raises(Refused):
        tasks.of(CALLER, task.id)
    assert list((tmp_path / "tasks").iterdir()) == []
