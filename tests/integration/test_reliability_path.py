"""The real path under kill -9: `chromogen work` on a drawn DICOM slide. INTEROP.md R-4, R-5, R-10."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from inference.checkpoint import PATTERN
from inference.draw import draw_slide
from inference.geometry import Size
from server.demo.slide_header import SlideIdentity
from server.domain.order import Request, SlideReference, Specimen
from server.domain.states import OrderState
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store.store import PostgresStore
from tests.integration.processes import ROOT, environment, logged, until
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres
SIDE = 3840  # 16 tiles
KEY_BYTES = 32
"""Of a checkpoint without a tile."""


class Workers:
    """`chromogen work`, one after the other."""

    def __init__(self, url: str, folder: Path) -> None:
        self._settings = {
            "CHROMOGEN_DATABASE_URL": url,
            "CHROMOGEN_DATA_FOLDER": str(folder / "data"),
            "CHROMOGEN_ARCHIVE_FOLDER": str(folder / "archive"),
            "CHROMOGEN_WORKER_LEASE_S": "2",
            "CHROMOGEN_WORKER_POLL_S": "0.2",
            "CHROMOGEN_WORKER_GRACE_S": "1",
        }
        self._log = folder / "work.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "server.cli.main", "work"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment(self._settings), stdout=log, stderr=log)
        return self.process

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        logged(self._log)


@pytest.fixture
def workers(service_url: str, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(service_url, tmp_path)
    yield made
    made.close()


def ordered(folder: Path) -> Request:
    """An order for a drawn slide that lies in the archive."""
    asked = request(1)
    identity = SlideIdentity(key="reliability/path", patient_id=asked.patient.id)
    drawn = JpegFrames(draw_slide(size=Size(width=SIDE, height=SIDE), seed=7, h_score=150))
    write_dicom_slide(folder / "archive" / "slide", drawn, mpp=0.5, identity=identity, levels=2)
    return Request(
        **{name: getattr(asked, name) for name in Request.__dataclass_fields__ if name not in ("specimen", "slide")},
        specimen=Specimen(id=identity.specimen_id, container_id=identity.container_id),
        slide=SlideReference(series_uid=identity.series_uid),
    )


def test_r4_and_r5_a_case_whose_worker_is_killed_twice_and_stopped_once_goes_on_where_it_was_and_is_done_once(
    engine: sa.Engine, workers: Workers, tmp_path: Path
) -> None:
    store = PostgresStore(engine)
    order, _ = store.accept(ordered(tmp_path))

    def checkpoints() -> list[Path]:
        return list((tmp_path / "data").glob(f"results/*/*/{PATTERN}"))

    def noted() -> int:
        """Bytes in the longest checkpoint of the case."""
        return max((path.stat().st_size for path in checkpoints()), default=0)

    before = KEY_BYTES
    for how in ("kill", "kill", "terminate"):
        process = workers.start()
        until(lambda: noted() > before, 60)  # noqa: B023  called here only
        before = noted()
        getattr(process, how)()
        process.wait(30)
    workers.start()
    until(lambda: store.order(order.id).state is OrderState.DONE, 90)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM results").scalar_one() == 1
        kinds = connection.exec_driver_sql("SELECT kind FROM outbox ORDER BY id").scalars().all()
    assert kinds == ["SR", "ANN", "SEG", "MAP"]
    assert store.order(order.id).attempt == 3  # the stop cost none
    until(lambda: not checkpoints(), 10)
