"""Issue 12, 3: a slide whose finer levels still come is waited for, and scored once it is whole."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inference.assay import register, unregister
from inference.geometry import Size
from server.archive.feeds import slide_of
from server.archive.folder import FolderArchive
from server.bootstrap import Service, bootstrap
from server.demo.lis import order_message
from server.demo.run import case_services_of, listening, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.states import OrderState
from server.hl7.sender import send
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.made_up_assay.assay import MARKER, MadeUpEngine, made_up_assay, made_up_model
from tests.test_made_up_assay import Speckled

pytestmark = pytest.mark.postgres
SLIDE = SlideIdentity(key="partly", marker=MARKER)


@pytest.fixture
def work() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="chromogen-partly-"))
    folder.chmod(0o711)  # PostgreSQL, which root runs as another account, must get through
    register(made_up_assay())
    yield folder
    unregister(MARKER)
    shutil.rmtree(folder)


def ordered(service: Service, number: str) -> None:
    message = order_message(
        placer_number=number, marker="made-up stain", control_id=number, series_uid=SLIDE.series_uid
    )
    with listening(service) as port:
        send(message, host="127.0.0.1", port=port, timeout_s=20)


@pytest.mark.parametrize("missing", ["its finer level", "the end of its file"])
def test_o3_a_slide_that_has_come_in_part_is_scored_once_it_is_whole(work: Path, missing: str) -> None:
    frames = JpegFrames(Speckled(size=Size(width=1100, height=1100)))
    fine, coarse = sorted(
        write_dicom_slide(work / "scanner", frames, mpp=0.5, identity=SLIDE, levels=2),
        key=lambda path: -path.stat().st_size,
    )
    folder = work / "archive"
    folder.mkdir()
    shutil.copy(coarse, folder)
    if missing == "the end of its file":
        (folder / fine.name).write_bytes(fine.read_bytes()[: fine.stat().st_size // 2])
    engine = MadeUpEngine(made_up_model())
    settings = settings_for(work, 1)  # nobody is told anything
    with bootstrap(
        settings.model_copy(update={"archive": settings.archive.model_copy(update={"wait_s": 600})})
    ) as service:
        services = replace(case_services_of(service, work), engine=lambda _: engine)
        ordered(service, "P-1")
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        (view,) = service.store.orders()
        expected = "TOO_COARSE" if missing == "its finer level" else "TILES_UNREADABLE"
        assert (view.state, view.reason, view.attempt) == (OrderState.QUEUED, expected, 0)
        shutil.copy(fine, folder)
        (slide,) = slide_of(_looked(folder), SLIDE.series_uid)
        assert service.store.wake(None, slide) == 1
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        (view,) = service.store.orders()
        assert (view.state, view.reason) == (OrderState.DONE, "")


def _looked(folder: Path) -> FolderArchive:
    archive = FolderArchive(folder)
    archive.there(1)
    return archive
